"""Small files in the layouts that importers read, made here; the layouts' sources stand in docs/DATA.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

Array = NDArray[np.float64]


def vibration(count: int, channels: int = 1, seed: int = 1, rms: float = 0.1) -> Array:
    """Noise that no check finds fault with, (count, channels)."""
    return np.random.default_rng(seed).normal(0, rms, (count, channels))


def write_csv(path: Path, values: Array, header: str = "", separator: str = ",", comment: str = "") -> None:
    lines = [comment, header.replace(",", separator)]
    lines += [separator.join(f"{value:.9g}" for value in row) for row in values]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(line for line in lines if line) + "\n")


def timed(values: Array, rate_hz: float, digits: int = 9) -> Array:
    """Values behind a column of time stamps in seconds."""
    stamps = np.round(np.arange(len(values)) / rate_hz, digits)
    return np.column_stack([stamps, values])


def write_cwru(path: Path, values: Array, number: int = 97, rpm: int | None = 1796, **more: Any) -> None:
    """X097_DE_time, X097_FE_time, X097_BA_time as columns, X097RPM as a 1 x 1 matrix."""
    content: dict[str, Any] = {
        f"X{number:03d}_{place}_time": values[:, [index]] for index, place in enumerate(("DE", "FE", "BA")[: values.shape[1]])
    }
    if rpm is not None:
        content[f"X{number:03d}RPM"] = np.array([[rpm]])
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, more | content, format="5")


def write_paderborn(path: Path, vibrations: Array, rpm: float | None = 1498.0) -> None:
    """A struct named as the file with fields Info, X, Y, Description; Y has the signals in the order of the real files."""
    count = len(vibrations)
    slow = max(1, count // 16)
    signals: list[tuple[str, Array, str]] = [("force", np.full(slow, 1000.0), "Mech_4kHz")]
    signals += [(f"phase_current_{phase}", np.sin(np.arange(count) * 0.01 + phase), "HostService") for phase in (1, 2)]
    if rpm is not None:
        signals.append(("speed", np.full(slow, rpm), "Mech_4kHz"))
    signals.append(("temp_2_bearing_module", np.full(5, 45.0), "Temp_1Hz"))
    signals += [(f"vibration_{number}", column, "HostService") for number, column in enumerate(vibrations.T, start=1)]
    entries = np.zeros((1, len(signals)), dtype=[("Name", "O"), ("Type", "O"), ("Data", "O"), ("Unit", "O"), ("Raster", "O")])
    for index, (name, data, raster) in enumerate(signals):
        entries[0, index] = (name, "Real", data[None, :], "", raster)
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {path.stem: {"Info": "made in a test", "X": np.zeros(1), "Y": entries, "Description": ""}})


def write_mafaulda(path: Path, accelerations: Array, speed_hz: float) -> None:
    """Tachometer pulses of 5 V, one a revolution, six accelerations, a microphone."""
    time = np.arange(len(accelerations)) / 50_000
    tachometer = np.where((time * speed_hz) % 1 < 0.1, 4.6, -0.2) + vibration(len(time), seed=5, rms=0.02)[:, 0]
    microphone = vibration(len(time), seed=6)[:, 0]
    write_csv(path, np.column_stack([tachometer, accelerations, microphone]))
