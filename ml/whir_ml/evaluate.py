"""How good a model is on recordings that it has never seen: float against int8, windows against verdicts, and where it fails.

Float evaluation uses scaled features, int8 evaluation the bytes that the core's code and engine give: nothing of the way that
a node goes is left out.
"""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np

from whir_ml.alerting import on_recordings
from whir_ml.config import Config
from whir_ml.dataset import Examples, Progress, silent
from whir_ml.export import Exported, export
from whir_ml.scores import (
    Probabilities,
    Said,
    Verdicts,
    cross_entropy,
    interval,
    score,
    tally,
    verdicts,
    windows_per_verdict,
)
from whir_ml.temperature import reliability, softened
from whir_ml.train import Trained

CALIBRATION_STEPS: Final = (10, 50, 100, 200, 500)


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
    v_before = verdicts(config, held_out, softened(p_float, 1 / trained.temperature))
    recordings = tally([[Said(config, held_out, p_int8)]])
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
            "ci95": interval(tally([[Said(config, held_out, p_float)]])),
        },
        "int8": {
            "bytes": len(exported.model),
            "window": score(config.classes, held_out.target, p_int8),
            "verdict": score(config.classes, v_int8.target, v_int8.mean),
            "ci95": interval(recordings),
        },
        "bytes_ratio": exported.float_bytes / len(exported.model),
        "windows_changed_by_int8": int((p_float.argmax(axis=1) != p_int8.argmax(axis=1)).sum()),
        "verdicts_changed_by_int8": int((v_float.mean.argmax(axis=1) != v_int8.mean.argmax(axis=1)).sum()),
        "wrong_recordings": [entry for entry in recordings if entry["wrong"]],
        "reliability": {
            "temperature": trained.temperature,
            "before": reliability(v_before),
            "float": reliability(v_float),
            "int8": reliability(v_int8),
        },
        "on_recordings": on_recordings(config, held_out, p_int8),
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


def _counts(config: Config, examples: Examples) -> dict[str, Any]:
    """Recordings and windows of each class."""
    of = [config.data.class_of(rec) for rec in examples.recordings]
    return {
        name: {"recordings": of.count(name), "windows": int((examples.target == index).sum())}
        for index, name in enumerate(config.classes)
    }
