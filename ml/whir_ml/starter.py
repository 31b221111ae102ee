"""A first training config for a data set: what its recordings say decides what can be; the rest is to be changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from whir_contracts.contract import VERDICT_CLASSES_MAX
from whir_contracts.recording import Recording, load_folder
from whir_ml.config import LEAVE_OUT
from whir_ml.errors import DatasetError
from whir_ml.rivals import band_edges

HEALTHY: Final = ("normal", "healthy", "good", "ok", "baseline")
RATES_HZ: Final = (4000, 2000, 1000, 500, 200)
WINDOW: Final = 256
BANDS: Final = 32
NAME_BYTES: Final = 23

_TEXT: Final = """\
# Made by `whir data config` for {set}: {count} recordings. Change what you know better; ml/configs has examples.

[model]
name = "{name}"
classes = [{classes}]  # the healthy one first
hardware_class = "esp32"
scope = "{scope}"  # training_rig: this machine and sensor alone; any_machine: then `level` must be relative, or the unit g

[data]
set = "{set}"
# What is never learned from and judges the model: leave out one {choices}.
# A label that is not in the list below is unknown to the model: with a fault left out it is asked about as novel.
leave_out = "{leave_out}"
held_out = "{held_out}"

[data.labels]
{labels}

[features]
rate_hz = {rate_hz}
bandwidth_hz = {bandwidth_hz}
range_mg = {range_mg}
noise_ug_rthz_max = 300
axes = [{axes}]
unit = "{unit}"
lsb_nano = {lsb_nano}
window_samples = {window}
hop_samples = {window}
verdict_windows = 8
kind = "bands"
level = "{level}"
stats = ["rms", "crest", "kurtosis"]
band_edges_bins = {edges}

# One layer; a hidden one is `[[layer]]` with `kind = "dense"`, `units = 32`, `dropout = 0.2`. `whir search` finds others.
[training]
epochs = 12
learning_rate = 0.002
weight_decay = 0.001
batch_windows = 128
hop_samples = {hop}
seed = 1
noise = 1.0
whitening = 0.1
label_smoothing = 0.05
time_scales = [0.9, 0.95, 1.0, 1.05, 1.1]

[calibration]
windows = 500
"""


def config_for(folder: Path, name: str, leave_out: str | None = None, held_out: str | None = None) -> str:
    """The text of a config; without `leave_out` the first of machine, session, position, load and speed that leaves every class
    on both sides, else recordings.

    Raises:
        DatasetError: no healthy label, one class only or too many, or nothing that can be held out.
    """
    recs = list(load_folder(folder))
    labels = _classes(folder, recs)
    leave_out, held_out = _held_out(folder, recs, leave_out, held_out)
    slowest = min(rec.rate_hz for rec in recs)
    rate_hz = next((rate for rate in RATES_HZ if slowest >= rate), None)
    if rate_hz is None:
        raise DatasetError(f"{folder}: a recording of {slowest:g} Hz is too slow for a model")
    axes = "xyz"[: min(3, min(len(rec.channels) for rec in recs))]
    if max(len(rec.channels) for rec in recs) > 3:
        raise DatasetError(f"{folder}: recordings of more than three channels: choose three with --columns on import")
    units = {rec.unit for rec in recs}
    if len(units) > 1:
        raise DatasetError(f"{folder}: recordings in {' and '.join(sorted(units))}; a model hears one unit")
    unit = {"g": "g", "m/s^2": "mps2", "V": "volt"}[units.pop()]
    several = len({rec.machine for rec in recs}) > 1
    # A count that holds the largest swing, and a range that no recording falls short of.
    top = max(float((np.abs(rec.samples.astype(np.float64)) * rec.scale).max()) for rec in recs)
    return _TEXT.format(
        set=folder.name,
        count=len(recs),
        name=name[:NAME_BYTES],
        classes=", ".join(f'"{label}"' for label in labels),
        scope="any_machine" if several else "training_rig",
        choices=", ".join(LEAVE_OUT),
        leave_out=leave_out,
        held_out=held_out,
        labels="\n".join(f'"{label}" = "{label}"' for label in labels),
        rate_hz=rate_hz,
        bandwidth_hz=rate_hz * 2 // 5,
        range_mg=max(1, min(rec.sensor().range_milli for rec in recs)),
        axes=", ".join(f'"{axis}"' for axis in axes),
        unit=unit,
        lsb_nano=max(1, math.ceil(top / 30_000 * 1e9)),
        window=WINDOW,
        hop=WINDOW // 4,
        level="relative" if several else "absolute",
        edges=list(band_edges(WINDOW // 2, BANDS)),
    )


def _classes(folder: Path, recs: Sequence[Recording]) -> list[str]:
    """Labels, the healthy one first."""
    labels = sorted({rec.label for rec in recs})
    healthy = next((label for word in HEALTHY for label in labels if label.lower() == word), None)
    if healthy is None:
        raise DatasetError(
            f"{folder}: no recording is labelled normal (or {', '.join(HEALTHY[1:])}); there are {', '.join(labels)}"
        )
    if not 2 <= len(labels) <= VERDICT_CLASSES_MAX:
        raise DatasetError(
            f"{folder}: {len(labels)} labels ({', '.join(labels)}); a model tells 2 to {VERDICT_CLASSES_MAX} apart"
        )
    return [healthy, *(label for label in labels if label != healthy)]


def _held_out(folder: Path, recs: Sequence[Recording], leave_out: str | None, held_out: str | None) -> tuple[str, str]:
    """What to leave out, and which: the largest group that leaves every class on both sides."""
    if leave_out is not None and leave_out not in LEAVE_OUT:
        raise DatasetError(f"--leave-out {leave_out}: one of {', '.join(LEAVE_OUT)}")
    for what in [leave_out] if leave_out else ["machine", "session", "position", "load", "speed"]:
        if what == "recording":
            break
        groups: dict[str, list[Recording]] = {}
        for rec in recs:
            value = getattr(rec, LEAVE_OUT[what])
            groups.setdefault(f"{value:g}" if isinstance(value, float) else value, []).append(rec)
        if held_out is not None:
            return what, held_out
        classes = {rec.label for rec in recs}
        fit = [
            value
            for value, own in groups.items()
            if value not in ("", "nan")
            and {rec.label for rec in own} == classes == {rec.label for rec in recs if rec not in own}
        ]
        if fit and not {"", "nan"} & groups.keys():
            return what, max(fit, key=lambda value: len(groups[value]))
        if leave_out:
            said = ", ".join(sorted(groups)) or "nothing"
            raise DatasetError(
                f"{folder}: no {what} has recordings of every class and leaves some of each to learn from ({said})"
            )
    return "recording", held_out or "0"
