"""The decide stage by itself: verdicts in, alerts out, by the core's own code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from whir_contracts.contract import VERDICT_CLASSES_MAX, AlertState, Profile, Severity, Watch, Zone
from whir_node.library import ffi, lib

NO_NOVELTY = 65535
_SETTINGS = (
    "raise_permille", "clear_permille", "raise_count", "raise_of", "clear_count",
    "realert_interval_ms", "warning_after_ms", "critical_after_ms",
)  # fmt: skip


@dataclass(frozen=True)
class Told:
    """A change of one alert: a class's name, or a watch's (unknown, velocity, velocity_change)."""

    at_ms: int
    name: str
    state: AlertState
    severity: Severity
    raised: bool


class Decide:
    """One machine's alerts.

    Args:
        classes: names, the healthy one first.
        settings: as `raise_permille=800`; what is not named is the profile's.
    """

    def __init__(self, classes: Sequence[str], profile: Profile = Profile.PLANT, **settings: int) -> None:
        self.classes = tuple(classes)
        values = dict.fromkeys(_SETTINGS, -1) | {"profile": int(profile)} | settings
        self._raw = ffi.gc(lib.host_decide_new(ffi.new("host_decide_config_t *", values), len(classes)), lib.host_decide_free)
        self._permille: Any = ffi.new("uint16_t[]", VERDICT_CLASSES_MAX)
        self._out: Any = ffi.new("host_decision_t[]", VERDICT_CLASSES_MAX + len(Watch))

    def verdict(
        self,
        permille: Sequence[int],
        now_ms: int,
        *,
        quality: int = 0,
        novelty: int | None = None,
        known: bool = True,
        zone: Zone = Zone.NONE,
    ) -> list[Told]:
        """One verdict; `quality`: bits of enum quality; `known` False: it has no class, by its novelty."""
        for at, value in enumerate(permille):
            self._permille[at] = int(value)
        distance = NO_NOVELTY if novelty is None else novelty
        told = lib.host_decide_step(self._raw, self._permille, quality, distance, known, zone, now_ms, self._out)
        return self._given(told, now_ms)

    def velocity(self, zone: Zone, now_ms: int, *, changed: bool = False) -> list[Told]:
        """One second of velocity."""
        return self._given(lib.host_decide_velocity(self._raw, int(zone), int(changed), now_ms, self._out), now_ms)

    def _given(self, count: int, now_ms: int) -> list[Told]:
        return [
            Told(now_ms, self._name(d.class_index), AlertState(d.state), Severity(d.severity), bool(d.raised))
            for d in self._out[0:count]
        ]

    def _name(self, index: int) -> str:
        return self.classes[index] if index < VERDICT_CLASSES_MAX else Watch(index - VERDICT_CLASSES_MAX).name.lower()
