"""The picture of a recording: its numbers are right and the PNG holds a drawing."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from whir_contracts.recording import Recording
from whir_ml import inspect


def make(rpm: float, channels: tuple[str, ...] = ("x", "y", "z")) -> Recording:
    time = np.arange(4000) / 2000.0
    waves = np.column_stack([np.sin(2 * np.pi * 25 * (axis + 1) * time) for axis in range(len(channels))])
    return Recording(
        name="fan",
        samples=np.rint(waves * 2000).astype(np.int16),
        scale=np.full(len(channels), 1e-4, np.float32),
        offset=np.full(len(channels), 1.0, np.float32),
        rate_hz=2000.0,
        unit="g",
        channels=channels,
        label="imbalance",
        sublabel="imbalance_s2",
        rpm=rpm,
    )


def test_the_spectrum_shows_a_sine_with_its_amplitude_at_its_frequency() -> None:
    freq, amplitude = inspect.spectrum(make(1500.0).physical(), 2000.0)
    for axis in range(3):
        assert freq[amplitude[:, axis].argmax()] == pytest.approx(25 * (axis + 1))
        assert amplitude[:, axis].max() == pytest.approx(0.2, rel=1e-3)


def test_a_recording_shorter_than_a_second_has_a_spectrum() -> None:
    freq, amplitude = inspect.spectrum(make(1500.0).physical()[:300], 2000.0)
    assert freq[-1] == 1000
    assert amplitude.shape == (len(freq), 3)


@pytest.mark.parametrize(
    ("rpm", "channels"), [(1500.0, ("x", "y", "z")), (math.nan, ("x", "y", "z")), (1500.0, ("drive_end",))]
)
def test_the_png_has_a_panel_per_channel_and_one_more_column_where_the_speed_is_known(
    tmp_path: Path, rpm: float, channels: tuple[str, ...]
) -> None:
    inspect.draw(make(rpm, channels), tmp_path / "new" / "fan.png")
    pixels = imread(tmp_path / "new" / "fan.png")[:, :, :3]
    columns = 2 if math.isnan(rpm) else 3
    assert pixels.shape[1] == pytest.approx(5.2 * columns * 110, abs=2)
    assert pixels.shape[0] == pytest.approx((1.5 + 2.1 * len(channels)) * 110, abs=2)
    for axis in range(len(channels)):
        color = np.array([int(inspect.TRACES[axis][place : place + 2], 16) for place in (1, 3, 5)]) / 255
        drawn = np.abs(pixels - color).max(axis=2) < 0.02
        share = pixels.shape[1] // columns
        assert all(drawn[:, column * share : (column + 1) * share].sum() > 100 for column in range(columns))
