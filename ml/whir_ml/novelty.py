"""How well a machine's baseline tells a fault that no model has learned: leave one fault out.

The core learns the baseline and measures the distance (whir_node/novelty.py), as a node does. Distances are averaged over the
windows of a verdict. AUROC: 0.5 is a coin, 1 a distance that parts the unseen fault from everything else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from whir_contracts.contract import NOVELTY_UNKNOWN_PERMILLE, NOVELTY_WINDOWS_MIN, FeatureKind
from whir_contracts.novelty import NOVELTY_EDGES
from whir_contracts.recording import Recording
from whir_ml import dataset, synth
from whir_ml.config import Config
from whir_ml.dataset import Progress, silent
from whir_ml.errors import DatasetError
from whir_ml.scores import windows_per_verdict
from whir_ml.splits import Folds
from whir_ml.synth import benchmark
from whir_node.novelty import learn

HEALTHY_HOP: Final = 64  # a commissioning lasts; a recording of two seconds must give as much of it as it can
MACHINES: Final = 4
COMMISSIONED: Final = 6  # recordings of each machine, at loads and speeds around its own
HELD_OUT: Final = 3
UNSEEN_OF_SYNTH: Final = ("looseness", "bent_shaft")


@dataclass(frozen=True, eq=False)
class Part:
    """What one machine's baseline said: permille of the limit by verdict, by what the recording is."""

    permille: dict[str, NDArray[np.float64]]


