"""How good a model is on recordings that it has never seen: float against int8, windows against verdicts, and where it fails.

Float evaluation uses scaled features, int8 evaluation the bytes that the core's code and engine give: nothing of the way that
a node goes is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from whir_contracts import contract
from whir_ml import dataset
from whir_ml.config import Config
from whir_ml.dataset import Examples, Progress, silent
from whir_ml.errors import DatasetError
from whir_ml.export import Exported, export
from whir_ml.train import Trained, fit

CALIBRATION_STEPS: Final = (10, 50, 100, 200, 500)

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


def evaluate(
    trained: Trained,
    exported: Exported,
    train: Examples,
    held_out: Examples,
    *,
    calibration: bool = True,
    progress: Progress = silent,
) -> dict[str, Any]:
    """All figures of a model as plain values; `calibration` adds the loss against the number of calibration windows."""
    config = trained.config
    p_float = trained.predict(held_out.features)
    p_int8 = exported.permille(exported.run(held_out.features))
    v_float, v_int8 = verdicts(config, held_out, p_float), verdicts(config, held_out, p_int8)
    report = {
        "name": config.name,
        "classes": list(config.classes),
        "data": {
            "set": config.data.set,
            "split": "by_recording",
            "train": _counts(config, train),
            "held_out": _counts(config, held_out),
            "held_out_recordings": [rec.name for rec in held_out.recordings],
        },
        "windows_per_verdict": windows_per_verdict(config),
        "float": {
            "bytes": exported.float_bytes,
            "window": score(config.classes, held_out.target, p_float),
            "verdict": score(config.classes, v_float.target, v_float.mean),
        },
        "int8": {
            "bytes": len(exported.model),
            "window": score(config.classes, held_out.target, p_int8),
            "verdict": score(config.classes, v_int8.target, v_int8.mean),
        },
        "bytes_ratio": exported.float_bytes / len(exported.model),
        "windows_changed_by_int8": int((p_float.argmax(axis=1) != p_int8.argmax(axis=1)).sum()),
        "verdicts_changed_by_int8": int((v_float.mean.argmax(axis=1) != v_int8.mean.argmax(axis=1)).sum()),
        "wrong_recordings": wrong_recordings(config, held_out, v_int8),
        "alarms": alarms(config, v_int8),
        "severity": by_severity(config, held_out, p_int8, v_int8),
        "cost": exported.described(),
        "training": {"epochs": config.training.epochs, "seed": config.training.seed, "loss": list(trained.losses)},
    }
    if calibration:
        report["calibration"] = calibration_curve(trained, train, held_out, progress)
    return report


def alarms(config: Config, v: Verdicts) -> dict[str, Any]:
    """What reaches raise_permille (means in permille): share of each fault's verdicts, and how many verdicts reach it for a
    fault that is not there."""
    reached = v.mean >= config.decide.raise_permille
    there = v.target[:, None] == np.arange(len(config.classes))
    share = {name: float(reached[there[:, k], k].mean()) for k, name in enumerate(config.classes) if k > 0}
    return {"raise_permille": config.decide.raise_permille, "raised": share, "false": int((reached & ~there)[:, 1:].sum())}


def wrong_recordings(config: Config, examples: Examples, v: Verdicts) -> list[dict[str, Any]]:
    """Recordings of which at least one verdict is wrong, with what was said instead."""
    wrong = []
    for number, rec in enumerate(examples.recordings):
        own = np.flatnonzero(v.recording == number)
        said = v.mean[own].argmax(axis=1)
        missed = said != v.target[own]
        if missed.any():
            names = sorted({config.classes[index] for index in said[missed]})
            wrong.append(
                {
                    "recording": rec.name,
                    "label": rec.label,
                    "sublabel": rec.sublabel,
                    "rpm": None if np.isnan(rec.rpm) else rec.rpm,
                    "verdicts": len(own),
                    "wrong": int(missed.sum()),
                    "said": names,
                }
            )
    return wrong


def by_severity(config: Config, examples: Examples, p: Probabilities, v: Verdicts) -> list[dict[str, Any]]:
    """Faults by severity: share of windows and verdicts that say the healthy class (missed), or another than the truth (wrong).

    The severity is what a sublabel carries as `_s<n>`, else the whole sublabel.
    """
    rows: dict[tuple[str, str], list[int]] = {}
    for number, rec in enumerate(examples.recordings):
        if config.data.class_of(rec) == config.classes[0]:
            continue
        found = re.search(r"_s(\d+)$", rec.sublabel)
        rows.setdefault((rec.label, found[1] if found else rec.sublabel), []).append(number)
    table = []
    for (label, severity), numbers in sorted(rows.items()):
        w, d = np.isin(examples.recording, numbers), np.isin(v.recording, numbers)
        said_w, said_d = p[w].argmax(axis=1), v.mean[d].argmax(axis=1)
        table.append(
            {
                "label": label,
                "severity": severity,
                "recordings": len(numbers),
                "windows": int(w.sum()),
                "window_miss_rate": float((said_w == 0).mean()),
                "window_wrong_rate": float((said_w != examples.target[w]).mean()),
                "verdicts": int(d.sum()),
                "verdict_miss_rate": float((said_d == 0).mean()),
                "verdict_wrong_rate": float((said_d != v.target[d]).mean()),
            }
        )
    return table


def calibration_curve(
    trained: Trained, train: Examples, held_out: Examples, progress: Progress = silent
) -> list[dict[str, Any]]:
    """Held-out cross-entropy and balanced accuracy of the int8 model against the number of calibration windows."""
    curve = []
    config = trained.config
    for number, count in enumerate(CALIBRATION_STEPS, start=1):
        exported = export(trained, train, held_out, calibration_windows=count)
        p = exported.permille(exported.run(held_out.features))
        v = verdicts(config, held_out, p)
        curve.append(
            {
                "windows": count,
                "loss": cross_entropy(held_out.target, p / 1000),
                "balanced_accuracy": score(config.classes, held_out.target, p)["balanced_accuracy"],
                "verdict_balanced_accuracy": score(config.classes, v.target, v.mean)["balanced_accuracy"],
            }
        )
        progress("calibration curve", number, len(CALIBRATION_STEPS))
    return curve


def cross_entropy(target: NDArray[np.int64], p: Probabilities) -> float:
    """Mean negative log probability of the truth, nats; no probability counts as less than half a permille."""
    return float(-np.log(np.maximum(p[np.arange(len(target)), target], 5e-4)).mean())


def cross_validate(
    config: Config, *, rivals: bool = True, data_root: Path | None = None, progress: Progress = silent
) -> dict[str, Any]:
    """By-recording folds of the config's list: every recording is held out once; figures over all verdicts together.

    Rivals (logistic regression, LDA, random forest) get the same features of the same windows, without the network's
    augmentation, and balanced class weights.
    """
    if config.data.folds is None:
        raise DatasetError(f"{config.name}: the set comes split into train and test; there are no folds to go through")
    folder = dataset.folder_of(config, data_root, progress)
    folds = 1 + max(dataset.read_folds(config.folder / config.data.folds).values())
    cache = dataset.cache_folder()
    said: dict[str, list[Verdicts]] = {}
    single: dict[str, list[tuple[NDArray[np.int64], Probabilities]]] = {}
    wrong: list[dict[str, Any]] = []
    for fold in range(folds):
        split = dataset.load(config, folder, held_out_fold=fold)
        plain = dataset.examples(config, split.train, cache=cache)
        held_out = dataset.examples(config, split.held_out, cache=cache)
        trained = fit(config, dataset.training_examples(config, split, cache=cache), progress)
        exported = export(trained, plain, held_out)
        models: dict[str, Probabilities] = {
            "float": trained.predict(held_out.features),
            "int8": exported.permille(exported.run(held_out.features)),
        }
        if rivals:
            x, y = trained.scaler.apply(config, plain.features), plain.target
            x, tested = x.reshape(len(x), -1), trained.scaler.apply(config, held_out.features)
            for name, make in _RIVALS.items():
                models[name] = make(config).fit(x, y).predict_proba(tested.reshape(len(tested), -1))
        for name, p in models.items():
            said.setdefault(name, []).append(verdicts(config, held_out, p))
            single.setdefault(name, []).append((held_out.target, p))
        wrong += wrong_recordings(config, held_out, said["int8"][-1])
        progress("folds", fold + 1, folds)
    scores = {}
    for name in said:
        joined = np.concatenate([v.target for v in said[name]]), np.concatenate([v.mean for v in said[name]])
        windows = np.concatenate([t for t, _ in single[name]]), np.concatenate([p for _, p in single[name]])
        scores[name] = {"verdict": score(config.classes, *joined), "window": score(config.classes, *windows)}
    return {"folds": folds, "list": config.data.folds, "scores": scores, "wrong_recordings": wrong}


def _counts(config: Config, examples: Examples) -> dict[str, Any]:
    """Recordings and windows of each class."""
    of = [config.data.class_of(rec) for rec in examples.recordings]
    return {
        name: {"recordings": of.count(name), "windows": int((examples.target == index).sum())}
        for index, name in enumerate(config.classes)
    }


def _logistic(config: Config) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=0.1, class_weight="balanced", max_iter=500)


def _lda(config: Config) -> Any:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    classes = len(config.classes)
    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage=1e-3, priors=[1 / classes] * classes)


def _forest(config: Config) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(200, class_weight="balanced", random_state=config.training.seed)


_RIVALS: Final[dict[str, Callable[[Config], Any]]] = {"lr": _logistic, "lda": _lda, "rf": _forest}
