"""What a maintenance engineer asks: how often it cries wolf, and how long after its onset a fault is told.

Everything goes through the core's decide stage with the profile `plant` at its default settings. Two sources, never mixed:

- `in_service`, simulated: machines of the simulator for a day each, load, speed and temperature drifting, one verdict a minute
  standing for that minute; then a fault sets in. The baseline for `unknown` is learned from the day's first hour.
- `on_recordings`, real: each held-out recording of the healthy machine played over and over for half an hour, then one of a
  fault. They are seconds long, so the bound that they give on the rate of false alerts is wide; it is stated all the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from whir_contracts.contract import (
    DECIDE_PLANT_PART_MS,
    NOVELTY_UNKNOWN_PERMILLE,
    AlertState,
    FeatureKind,
    Profile,
)  # fmt: skip
from whir_contracts.recording import Recording
from whir_ml import dataset, synth
from whir_ml.config import Config
from whir_ml.dataset import Examples, Progress, silent
from whir_ml.errors import DatasetError
from whir_ml.scores import Probabilities, windows_per_verdict
from whir_ml.synth import service
from whir_node.decide import Decide, Told
from whir_node.novelty import Baseline, learn

Say = Callable[[NDArray[np.int32]], Probabilities]  # features (n, f) → permille (n, classes)

WEEK_S: Final = 7 * 24 * 3600
MACHINES: Final = 7  # a day each: 168 hours
FAULTS: Final = (
    "imbalance", "misalignment_parallel", "misalignment_angular", "bearing_outer", "bearing_inner", "bearing_ball",
)  # fmt: skip
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
    """Verdicts of one recording as a node gives them, one a window: the rounded mean of the last ones."""
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
    false, found, missed, delays, right = [], 0, [], [], 0
    for n in healthy:
        alerts = raised(_play(_decide(config), verdicts[n], 0))
        false += [{"recording": examples.recordings[n].name, "fault": alert.name} for alert in alerts]
    for n, rec in enumerate(examples.recordings):
        if n in healthy:
            continue
        before = min(healthy, key=lambda h: _apart(examples.recordings[h], rec))
        decide = _decide(config)
        _play(decide, verdicts[before], 0)
        alerts = raised(_play(decide, verdicts[n], STAGE_S))
        if alerts:
            found += 1
            delays.append(alerts[0].at_s - STAGE_S)
            right += alerts[0].name == config.data.class_of(rec)
        else:
            missed.append(rec.name)
    seconds = sum(examples.recordings[n].seconds for n in healthy)
    return {
        "simulated": False,
        "healthy_recordings": len(healthy),
        "healthy_seconds": round(seconds, 1),
        **_rate(len(false), seconds),
        "alerts": false,
        "detection": _detection(len(examples.recordings) - len(healthy), found, right, delays, missed),
    }


def _decide(config: Config) -> Decide:
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


def in_service(config: Config, say: Say, cache: Path, machines: int = MACHINES, progress: Progress = silent) -> dict[str, Any]:
    """The simulated days of machines of the test part.

    Raises:
        DatasetError: the model has not learned from the simulator's machines.
    """
    if config.data.set != "synth12k":
        raise DatasetError(f"{config.name}: it knows {config.data.set}; the simulated week is for models of synth12k")
    settings = synth.default_config()
    faults = tuple(fault for fault in FAULTS if synth.LABELS[fault] in config.data.labels)
    pieces = service.pieces(machines, faults)
    folder = cache / f"service-{dataset.synth_digest()[:16]}"
    samples = service.kept(settings, folder, pieces, lambda done, total: progress("simulated days", done, total))
    days = [_Machine(config, say) for _ in range(machines)]
    false: list[dict[str, Any]] = []
    found, right, delays, missed = 0, 0, list[float](), list[str]()
    for number, ((machine, what, severity), looks) in enumerate(zip(pieces, samples, strict=True)):
        progress("decide", number + 1, len(pieces))
        first = service.LOOKS_PER_HOUR * (what if isinstance(what, int) else service.HOURS)
        rpm = 60 * service.day(settings, machine).speed_hz[first : first + len(looks)]
        features = _features(config, settings.sensor, looks, rpm)
        if isinstance(what, int):
            alerts = days[machine].hour(features)
            false += [{"machine": machine, "hour": round(alert.at_s / 3600, 2), "fault": alert.name} for alert in alerts]
            continue
        onset_s, alerts = days[machine].fault(features)
        if alerts:
            found += 1
            delays.append(alerts[0].at_s - onset_s)
            right += alerts[0].name == config.data.labels[synth.LABELS[what]]
        else:
            missed.append(f"machine {machine}, {what}_s{severity}")
    hours = machines * service.HOURS
    return {
        "simulated": True,
        "hours": hours,
        "machines": machines,
        "profile": "plant",
        **_rate(len(false), hours * 3600),
        "alerts": false,
        "nearest": {name: max(day.nearest(name) for day in days) for name in (*config.classes[1:], "unknown")},
        "detection": _detection(machines * len(faults), found, right, delays, missed),
    }


class _Machine:
    """One machine's node over its day. The first hour is its commissioning; until then nothing is unknown."""

    def __init__(self, config: Config, say: Say) -> None:
        self.config, self.say = config, say
        self.decide = _decide(config)
        self.fed: list[tuple[NDArray[np.int64], float | None]] = []
        self.baseline: Baseline | None = None

    def hour(self, looks: list[NDArray[np.int32]]) -> list[Raise]:
        alerts = raised(self._feed(self.decide, looks, len(self.fed)))
        if self.baseline is None and self.config.params.kind == FeatureKind.BANDS:
            self.baseline = learn(np.concatenate(looks))
        return alerts

    def fault(self, looks: list[NDArray[np.int32]]) -> tuple[float, list[Raise]]:
        """Its onset, and the alerts; the day's last hour stands before it, and is not changed by it."""
        decide, hour = _decide(self.config), service.LOOKS_PER_HOUR
        for at, (verdict, novelty) in enumerate(self.fed[-hour:]):
            _told(decide, verdict, novelty, at, self.config.decide.raise_permille)
        fed, self.fed = self.fed, []
        told = self._feed(decide, looks, hour)
        self.fed = fed
        return (hour - 1) * 60.0, raised(told)

    def nearest(self, name: str) -> float:
        """The largest share of ten minutes in which verdicts spoke for this alert; the profile wants 0.8."""
        if name == "unknown":
            above = [novelty is not None and novelty >= NOVELTY_UNKNOWN_PERMILLE for _, novelty in self.fed]
        else:
            index = self.config.classes.index(name)
            above = [bool(verdict[index] >= self.config.decide.raise_permille) for verdict, _ in self.fed]
        return float(np.convolve(above, np.ones(10) / 10, "valid").max().round(2))

    def _feed(self, decide: Decide, looks: list[NDArray[np.int32]], first: int) -> list[Told]:
        told: list[Told] = []
        for at, features in enumerate(looks):
            verdict = np.rint(self.say(features).mean(axis=0)).astype(np.int64)
            novelty = None if self.baseline is None else float(self.baseline.permille(features).mean())
            self.fed.append((verdict, novelty))
            told += _told(decide, verdict, novelty, first + at, self.config.decide.raise_permille)
        return told


