"""What a maintenance engineer asks: how often it cries wolf, and how long after its onset a fault is told.

Everything goes through the core's decide stage with the profile `plant` at its default settings: here the held-out recordings,
each of the healthy machine played over and over for half an hour, then one of a fault. They are seconds long, so the bound that
they give on the rate of false alerts is wide; it is stated all the same. Simulated weeks are in `in_service.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from whir_contracts.contract import AlertState, Profile
from whir_contracts.recording import Recording
from whir_ml.config import Config
from whir_ml.dataset import Examples
from whir_ml.scores import Probabilities, windows_per_verdict
from whir_node.decide import Decide, Told

WEEK_S: Final = 7 * 24 * 3600
STAGE_S: Final = 30 * 60  # of the healthy machine, and of the fault
STEP_MS: Final = 1000


@dataclass(frozen=True)
class Raise:
    """An alert that became active, and when."""

    at_s: float
    name: str


def raised(told: Iterable[Told]) -> list[Raise]:
    return [Raise(t.at_ms / 1000, t.name) for t in told if t.raised and t.state == AlertState.ACTIVE]


def upper95(events: int) -> float:
    """The Poisson mean that gives so few events or fewer in 5 % of the cases."""
    return float(chi2.ppf(0.95, 2 * (events + 1)) / 2)


def sliding(config: Config, permille: Probabilities) -> NDArray[np.int64]:
    """Verdicts of one recording as a node gives them, one a window: the rounded mean of the last ones. Of novelty alike."""
    size = windows_per_verdict(config)
    means = [permille[max(0, at - size + 1) : at + 1].mean(axis=0) for at in range(len(permille))]
    return np.asarray(np.rint(means), np.int64)


def on_recordings(config: Config, examples: Examples, permille: Probabilities) -> dict[str, Any]:
    """Held-out recordings through decide: alerts of the healthy ones, and each fault after a healthy machine.

    Args:
        permille: of the examples' windows, by the int8 model.
    """
    verdicts = [sliding(config, permille[examples.recording == n]) for n in range(len(examples.recordings))]
    healthy = [n for n, rec in enumerate(examples.recordings) if config.data.class_of(rec) == config.classes[0]]
    false, missed, delays, right = [], [], list[float](), 0
    for n in healthy:
        alerts = raised(_play(decide_stage(config), verdicts[n], 0))
        false += [{"recording": examples.recordings[n].name, "fault": alert.name} for alert in alerts]
    for n, rec in enumerate(examples.recordings):
        if n in healthy:
            continue
        before = min(healthy, key=lambda h: _apart(examples.recordings[h], rec))
        decide = decide_stage(config)
        _play(decide, verdicts[before], 0)
        alerts = raised(_play(decide, verdicts[n], STAGE_S))
        if alerts:
            delays.append(alerts[0].at_s - STAGE_S)
            right += alerts[0].name == config.data.class_of(rec)
        else:
            missed.append(rec.name)
    seconds = sum(examples.recordings[n].seconds for n in healthy)
    return {
        "simulated": False,
        "healthy_recordings": len(healthy),
        "healthy_seconds": round(seconds, 1),
        **rates(len(false), seconds),
        "alerts": false,
        "detection": detection(len(examples.recordings) - len(healthy), right, delays, missed),
    }


def decide_stage(config: Config) -> Decide:
    """The profile's settings, and what the bundle says."""
    return Decide(
        config.classes,
        Profile.PLANT,
        raise_permille=config.decide.raise_permille,
        clear_permille=config.decide.clear_permille,
    )


def _play(decide: Decide, verdicts: NDArray[np.int64], from_s: int) -> list[Told]:
    """The recording over and over, a verdict a second."""
    told: list[Told] = []
    for step in range(STAGE_S * 1000 // STEP_MS):
        told += decide.verdict(verdicts[step % len(verdicts)].tolist(), from_s * 1000 + (step + 1) * STEP_MS)
    return told


def _apart(healthy: Recording, faulty: Recording) -> float:
    """How far the speeds are from each other; recordings without one are as good as any."""
    return abs(float(np.nan_to_num(healthy.rpm)) - float(np.nan_to_num(faulty.rpm)))


def rates(events: int, seconds: float) -> dict[str, float | None]:
    weeks = seconds / WEEK_S
    return {
        "false_per_week": round(events / weeks, 4) if weeks else None,
        "upper95_per_week": float(f"{upper95(events) / weeks:.3g}") if weeks else None,
    }


def detection(cases: int, right: int, delays: Sequence[float], missed: Sequence[str]) -> dict[str, Any]:
    """How many of the faults were told, and how long after their onset."""
    return {
        "cases": cases,
        "found": len(delays),
        "right_fault": right,
        "delay_s": {"median": float(np.median(delays)), "max": float(max(delays))} if delays else None,
        "missed": list(missed),
    }
