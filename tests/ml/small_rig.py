"""A small rig of three conditions that a network learns in a second: recordings, config and folds in one folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from whir_contracts import recording
from whir_contracts.recording import IndexRow, Recording

RATE_HZ = 1000
RECORDINGS_PER_CLASS = 6

CONFIG = """
[model]
name = "rig"
classes = ["normal", "hum", "knock"]
hardware_class = "esp32"
scope = "any_machine"
[data]
set = "rig"
folds = "folds.csv"
held_out_fold = 0
[data.labels]
normal = "normal"
hum = "hum"
knock = "knock"
[features]
rate_hz = 1000
bandwidth_hz = 400
range_mg = 2000
noise_ug_rthz_max = 1000
axes = ["x", "y", "z"]
unit = "g"
lsb_nano = 100000
window_samples = 256
hop_samples = 256
verdict_windows = 8
kind = "bands"
level = "relative"
stats = ["crest"]
band_edges_bins = [1, 8, 16, 32, 64, 128]
[[layer]]
kind = "dense"
units = 8
[training]
epochs = 12
learning_rate = 0.01
weight_decay = 0.001
batch_windows = 32
hop_samples = 128
seed = 3
noise = 0.5
whitening = 0.2
label_smoothing = 0.05
time_scales = [1.0, 1.1]
[calibration]
windows = 60
"""


def _signal(label: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """Acceleration in g, (3 s, 3): noise, and a 50 Hz hum or ten knocks a second."""
    time_s = np.arange(3 * RATE_HZ) / RATE_HZ
    x = rng.normal(0, 0.02, (len(time_s), 3))
    level = rng.uniform(0.5, 1.0)
    if label == "hum":
        x += level * 0.1 * np.sin(2 * np.pi * 50 * time_s + rng.uniform(0, 6))[:, None]
    if label == "knock":
        x[:: RATE_HZ // 10] += level * np.array([0.5, 0.4, 0.3])
    return x


def write(root: Path) -> None:
    """Make the data root `root`: the set `rig`, its config `rig.toml` and its folds."""
    rng = np.random.default_rng(7)
    rows, folds = [], ["recording,fold"]
    for label in ("normal", "hum", "knock"):
        for number in range(RECORDINGS_PER_CLASS):
            rec = Recording(
                name=f"{label}{number}",
                samples=np.rint(_signal(label, rng) / 1e-4).astype(np.int16),
                scale=np.full(3, 1e-4, np.float32),
                offset=np.zeros(3, np.float32),
                rate_hz=RATE_HZ,
                unit="g",
                channels=("x", "y", "z"),
                label=label,
                sublabel=label if label == "normal" else f"{label}_s{1 + number % 2}",
                rpm=1500.0,
            )
            file = f"recordings/{rec.name}.npz"
            recording.save(rec, root / "rig" / file)
            rows.append(IndexRow.of(rec, file, "test"))
            folds.append(f"{rec.name},{number % 3}")
    recording.write_index(root / "rig", rows)
    (root / "rig.toml").write_text(CONFIG)
    (root / "folds.csv").write_text("\n".join(folds) + "\n")
