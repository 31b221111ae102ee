"""One row of the quality benchmark: what a configuration chosen without the tested recordings does on them.

For every outer fold the candidates are compared on inner folds of its training part: each is trained on the rest of that part
and judged by the balanced accuracy of its verdicts (windows break a tie), simplest first, so that a network is taken only where
it wins. The one taken is then trained on the whole training part, once per seed, exported to int8, and asked about the tested
recordings. They enter nothing before that: not the choice, the scaler, the calibration or the number of epochs.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy.signal import detrend

from whir_contracts import contract, recording
from whir_contracts.recording import Recording
from whir_ml import dataset, rivals, splits
from whir_ml.config import Config
from whir_ml.dataset import Progress, Split, silent
from whir_ml.errors import DatasetError
from whir_ml.scores import Probabilities, Said, interval, tally, verdict_scores, window_scores, windows_per_verdict
from whir_ml.splits import Folds

SEEDS: Final = (1, 2, 3, 4, 5)
GAIN_DB: Final = 12.0
TREND_S: Final = 0.5  # a straight line is taken out of every so long
NO_NOVELTY: Final = "the model and the core give no novelty distance yet"


@dataclass(frozen=True)
class Choice:
    """What inner validation chose for one outer fold; `scores`: balanced accuracy of verdicts and of windows by candidate;
    `temperature`: what fits the answers of the one taken (whir_ml/temperature.py)."""

    name: str
    scores: dict[str, tuple[float, float]]
    temperature: float


def row(
    candidates: Sequence[Config],
    recs: Sequence[Recording],
    folds: Folds,
    seeds: Sequence[int],
    *,
    cache: Path | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """All figures of one row but its name.

    Args:
        candidates: configurations of the same classes and rate, the simplest first; rivals get the windows of the first.
        recs: recordings of these classes, all of them in `folds`.
        folds: which are held out together.
        seeds: one training of the chosen configuration each; rivals use the first.
    """
    lacking = [rec.name for rec in recs if rec.name not in folds]
    if lacking:
        raise DatasetError(f"{lacking[0]} is in no fold")
    first = candidates[0]
    folds = {rec.name: folds[rec.name] for rec in recs}
    learner = _Learner(recs, seeds[0], cache, progress)
    parts = list(splits.outer(folds))
    choices: list[Choice] = []
    said: dict[str, list[list[Said]]] = {"float": [[] for _ in seeds], "int8": [[] for _ in seeds]}
    against: dict[str, list[Said]] = {name: [] for name in rivals.RIVALS}
    shared = rivals.features(first, recs, cache)
    for number, (train, tested) in enumerate(parts):
        step = f"fold {number + 1} of {len(parts)}"
        choice = choose(candidates, folds, train, learner)
        config = next(c for c in candidates if c.name == choice.name)
        choices.append(choice)
        for at, seed in enumerate(seeds):
            progress(f"{step}, {config.name}", at, len(seeds))
            for kind, result in _tested(config.reduced(seed=seed), choice, recs, train, tested, cache).items():
                said[kind][at].append(result)
        for name in against:
            progress(f"{step}, {name}", len(seeds), len(seeds))
            against[name].append(_rival(first, name, shared, train, tested, seeds[0]))
    return {
        "windows_per_verdict": max(windows_per_verdict(c) for c in candidates if c.name in {choice.name for choice in choices}),
        "seeds": len(seeds),
        **figures(said),
        "novelty_auroc": None,
        "rivals": {
            name: {"single": window_scores(parts)["balanced_accuracy"], "verdict": verdict_scores(parts)["balanced_accuracy"]}
            for name, parts in against.items()
        },
        "reasons": {"novelty_auroc": NO_NOVELTY},
        "chosen": [
            {"fold": n, "config": c.name, "inner": c.scores, "temperature": c.temperature} for n, c in enumerate(choices)
        ],
        "recordings": {
            name: sum(first.data.class_of(rec) == name and folds[rec.name].fold >= 0 for rec in recs) for name in first.classes
        },
    }


def of_config(config: Config, folder: Path, progress: Progress = silent) -> dict[str, Any]:
    """The row of one configuration over its own folds: nothing to choose, every recording held out once.

    Raises:
        DatasetError: the set comes split into train and test.
    """
    recs = [rec for rec in recording.load_folder(folder) if config.data.class_of(rec)]
    folds = splits.of_config(config, recs)
    return row([config], recs, folds, SEEDS, cache=dataset.cache_folder(), progress=progress)


def variant_of(config: Config, recs: Sequence[Recording], variant: str) -> tuple[Config, list[Recording]]:
    """The configuration and the recordings that it has classes for, changed as the variant says.

    plain: nothing is changed.
    gain_detrended: each recording at a level of its own, of which the features know nothing either; slow trend removed.
    no_bearing: without that class.
    """
    if variant == "no_bearing":
        labels = {label: name for label, name in config.data.labels.items() if name != "bearing"}
        classes = tuple(name for name in config.classes if name != "bearing")
        config = dataclasses.replace(config, classes=classes, data=dataclasses.replace(config.data, labels=labels))
    if variant == "gain_detrended":
        config = dataclasses.replace(config, params=dataclasses.replace(config.params, level=contract.Level.RELATIVE))
        recs = [gain_detrended(rec) for rec in recs]
    return config, [rec for rec in recs if config.data.class_of(rec)]


def gain_detrended(rec: Recording) -> Recording:
    """Piecewise straight lines taken out, and a gain of ±12 dB drawn from the recording's name.

    All gains lie 12 dB lower, 0 to -24 dB: level means nothing afterwards, and the strongest recordings must not clip.
    """
    draw = int.from_bytes(hashlib.sha256(rec.name.encode()).digest()[:8], "little")
    gain_db = np.random.default_rng(draw).uniform(-GAIN_DB, GAIN_DB) - GAIN_DB
    breaks = np.arange(0, len(rec.samples), round(TREND_S * rec.rate_hz))
    level = detrend(rec.samples.astype(np.float64), axis=0, bp=breaks)
    samples = np.clip(np.rint(level * 10 ** (gain_db / 20)), -32768, 32767).astype(np.int16)
    return dataclasses.replace(rec, samples=samples)


def choose(candidates: Sequence[Config], folds: Folds, train: frozenset[str], learner: _Learner) -> Choice:
    """The candidate with the best verdicts on inner folds of the training part; the earlier one where two are equal."""
    from whir_ml import temperature

    scores: dict[str, tuple[float, float]] = {}
    said: dict[str, list[Said]] = {}
    for config in candidates:
        said[config.name] = parts = [learner.said(config, rest, judged) for rest, judged in splits.inner(folds, train)]
        scores[config.name] = verdict_scores(parts)["balanced_accuracy"], window_scores(parts)["balanced_accuracy"]
    taken = max(scores, key=lambda name: scores[name])
    return Choice(taken, scores, temperature.fitted(said[taken]))


class _Learner:
    """Trains candidates for inner validation and remembers what they said of each recording that they had not learned from:
    leaving out a and b serves the outer folds a and b."""

    def __init__(self, recs: Sequence[Recording], seed: int, cache: Path | None, progress: Progress) -> None:
        self.recs, self.seed, self.cache, self.progress = recs, seed, cache, progress
        self.heard: dict[tuple[str, frozenset[str]], dict[str, Probabilities]] = {}

    def said(self, config: Config, train: frozenset[str], judged: frozenset[str]) -> Said:
        config = config.reduced(seed=self.seed)
        key = config.name, train
        if key not in self.heard:
            self.progress(f"inner validation, {config.name}", len(self.heard), 0)
            trained = _fit(config, _of(self.recs, train), self.cache)
            others = [rec for rec in self.recs if rec.name not in train]
            features = [dataset.examples(config, [rec], cache=self.cache).features for rec in others]
            self.heard[key] = {rec.name: trained.predict(x) for rec, x in zip(others, features, strict=True)}
        examples = dataset.examples(config, _of(self.recs, judged), cache=self.cache)
        return Said(config, examples, np.concatenate([self.heard[key][rec.name] for rec in examples.recordings]))


def _fit(config: Config, train: tuple[Recording, ...], cache: Path | None) -> Any:
    from whir_ml.train import fit

    lacking = set(config.classes) - {config.data.class_of(rec) for rec in train}
    if lacking:
        raise DatasetError(f"{config.name}: no training recording of class {min(lacking)}")
    return fit(config, dataset.training_examples(config, Split(train, ()), cache=cache))


def _tested(
    config: Config,
    choice: Choice,
    recs: Sequence[Recording],
    train: frozenset[str],
    tested: frozenset[str],
    cache: Path | None,
) -> dict[str, Said]:
    """One training on the whole training part, as float and as int8."""
    from whir_ml.export import export

    learned = _of(recs, train)
    trained = _fit(config, learned, cache).at_temperature(choice.temperature)
    plain = dataset.examples(config, learned, cache=cache)
    held_out = dataset.examples(config, _of(recs, tested), cache=cache)
    exported = export(trained, plain, held_out)
    return {
        "float": Said(config, held_out, trained.predict(held_out.features)),
        "int8": Said(config, held_out, exported.permille(exported.run(held_out.features))),
    }


def _rival(
    config: Config, name: str, shared: rivals.RivalExamples, train: frozenset[str], tested: frozenset[str], seed: int
) -> Said:
    examples = shared.examples
    names = np.array([rec.name for rec in examples.recordings])[examples.recording]
    learned, asked = np.isin(names, list(train)), np.isin(names, list(tested))
    estimator = rivals.RIVALS[name](len(config.classes), seed)
    estimator.fit(shared.x[learned], examples.target[learned])
    return Said(config, examples.where(asked), estimator.predict_proba(shared.x[asked]))


def _of(recs: Sequence[Recording], names: frozenset[str]) -> tuple[Recording, ...]:
    return tuple(rec for rec in recs if rec.name in names)


def figures(said: dict[str, list[list[Said]]]) -> dict[str, Any]:
    """Means over seeds, interval, and wrong recordings, from what was said as [kind][seed][fold]."""
    floats, ints = ([verdict_scores(parts) for parts in said[kind]] for kind in ("float", "int8"))
    classes = said["int8"][0][0].config.classes
    recordings = tally(said["int8"])
    return {
        "balanced_accuracy_float": _mean([s["balanced_accuracy"] for s in floats]),
        "balanced_accuracy_int8": _mean([s["balanced_accuracy"] for s in ints]),
        "single_window_int8": _mean([window_scores(parts)["balanced_accuracy"] for parts in said["int8"]]),
        "ci95": interval(recordings),
        "macro_f1": _mean([s["macro_f1"] for s in ints]),
        "recall": {name: _mean([s["recall"][name] for s in ints]) for name in classes},
        "wrong_recordings": [entry for entry in recordings if entry["wrong"]],
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
