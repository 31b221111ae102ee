"""How long a battery lasts in each power mode: nominal currents times the time of each part of a cycle.

Computed, not measured.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from whir_contracts.contract import PowerMode

FACTS = Path(__file__).with_name("power.toml")
USABLE = 0.8  # of a battery's nominal charge: cold, age, self-discharge
HOURS_PER_DAY = 24


class PowerFactsError(ValueError):
    """No figures for that chip or sensor."""


@dataclass(frozen=True)
class Budget:
    """One mode: what the board takes on average, and where it goes. `parts` in mA averaged over a cycle."""

    mode: PowerMode
    average_ma: float
    parts: dict[str, float]

    def days(self, battery_mah: float) -> float:
        return battery_mah * USABLE / self.average_ma / HOURS_PER_DAY


def budgets(chip: str, sensor: str, every_s: float, facts: Path = FACTS) -> list[Budget]:
    """All modes that the sensor can, for one measurement each `every_s` where the board rests. Motion: it never starts.

    Raises:
        PowerFactsError: not in power.toml, or a cycle longer than every_s.
    """
    table = tomllib.loads(facts.read_text())
    for kind, name in (("chip", chip), ("sensor", sensor)):
        if name not in table[kind]:
            raise PowerFactsError(f"{kind} {name!r}: one of {', '.join(sorted(table[kind]))}")
    of, part, cycle = table["chip"][chip], table["sensor"][sensor], table["cycle"]
    busy_s = cycle["boot_s"] + cycle["listen_s"] + cycle["tell_s"]
    if every_s <= busy_s:
        raise PowerFactsError(f"every {every_s:g} s: a measurement and its telling take {busy_s:g} s")
    run_ma, off_ma = part["run_ua"] / 1000, part["off_ua"] / 1000
    listening = cycle["listen_s"] / every_s
    heard = run_ma * listening + off_ma * (1 - listening)
    told = of["radio_ma"] * cycle["tell_s"] / every_s
    rows = {
        PowerMode.CONTINUOUS: {"CPU and radio": of["radio_ma"], "sensor": run_ma},
        PowerMode.INTERVAL: {"CPU": of["cpu_ma"] * (1 - cycle["tell_s"] / every_s), "radio": told, "sensor": heard},
        PowerMode.SLEEP: {
            "CPU": of["cpu_ma"] * (cycle["boot_s"] + cycle["listen_s"]) / every_s,
            "radio": told,
            "sensor": heard,
            "asleep": of["sleep_ua"] / 1000 * (1 - busy_s / every_s),
        },
    }
    if "watch_ua" in part:
        watched = run_ma * listening + part["watch_ua"] / 1000 * (1 - listening)
        rows[PowerMode.MOTION] = {**rows[PowerMode.SLEEP], "sensor": watched}
    return [Budget(mode, sum(parts.values()), parts) for mode, parts in rows.items()]
