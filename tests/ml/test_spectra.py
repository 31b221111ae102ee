"""Spectra against signals whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from whir_contracts import recording
from whir_contracts.recording import DataFolderError
from whir_ml import spectra
from whir_ml.bearings import BEARINGS

RATE = 12000.0
SHAFT_HZ = 30.0
BPFO = 3.585


def sines(seconds: float = 2.0, rate_hz: float = 2000.0) -> np.ndarray:
    """0.2 at 25, 50 and 75 Hz, one an axis, on an offset."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    return np.column_stack([0.2 * np.sin(2 * np.pi * 25 * axis * time) for axis in (1, 2, 3)]) + 1.0


def knocking(order: float = BPFO, resonance_hz: float = 3300.0, noise: float = 0.2, slip: float = 1.0) -> np.ndarray:
    """A resonance that rings at each strike of a defect, in noise: 5 s at 12 kHz, with a strong 1x underneath."""
    rng = np.random.default_rng(4)
    time = np.arange(round(5 * RATE)) / RATE
    values = rng.normal(0, noise, len(time)) + 2.0 * np.sin(2 * np.pi * SHAFT_HZ * time)
    ring = np.arange(200) / RATE
    ringing = np.exp(-ring * 600) * np.sin(2 * np.pi * resonance_hz * ring)
    for strike in np.arange(0.01, 4.95, slip / (order * SHAFT_HZ)):
        start = round(strike * RATE)
        values[start : start + len(ringing)] += ringing
    return values


def test_a_sine_has_its_amplitude_at_its_frequency() -> None:
    freq, amplitude = spectra.spectrum(sines(), 2000.0)
    for axis in range(3):
        assert freq[amplitude[:, axis].argmax()] == pytest.approx(25 * (axis + 1))
        assert amplitude[:, axis].max() == pytest.approx(0.2, rel=1e-3)


@pytest.mark.parametrize("count", [2, 100, 300])
def test_a_recording_shorter_than_a_second_has_a_spectrum_and_a_waterfall(count: int) -> None:
    freq, amplitude = spectra.spectrum(sines()[:count], 2000.0)
    assert freq[-1] == 1000
    assert amplitude.shape == (len(freq), 3)
    freq, rows = spectra.waterfall(sines()[:count, 0], 2000.0)
    assert rows.shape[0] >= 1
    assert rows.shape[1] == len(freq)


def test_a_waterfall_shows_when_a_tone_comes() -> None:
    time = np.arange(8000) / 2000.0
    values = np.where(time < 2, 0.1 * np.sin(2 * np.pi * 100 * time), 0.3 * np.sin(2 * np.pi * 400 * time))
    freq, rows = spectra.waterfall(values, 2000.0)
    loudest = freq[rows.argmax(axis=1)]
    half = len(rows) // 2
    assert np.abs(loudest[: half - 2] - 100).max() < 8
    assert np.abs(loudest[half + 2 :] - 400).max() < 8
    assert rows[half + 3].max() == pytest.approx(0.3, rel=0.15)
    assert len(spectra.waterfall(np.tile(values, 20), 2000.0)[1]) <= spectra.WATERFALL_ROWS + 1


def test_the_envelope_of_a_modulated_carrier_is_its_modulation() -> None:
    time = np.arange(12000) / RATE
    modulation = 1 + 0.5 * np.cos(2 * np.pi * 40 * time)
    got = spectra.envelope(modulation * np.sin(2 * np.pi * 3000 * time), RATE, (2500.0, 3500.0))
    assert np.abs(got - modulation).max() < 1e-6


@pytest.mark.parametrize("resonance_hz", [1900.0, 3300.0, 5200.0])
def test_the_impulsive_band_holds_the_resonance_and_not_the_shaft(resonance_hz: float) -> None:
    low, high = spectra.impulsive_band(knocking(resonance_hz=resonance_hz), RATE)
    assert low >= 500
    assert low - 400 < resonance_hz < high + 400


def test_an_outer_race_that_knocks_stands_out_at_its_order_and_nothing_else_does() -> None:
    values = knocking()
    freq, amplitude = spectra.envelope_spectrum(values, RATE, spectra.impulsive_band(values, RATE))
    found = {tone.name: tone for tone in spectra.tones(freq, amplitude, {"BPFO": BPFO, "BPFI": 5.415, "FTF": 0.398}, SHAFT_HZ)}
    assert found["BPFO"].hertz == pytest.approx(107.55)
    assert found["BPFO"].strength > 20
    assert found["BPFI"].strength < 5
    assert found["FTF"].strength < 5


def test_a_bearing_that_slips_by_one_percent_is_still_found() -> None:
    values = knocking(slip=1.01)
    freq, amplitude = spectra.envelope_spectrum(values, RATE, (2500.0, 4500.0))
    assert spectra.tones(freq, amplitude, {"BPFO": BPFO}, SHAFT_HZ)[0].strength > 20


def test_a_tone_beyond_the_spectrum_is_left_out() -> None:
    freq = np.arange(0, 100.0, 0.5)
    assert spectra.tones(freq, np.ones(len(freq)), {"BPFO": 3.0, "BPFI": 5.0}, 30.0)[0].name == "BPFO"
    assert len(spectra.tones(freq, np.ones(len(freq)), {"BPFI": 5.0}, 30.0)) == 0


def test_a_tone_beside_a_harmonic_of_the_shaft_says_so() -> None:
    multiples = {order: spectra.Tone("BSF", order, 30 * order, 9.0).shaft_multiple for order in (1.99, 4.95, 2.357, 0.38)}
    assert multiples == {1.99: 2, 4.95: 5, 2.357: None, 0.38: None}


@pytest.mark.parametrize(
    ("start", "tone", "others"), [("IR007", "BPFI", ("BPFO", "BSF")), ("OR007_at_6", "BPFO", ("BPFI", "BSF"))]
)
def test_the_tone_of_a_real_defect_stands_out_of_its_envelope_spectrum(start: str, tone: str, others: tuple[str, ...]) -> None:
    try:
        folder = recording.data_set("cwru_bearing_12k")
    except DataFolderError as error:
        pytest.skip(f"no real recordings: {error}")
    bearing = BEARINGS["6205"]
    orders = {"BPFO": bearing.bpfo, "BPFI": bearing.bpfi, "BSF": bearing.bsf}
    for load in range(4):
        rec = recording.load(folder / "recordings" / f"{start}_load{load}.npz")
        values = rec.physical()[:, 0]
        freq, amplitude = spectra.envelope_spectrum(values, rec.rate_hz, spectra.impulsive_band(values, rec.rate_hz))
        strength = {one.name: one.strength for one in spectra.tones(freq, amplitude, orders, rec.rpm / 60)}
        assert strength[tone] > 10
        assert strength[tone] > 2 * max(strength[other] for other in others)
