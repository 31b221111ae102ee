"""A capture as two charts: the spectrum with the machine's fault frequencies and its baseline, and the waveform."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sqlalchemy.orm import Session

from whir_fleet import captures
from whir_fleet.console.units import Units
from whir_fleet.evidence import Shaft
from whir_fleet.models import Capture

Values = npt.NDArray[np.float64]

POINTS: Final = 1200  # of a line on the page
ROWS: Final = 24  # of a waterfall
CELLS: Final = 160
_RACES: Final = ("BPFO", "BPFI")  # marked with their harmonics
_HARMONICS: Final = 3


def spectrum(capture: Capture) -> tuple[Values, Values]:
    """(Hz, amplitude in the capture's unit) with a Hann window, the axes together."""
    values = captures.values(capture)
    values = values - values.mean(axis=0)
    window = np.hanning(len(values))
    lines = np.abs(np.fft.rfft(values * window[:, None], axis=0)) * 2 / max(window.sum(), 1e-12)
    hz: Values = np.fft.rfftfreq(len(values), 1000 / capture.rate_mhz).astype(np.float64)
    return hz, np.sqrt((lines**2).sum(axis=1)).astype(np.float64)


def highest(values: Values, count: int) -> Values:
    """At most `count` values, each the highest of its share: a line is not lost between two points."""
    if len(values) <= count:
        return values
    edges = np.linspace(0, len(values), count + 1).astype(int)[:-1]
    return np.maximum.reduceat(values, edges)


def spectrum_chart(
    session: Session, capture: Capture, units: Units, to_hz: float | None, marks: list[dict[str, Any]]
) -> dict[str, Any]:
    """Lines: the mean of the point's earlier ones where there are any, then this capture. None: up to half the rate."""
    hz, amplitude = spectrum(capture)
    shown = hz <= (to_hz or hz[-1])
    before = [np.interp(hz, *spectrum(one)) for one in captures.baseline(session, capture)]
    lines = [*([np.mean(before, axis=0)] if before else []), amplitude]
    step = np.linspace(0, hz[shown][-1], min(POINTS, int(shown.sum())))
    unit, scale = _unit(capture, units)
    return {
        "unit": unit,
        "x_unit": "Hz",
        "x": [round(float(value), 2) for value in step],
        "lines": [[float(f"{value * scale:.4g}") for value in highest(line[shown], POINTS)] for line in lines],
        "marks": [mark for mark in marks if mark["at"] <= step[-1]],
    }


def waveform_chart(capture: Capture, units: Units) -> dict[str, Any]:
    """Seconds from the trigger on; each axis as the lowest and the highest value of every stretch, in turn."""
    values = captures.values(capture)
    unit, scale = _unit(capture, units)
    stretch = max(1, -(-len(values) // (POINTS // 2)))
    whole = values[: len(values) // stretch * stretch].reshape(-1, stretch, capture.channels)
    pairs = np.stack([whole.min(axis=1), whole.max(axis=1)], axis=1).reshape(-1, capture.channels) * scale
    rate = capture.rate_mhz / 1000
    seconds = (np.arange(len(pairs)) * stretch / 2 - capture.pre) / rate
    return {
        "unit": unit,
        "x_unit": "s",
        "x": [round(float(value), 4) for value in seconds],
        "lines": [[float(f"{value:.4g}") for value in axis] for axis in pairs.T],
        "marks": [{"at": 0.0, "label": "0"}],
    }


def waterfall(session: Session, newest: list[Capture], to_hz: float) -> dict[str, Any] | None:
    """Spectra one above the other, decibels below the strongest line of all; the newest first."""
    if len(newest) < 2:
        return None
    edges = np.linspace(0, to_hz, CELLS + 1)
    rows = []
    for capture in newest[:ROWS]:
        hz, amplitude = spectrum(capture)
        rows.append([float(amplitude[(hz >= a) & (hz < b)].max(initial=0)) for a, b in pairwise(edges)])
    level = 20 * np.log10(np.maximum(np.array(rows), 1e-9) / max(np.max(rows), 1e-9))
    return {
        "to_hz": to_hz,
        "at_ms": [c.at_ms for c in newest[:ROWS]],
        "rows": np.clip(np.round(level), -60, 0).astype(int).tolist(),
    }


def marks(shaft: Shaft | None, orders: dict[str, float]) -> list[dict[str, Any]]:
    """The shaft's lines and its bearings', `orders` as `evidence.orders` names them. None without a speed."""
    if shaft is None:
        return []
    found = {f"{n}×": float(n) for n in (1, 2)}
    for name, order in orders.items():
        tone = name.split("|")[1].replace(" x ", "×")
        for n in range(1, _HARMONICS + 1 if tone in _RACES else 2):
            found.setdefault(f"{n if n > 1 else ''}{tone}", n * order)
    return [
        {"at": round(order * shaft.rpm / 60, 2), "label": label} for label, order in sorted(found.items(), key=lambda o: o[1])
    ]


def _unit(capture: Capture, units: Units) -> tuple[str, float]:
    if capture.unit == "volt":
        return "V", 1.0
    return units.acceleration_unit, units.acceleration(1000, capture.unit)