def verdict_means(config: Config, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of consecutive windows, as many as a verdict has; a rest of less than half is left out unless it is all."""
    size = windows_per_verdict(config)
    blocks = [values[at : at + size] for at in range(0, len(values), size)]
    return np.array([block.mean() for n, block in enumerate(blocks) if n == 0 or 2 * len(block) >= size])


def heard(config: Config, commissioned: Sequence[Recording], asked: Sequence[Recording], cache: Path | None) -> Part:
    """A baseline learned from some recordings of the healthy machine, and what it says of others.

    Raises:
        DatasetError: too few healthy windows.
    """
    healthy = [dataset.features(config.params, rec, HEALTHY_HOP, cache=cache) for rec in commissioned]
    windows = np.concatenate(healthy) if healthy else np.empty((0, config.params.feature_count), np.int32)
    if len(windows) < NOVELTY_WINDOWS_MIN:
        raise DatasetError(f"{config.name}: {len(windows)} healthy windows are too few to learn a baseline from")
    # A node hears its machine's states come and go; recordings lie one behind the other.
    baseline = learn(windows[np.random.default_rng(0).permutation(len(windows))])
    said: dict[str, list[NDArray[np.float64]]] = {}
    for rec in asked:
        distance = baseline.permille(dataset.features(config.params, rec, config.params.hop_samples, cache=cache))
        said.setdefault(rec.label, []).append(verdict_means(config, distance))
    return Part({label: np.concatenate(parts) for label, parts in said.items()})


def of_set(config: Config, recs: Sequence[Recording], folds: Folds, cache: Path | None = None) -> Iterator[Part]:
    """Fold by fold: the baseline from the healthy recordings of the others; this fold and all unseen are asked."""
    unseen = [rec for rec in recs if config.data.class_of(rec) is None]
    known = [rec for rec in recs if config.data.class_of(rec) is not None]
    for fold in sorted({place.fold for place in folds.values()}):
        here = [rec for rec in known if folds[rec.name].fold == fold]
        if not any(config.data.class_of(rec) == config.classes[0] for rec in here):
            continue
        healthy = [rec for rec in known if folds[rec.name].fold != fold and config.data.class_of(rec) == config.classes[0]]
        yield heard(config, healthy, here + unseen, cache)


def of_model(
    config: Config, train: Sequence[Recording], held_out: Sequence[Recording], others: Sequence[Recording]
) -> dict[str, Any]:
    """Figures for an evaluation: the baseline from the healthy training recordings, what was held out and what no class is for
    asked. `novelty_auroc` is null where there is nothing to ask about, with a reason.
    """
    healthy = [rec for rec in train if config.data.class_of(rec) == config.classes[0]]
    if config.params.kind != FeatureKind.BANDS:
        return {"novelty_auroc": None, "reason": "windows as they are have no novelty"}
    unseen = sorted({rec.label for rec in others})
    if not unseen:
        return {"novelty_auroc": None, "reason": "the set has no fault that the model has not learned"}
    try:
        return figures(config, [heard(config, healthy, [*held_out, *others], dataset.cache_folder())], unseen)
    except DatasetError as error:
        return {"novelty_auroc": None, "reason": str(error)}


def of_healthy(config: Config, train: Sequence[Recording], held_out: Sequence[Recording]) -> dict[str, Any] | None:
    """What the fleet holds against machines in service: verdicts on healthy recordings that were held out, by how far their
    features are from a baseline of the healthy training ones (bins of the contract's edges). None where that cannot be told.
    """
    normal = [[rec for rec in recs if config.data.class_of(rec) == config.classes[0]] for recs in (train, held_out)]
    if config.params.kind != FeatureKind.BANDS or not normal[1]:
        return None
    try:
        part = heard(config, normal[0], normal[1], dataset.cache_folder())
    except DatasetError:
        return None
    values = np.concatenate(list(part.permille.values()))
    return {"counts": np.bincount(np.digitize(values, NOVELTY_EDGES), minlength=len(NOVELTY_EDGES) + 1).tolist()}


def of_simulated_machines(config: Config, progress: Progress = silent) -> Iterator[Part]:
    """Machines of the simulator's test part, each commissioned at drifting load and speed, then healthy, loose and bent."""
    settings = synth.default_config()
    for number in range(MACHINES):
        rng = np.random.default_rng([settings.seed, 77, number])
        machine = benchmark.draw(settings, "test", rng)

        def record(fault: str, severity: int, rng: np.random.Generator = rng, machine: Any = machine) -> Recording:
            now = dataclasses.replace(
                machine,
                load=float(np.clip(machine.load + rng.uniform(-0.1, 0.1), 0.1, 1.0)),
                speed_hz=machine.speed_hz * rng.uniform(0.985, 1.015),
            )
            return synth.simulate(now, fault, severity, 6.4, settings.sensor, rng, settings.levels)

        commissioned = [record("normal", 0) for _ in range(COMMISSIONED)]
        asked = [record("normal", 0) for _ in range(HELD_OUT)]
        asked += [record(fault, severity) for fault in UNSEEN_OF_SYNTH for severity in (1, 2, 3, 4)]
        yield heard(config, commissioned, asked, None)
        progress("simulated machines", number + 1, MACHINES)


def figures(config: Config, parts: Sequence[Part], unseen: Sequence[str]) -> dict[str, Any]:
    """AUROC of the unseen faults against all known recordings that were held out, and against the healthy ones alone; how many
    verdicts of each are beyond the limit."""
    by_label: dict[str, list[NDArray[np.float64]]] = {}
    for part in parts:
        for label, values in part.permille.items():
            by_label.setdefault(label, []).append(values)
    said = {label: np.concatenate(values) for label, values in by_label.items()}
    known = [label for label in said if label not in unseen]
    healthy = [label for label in known if config.data.labels.get(label) == config.classes[0]]
    return {
        "novelty_auroc": _auroc(said, known, unseen),
        "novelty": {
            "unseen": list(unseen),
            "against_healthy": _auroc(said, healthy, unseen),
            "against": {label: _auroc(said, [label], unseen) for label in known},
            "of_each_unseen_against_healthy": {label: _auroc(said, healthy, [label]) for label in unseen},
            "beyond_limit": {label: float((values >= NOVELTY_UNKNOWN_PERMILLE).mean()) for label, values in said.items()},
            "verdicts": {label: len(values) for label, values in said.items()},
            "baselines": len(parts),
        },
    }


def _auroc(said: dict[str, NDArray[np.float64]], negative: Sequence[str], positive: Sequence[str]) -> float | None:
    low, high = ([said[label] for label in labels if label in said] for labels in (negative, positive))
    if not low or not high:
        return None
    values = np.concatenate([*low, *high])
    truth = np.concatenate([np.zeros(sum(map(len, low))), np.ones(sum(map(len, high)))])
    return round(float(roc_auc_score(truth, values)), 4)
