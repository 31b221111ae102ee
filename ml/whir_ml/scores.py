"""From what a model said of windows to verdicts, and from verdicts to figures that people compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from whir_contracts import contract
from whir_ml.config import Config
from whir_ml.dataset import Examples

RESAMPLES: Final = 2000

Probabilities = NDArray[Any]  # (n, classes), any unit


@dataclass(frozen=True, eq=False)
class Verdicts:
    """Means over consecutive windows of one recording: mean (v, classes), target and recording (v,)."""

    mean: NDArray[np.float64]
    target: NDArray[np.int64]
    recording: NDArray[np.int64]


def windows_per_verdict(config: Config) -> int:
    """At most verdict_windows, and no more than fit into the contract's span."""
    params = config.params
    span = contract.VERDICT_SPAN_MAX_MS * params.rate_hz // 1000
    return max(1, min(params.verdict_windows, 1 + (span - params.window_samples) // params.hop_samples))


def verdicts(config: Config, examples: Examples, p: Probabilities) -> Verdicts:
    """Blocks of consecutive windows, as a node would average them; a rest of less than half a block is left out, unless it is
    all that a recording has."""
    size = windows_per_verdict(config)
    means, target, recording = [], [], []
    for number in np.unique(examples.recording):
        own = np.flatnonzero(examples.recording == number)
        for start in range(0, len(own), size):
            block = own[start : start + size]
            if start == 0 or 2 * len(block) >= size:
                means.append(p[block].mean(axis=0))
                target.append(examples.target[block[0]])
                recording.append(number)
    return Verdicts(np.array(means), np.array(target), np.array(recording))


@dataclass(frozen=True, eq=False)
class Said:
    """What one model said of the windows of some recordings, and the verdicts from it."""

    config: Config
    examples: Examples
    p: Probabilities

    def verdicts(self) -> Verdicts:
        return verdicts(self.config, self.examples, self.p)


def score(classes: tuple[str, ...], target: NDArray[np.int64], p: Probabilities) -> dict[str, Any]:
    """Accuracy, balanced accuracy (mean recall), macro F1, recall per class and confusion (rows: truth); ties: the first."""
    said = p.argmax(axis=1)
    confusion = np.zeros((len(classes), len(classes)), int)
    np.add.at(confusion, (target, said), 1)
    hits = np.diag(confusion)
    with np.errstate(invalid="ignore"):
        recall = hits / confusion.sum(axis=1)
        f1 = 2 * hits / (confusion.sum(axis=0) + confusion.sum(axis=1))
    return {
        "count": len(target),
        "accuracy": float(hits.sum() / len(target)),
        "balanced_accuracy": float(np.nanmean(recall)),
        "macro_f1": float(np.nanmean(f1)),
        "recall": {name: float(value) for name, value in zip(classes, recall, strict=True)},
        "confusion": confusion.tolist(),
    }


def window_scores(parts: Sequence[Said]) -> dict[str, Any]:
    """Scores over the windows of all folds together."""
    target, p = (np.concatenate(values) for values in zip(*((s.examples.target, s.p) for s in parts), strict=True))
    return score(parts[0].config.classes, target, p)


def verdict_scores(parts: Sequence[Said]) -> dict[str, Any]:
    """Scores over the verdicts of all folds together."""
    all_of = [part.verdicts() for part in parts]
    target, mean = np.concatenate([v.target for v in all_of]), np.concatenate([v.mean for v in all_of])
    return score(parts[0].config.classes, target, mean)


def cross_entropy(target: NDArray[np.int64], p: Probabilities) -> float:
    """Mean negative log probability of the truth, nats; no probability counts as less than half a permille."""
    return float(-np.log(np.maximum(p[np.arange(len(target)), target], 5e-4)).mean())


def tally(seeds: Sequence[Sequence[Said]]) -> list[dict[str, Any]]:
    """Each recording with its verdicts over all seeds, how many were wrong, what was said instead, and in how many seeds the
    mean over the whole recording was wrong."""
    entries: dict[str, dict[str, Any]] = {}
    for part in (part for parts in seeds for part in parts):
        v = part.verdicts()
        for number in np.unique(v.recording):
            rec, own = part.examples.recordings[number], v.recording == number
            truth, said = int(v.target[own][0]), v.mean[own].argmax(axis=1)
            entry = entries.setdefault(
                rec.name,
                {
                    "recording": rec.name,
                    "truth": part.config.classes[truth],
                    "sublabel": rec.sublabel,
                    "rpm": None if np.isnan(rec.rpm) else rec.rpm,
                    "verdicts": 0,
                    "wrong": 0,
                    "said": [],
                    "seeds_outvoted": 0,
                },
            )
            entry["verdicts"] += len(said)
            entry["wrong"] += int((said != truth).sum())
            entry["said"] = sorted({*entry["said"], *(part.config.classes[k] for k in said[said != truth])})
            entry["seeds_outvoted"] += int(v.mean[own].mean(axis=0).argmax() != truth)
    return list(entries.values())


def interval(recordings: Sequence[dict[str, Any]], seed: int = 1) -> list[float]:
    """95 % of balanced accuracy when recordings are drawn again with replacement, within each class."""
    rng = np.random.default_rng(seed)
    recalls: list[NDArray[np.float64]] = []
    for truth in sorted({entry["truth"] for entry in recordings}):
        own = [entry for entry in recordings if entry["truth"] == truth]
        verdict_count, wrong = np.array([entry["verdicts"] for entry in own]), np.array([entry["wrong"] for entry in own])
        drawn = rng.integers(0, len(own), (RESAMPLES, len(own)))
        recalls.append(1 - wrong[drawn].sum(axis=1) / verdict_count[drawn].sum(axis=1))
    low, high = np.percentile(np.mean(recalls, axis=0), [2.5, 97.5])
    return [round(float(low), 4), round(float(high), 4)]
