"""A picture of one recording: each channel's waveform, spectrum, and the low orders of the shaft."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from whir_contracts.recording import Recording

INK: Final = "#22303c"
MUTED: Final = "#8a97a3"
TRACES: Final = ("#1f6f8b", "#c8553d", "#588157")
WAVE_REVOLUTIONS: Final = 10
ORDERS_SHOWN: Final = 12


def spectrum(values: NDArray[np.float64], rate_hz: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies in Hz and amplitude spectrum (peak of a sine, bins, channels), averaged over Hann windows of 1 s."""
    size = min(len(values), max(256, round(rate_hz)))
    hop = max(1, size // 2)
    window = np.hanning(size)[:, None]
    power = np.zeros((size // 2 + 1, values.shape[1]))
    starts = range(0, len(values) - size + 1, hop)
    for start in starts:
        block = values[start : start + size]
        power += np.abs(np.fft.rfft((block - block.mean(axis=0)) * window, axis=0)) ** 2
    freq = np.arange(size // 2 + 1, dtype=np.float64) * (rate_hz / size)
    amplitude: NDArray[np.float64] = np.sqrt(power / len(starts)) * float(2 / np.hanning(size).sum())
    return freq, amplitude


def draw(rec: Recording, path: Path) -> None:
    """Write the picture as PNG. Multiples of the speed are marked where the speed is known."""
    shaft_hz = rec.rpm / 60 if rec.rpm > 0 else math.nan
    values = rec.physical()
    freq, amplitude = spectrum(values, rec.rate_hz)
    columns = 2 if math.isnan(shaft_hz) else 3
    figure = Figure(figsize=(5.2 * columns, 1.5 + 2.1 * len(rec.channels)), dpi=110, layout="constrained")
    grid = figure.subplots(len(rec.channels), columns, squeeze=False, sharex="col")
    for row, channel in enumerate(rec.channels):
        color = TRACES[row % len(TRACES)]
        _wave(grid[row, 0], rec, values[:, row], shaft_hz, color)
        _spectrum(grid[row, 1], rec, freq, amplitude[:, row], color)
        if columns == 3:
            _orders(grid[row, 2], rec, freq / shaft_hz, amplitude[:, row], color)
        grid[row, 0].set_ylabel(f"{channel}  [{rec.unit}]", color=INK)
    titles = (
        "Waveform, mean removed",
        f"Amplitude spectrum [{rec.unit}]",
        f"The same by orders of the shaft speed [{rec.unit}]",
    )
    labels = ("time [s]", "frequency [Hz]", "order [× speed]")
    for column in range(columns):
        grid[0, column].set_title(titles[column], loc="left", fontsize=10, color=INK)
        grid[-1, column].set_xlabel(labels[column], color=INK)
    figure.suptitle(_title(rec), x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, facecolor="white")


def _title(rec: Recording) -> str:
    parts = [rec.name, rec.label if rec.sublabel in ("", rec.label) else f"{rec.label} / {rec.sublabel}"]
    parts.append(f"{rec.rate_hz:g} Hz, {rec.seconds:.3g} s")
    parts.append("speed unknown" if math.isnan(rec.rpm) else f"{rec.rpm:g} rpm")
    if rec.load:
        parts.append(f"load {rec.load}")
    return "   ·   ".join(parts)


def _wave(axes: Axes, rec: Recording, values: NDArray[np.float64], shaft_hz: float, color: str) -> None:
    """Ten revolutions, or a fifth of a second: more would be a solid bar."""
    span_s = 0.2 if math.isnan(shaft_hz) else WAVE_REVOLUTIONS / shaft_hz
    count = min(len(values), max(64, round(span_s * rec.rate_hz)))
    centered = values - values.mean()
    axes.plot(np.arange(count) / rec.rate_hz, centered[:count], color=color, linewidth=0.8)
    axes.set_xlim(0, count / rec.rate_hz)
    rms, peak = float(centered.std()), float(np.abs(centered).max())
    _note(axes, f"RMS {rms:.3g}, peak {peak:.3g} {rec.unit}, crest {peak / rms:.1f}")
    _style(axes)


def _spectrum(axes: Axes, rec: Recording, freq: NDArray[np.float64], amplitude: NDArray[np.float64], color: str) -> None:
    axes.semilogy(freq[1:], amplitude[1:], color=color, linewidth=0.7)
    axes.set_xlim(0, rec.rate_hz / 2)
    _style(axes)


def _orders(axes: Axes, rec: Recording, order: NDArray[np.float64], amplitude: NDArray[np.float64], color: str) -> None:
    shown = (order > 0.2) & (order < ORDERS_SHOWN)
    for multiple in (1, 2, 3):
        axes.axvline(multiple, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.annotate(
            f"{multiple}×", (multiple, 1.0), xycoords=("data", "axes fraction"), xytext=(2, -10), textcoords="offset points",
            fontsize=8, color=MUTED,
        )  # fmt: skip
    axes.semilogy(order[shown], amplitude[shown], color=color, linewidth=0.9)
    axes.set_xlim(0, min(ORDERS_SHOWN, float(order[-1])))
    _style(axes)


def _note(axes: Axes, text: str) -> None:
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5}
    axes.annotate(
        text, (0.99, 0.97), xycoords="axes fraction", ha="right", va="top", fontsize=7.5, color=INK, bbox=box
    )  # fmt: skip


def _style(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(colors=INK, labelsize=8)
    axes.grid(True, color="#e6eaee", linewidth=0.6)
    axes.set_axisbelow(True)
