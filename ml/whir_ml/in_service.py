"""False alerts and detection delay over simulated weeks: machines of the simulator's test part, a week each, through decide.

Load, speed and temperature drift. A machine is commissioned for as long as a node takes by default, then it is in service for a
week. It is heard every ten minutes; the verdict of a minute in between is the mean of windows drawn from the two looks around
it, the nearer the likelier, so what a look holds by chance stays for twenty minutes, not for one: it errs towards alerts.
Machines are simulated side by side, and what came of each is kept: a run that is stopped, or a longer one, goes on.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from whir_contracts.contract import NOVELTY_UNKNOWN_PERMILLE, FeatureKind
from whir_contracts.params import FeatureParams
from whir_ml import dataset, synth
from whir_ml.alerting import Raise, decide_stage, detection, raised, rates
from whir_ml.config import Config
from whir_ml.dataset import Progress, silent
from whir_ml.errors import DatasetError
from whir_ml.novelty import UNSEEN_OF_SYNTH
from whir_ml.scores import Probabilities
from whir_ml.synth import service
from whir_node.decide import Decide, Told
from whir_node.engine import Engine, permille
from whir_node.features import quantize
from whir_node.novelty import Baseline, learn

Say = Callable[[NDArray[np.int32]], Probabilities]  # features (n, f) → permille (n, classes)
Result = dict[str, Any]  # of one machine's week, plain values

FAULTY_MACHINES: Final = 7  # these get each fault behind their week
FAULTS: Final = (
    "imbalance", "misalignment_parallel", "misalignment_angular", "bearing_outer", "bearing_inner", "bearing_ball",
    *UNSEEN_OF_SYNTH,
)  # fmt: skip
UNKNOWN: Final = "unknown"
HOUR: Final = 60  # minutes
APART: Final = 10  # minutes between looks
MINUTE_MS: Final = 60_000


@dataclass(frozen=True)
class Node:
    """What a node says of features, by the core's engine; goes to other processes as bytes."""

    model: bytes
    params: FeatureParams

    def __call__(self, features: NDArray[np.int32]) -> Probabilities:
        engine = _engine(self.model)
        return permille(engine.info, np.asarray(engine.run(quantize(self.params, features))))


@cache
def _engine(model: bytes) -> Engine:
    return Engine(model)


def in_service(config: Config, node: Node, folder: Path, weeks: int = 1, progress: Progress = silent) -> dict[str, Any]:
    """What came of so many machine-weeks, each of another machine.

    Args:
        folder: where each machine's result is kept.

    Raises:
        DatasetError: the model has not learned from the simulator's machines.
    """
    if config.data.set != "synth12k":
        raise DatasetError(f"{config.name}: it knows {config.data.set}; the simulated weeks are for models of synth12k")
    sha = hashlib.sha256(f"{config.described()} {dataset.synth_digest()} {dataset.core_digest()}".encode() + node.model)
    found = _kept(folder / f"service-{sha.hexdigest()[:16]}.jsonl", partial(machine_week, config, node), weeks, progress)
    alerts = [{"machine": one["machine"], **alert} for one in found for alert in one["alerts"]]
    cases = [case for one in found for case in one["faults"]]
    learned, unseen = ([case for case in cases if case["unseen"] == which] for which in (False, True))
    hours = weeks * service.HOURS
    return {
        "simulated": True,
        "hours": hours,
        "machines": weeks,
        "profile": "plant",
        **rates(len(alerts), hours * 3600),
        "alerts": alerts,
        "nearest": {name: max(one["nearest"][name] for one in found) for name in (*config.classes[1:], UNKNOWN)},
        "detection": _detection(learned),
        "unseen": _detection(unseen),
    }


def _detection(cases: Sequence[Result]) -> Result:
    return detection(
        len(cases),
        sum(case["right"] for case in cases),
        [case["delay_s"] for case in cases if case["delay_s"] is not None],
        [case["name"] for case in cases if case["delay_s"] is None],
    )


def _kept(path: Path, make: Callable[[int], Result], machines: int, progress: Progress) -> list[Result]:
    """Results by machine, a line each; those that are there are not simulated again."""
    found: dict[int, Result] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            one = json.loads(line)
        except json.JSONDecodeError:  # torn by a kill: simulated again
            continue
        found[one["machine"]] = one
    todo = [number for number in range(machines) if number not in found]
    path.parent.mkdir(parents=True, exist_ok=True)
    if todo:
        with path.open("a", encoding="utf-8") as file:
            for one in _side_by_side(make, todo):
                found[one["machine"]] = one
                file.write(f"\n{json.dumps(one)}\n")
                file.flush()
                progress("simulated machine-weeks", len(found), max(machines, len(found)))
    return [found[number] for number in range(machines)]


def _side_by_side(make: Callable[[int], Result], numbers: Sequence[int]) -> Iterator[Result]:
    # Spawned, not forked: the caller may have threads of TensorFlow.
    with multiprocessing.get_context("spawn").Pool(min(os.cpu_count() or 1, len(numbers))) as pool:
        yield from pool.imap_unordered(make, numbers)