def _told(decide: Decide, verdict: NDArray[np.int64], novelty: float | None, look: int, raise_permille: int) -> list[Told]:
    """One verdict into decide; unknown as the node has it: far from the baseline, and no fault that the model is sure of."""
    sure = verdict[1:].max() >= raise_permille
    known = sure or novelty is None or novelty < NOVELTY_UNKNOWN_PERMILLE
    told_novelty = None if novelty is None else min(round(novelty), 65534)
    return decide.verdict(verdict.tolist(), look * DECIDE_PLANT_PART_MS, novelty=told_novelty, known=bool(known))


def _features(
    config: Config, sensor: synth.Sensor, looks: NDArray[np.int16], rpm: NDArray[np.float64]
) -> list[NDArray[np.int32]]:
    """Of each look, as a recording of its own, by the core."""
    lsb = np.full(3, sensor.lsb_mg * 1e-3, np.float32)
    axes, still = ("x", "y", "z"), np.zeros(3, np.float32)
    like = Recording("look", looks[0], lsb, still, sensor.rate_hz, "g", axes, "normal", "normal", float("nan"))
    own = [dataclasses.replace(like, samples=samples, rpm=float(speed)) for samples, speed in zip(looks, rpm, strict=True)]
    return [dataset.features(config.params, rec, config.params.hop_samples) for rec in own]


def _rate(events: int, seconds: float) -> dict[str, float | None]:
    weeks = seconds / WEEK_S
    return {
        "false_per_week": round(events / weeks, 4) if weeks else None,
        "upper95_per_week": round(upper95(events) / weeks, 1) if weeks else None,
    }


def _detection(cases: int, found: int, right: int, delays: Sequence[float], missed: Sequence[str]) -> dict[str, Any]:
    return {
        "cases": cases,
        "found": found,
        "right_fault": right,
        "delay_s": {"median": float(np.median(delays)), "max": float(max(delays))} if delays else None,
        "missed": list(missed),
    }