def machine_week(config: Config, node: Say, number: int) -> Result:
    """One healthy week of a commissioned machine, and behind it, for the first machines, each fault."""
    settings = synth.default_config()

    def heard(minutes: Sequence[int], fault: str = "normal", severity: int = 0) -> list[NDArray[np.int32]]:
        looks = service.looks(settings, number, minutes, fault, severity)
        return [dataset.features(config.params, rec, config.params.hop_samples) for rec in looks]

    machine = _Machine(config, node)
    machine.commission(heard(range(0, service.COMMISSIONING, APART)))
    in_service = range(service.COMMISSIONING, service.MINUTES + 1, APART)
    machine.go_on(heard(in_service), np.random.default_rng([settings.seed, 170, number]))
    cases = []
    for place, fault in enumerate(FAULTS if number < FAULTY_MACHINES else ()):
        severity = 1 + (number + place) % 4
        says = config.data.labels.get(synth.LABELS[fault], UNKNOWN)
        onset = range(service.MINUTES, service.MINUTES + service.ONSET_MINUTES)
        alerts = machine.fault(heard(onset, fault, severity))
        cases.append(
            {
                "name": f"machine {number}, {fault}_s{severity}",
                "delay_s": alerts[0].at_s if alerts else None,
                "right": bool(alerts) and alerts[0].name == says,
                "unseen": says == UNKNOWN,
            }
        )
    return {
        "machine": number,
        "alerts": [{"hour": round(alert.at_s / 3600, 2), "fault": alert.name} for alert in machine.alerts],
        "nearest": {name: machine.nearest(name) for name in (*config.classes[1:], UNKNOWN)},
        "faults": cases,
    }


@dataclass(frozen=True)
class _Look:
    """What the model and the baseline say of each window: permille (windows, classes), novelty (windows,) or None."""

    said: NDArray[np.float64]
    novelty: NDArray[np.float64] | None


class _Machine:
    """One machine's node over its week, a verdict a minute; without a baseline nothing is unknown."""

    def __init__(self, config: Config, say: Say) -> None:
        self.config, self.say = config, say
        self.decide = decide_stage(config)
        self.verdicts: list[tuple[NDArray[np.int64], float | None]] = []
        self.alerts: list[Raise] = []
        self.baseline: Baseline | None = None

    def commission(self, looks: list[NDArray[np.int32]]) -> None:
        """The baseline from what is heard of the healthy machine."""
        if self.config.params.kind == FeatureKind.BANDS:
            self.baseline = learn(np.concatenate(looks))

    def go_on(self, looks: list[NDArray[np.int32]], rng: np.random.Generator) -> None:
        """The week: between two looks, windows of both."""
        asked = [self._asked(features) for features in looks]
        for before, after in itertools.pairwise(asked):
            self._next(before)
            for minute in range(1, APART):
                self._next(_between(before, after, minute / APART, rng))

    def fault(self, looks: list[NDArray[np.int32]]) -> list[Raise]:
        """Alerts, in seconds from the onset; the week's last hour stands before it, and is not changed by it."""
        decide, before = decide_stage(self.config), self.verdicts[-HOUR:]
        for minute, verdict in enumerate(before):
            self._tell(decide, minute, *verdict)
        told: list[Told] = []
        for minute, features in enumerate(looks, start=len(before)):
            told += self._tell(decide, minute, *self._verdict(self._asked(features)))
        # A verdict is told at the end of its minute.
        return [Raise(one.at_s - 60 * (len(before) - 1), one.name) for one in raised(told)]

    def nearest(self, name: str) -> float:
        """The largest share of ten minutes in which verdicts spoke for this alert; the profile wants 0.8."""
        if name == UNKNOWN:
            above = [novelty is not None and novelty >= NOVELTY_UNKNOWN_PERMILLE for _, novelty in self.verdicts]
        else:
            index = self.config.classes.index(name)
            above = [bool(verdict[index] >= self.config.decide.raise_permille) for verdict, _ in self.verdicts]
        return float(np.convolve(above, np.ones(10) / 10, "valid").max().round(2))

    def _asked(self, features: NDArray[np.int32]) -> _Look:
        return _Look(
            np.asarray(self.say(features), np.float64), None if self.baseline is None else self.baseline.permille(features)
        )

    @staticmethod
    def _verdict(look: _Look) -> tuple[NDArray[np.int64], float | None]:
        said = np.rint(look.said.mean(axis=0)).astype(np.int64)
        return said, None if look.novelty is None else float(look.novelty.mean())

    def _next(self, look: _Look) -> None:
        verdict = self._verdict(look)
        self.alerts += raised(self._tell(self.decide, len(self.verdicts), *verdict))
        self.verdicts.append(verdict)

    def _tell(self, decide: Decide, minute: int, verdict: NDArray[np.int64], novelty: float | None) -> list[Told]:
        """One verdict into decide; unknown as on a node: far from the baseline, and no fault that the model is sure of."""
        sure = verdict[1:].max() >= self.config.decide.raise_permille
        known = sure or novelty is None or novelty < NOVELTY_UNKNOWN_PERMILLE
        told_novelty = None if novelty is None else min(round(novelty), 65534)
        return decide.verdict(verdict.tolist(), minute * MINUTE_MS, novelty=told_novelty, known=bool(known))


def _between(before: _Look, after: _Look, share: float, rng: np.random.Generator) -> _Look:
    """As many windows as a look has, each from one of the two looks, from the later one with this chance."""
    count = len(before.said)
    place = rng.integers(0, count, count) + np.where(rng.random(count) < share, count, 0)
    said = np.concatenate([before.said, after.said])[place]
    if before.novelty is None or after.novelty is None:
        return _Look(said, None)
    return _Look(said, np.concatenate([before.novelty, after.novelty])[place])
