"""The envelope of a band against a float64 oracle written from docs/SPEC.md, and order lines upon it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from whir_contracts.contract import AcrossAxes, ErrorCode, Level, Unit
from whir_contracts.params import FeatureParams
from whir_node.condition import SensorInfo, condition, condition_with_marks, windows
from whir_node.errors import CoreError, FeaturesError
from whir_node.features import extract, shaft_mhz

Make = Callable[..., FeatureParams]
Array = NDArray[Any]

SENSOR = SensorInfo(
    name="wideband", rate_hz=26_667, bandwidth_hz=6000, range_milli=2000, noise_ug_rthz=75, lsb_nano=61_035, unit=Unit.G,
    channels=3,
)  # fmt: skip
X_ALONE: dict[str, Any] = {"channels": 1, "axes": 0b001, "envelope_axes": 0b001}
BAND: dict[str, Any] = {"bandwidth_hz": 6000, "envelope_low_hz": 1000, "envelope_high_hz": 5000}
LINES = (512, 918, 1386)  # 2, 3.59 and 5.41 orders


def oracle(samples: Array, rate_hz: float, low_hz: float, high_hz: float) -> Array:
    """Band-pass, 4th order at either end, and the size of what is left, float64; then the rate of 1 kHz is for the caller."""
    ends = [butter(4, low_hz, "highpass", fs=rate_hz, output="sos"), butter(4, high_hz, "lowpass", fs=rate_hz, output="sos")]
    return np.abs(sosfilt(np.concatenate(ends), samples.astype(float), axis=0))


def struck(rate_hz: float, strikes_hz: float, seconds: float = 2.5, rings_hz: float = 3100.0) -> NDArray[np.int16]:
    """One axis upon gravity: rotor, noise, and a resonance that is struck so often a second."""
    rng = np.random.default_rng(3)
    t = np.arange(int(rate_hz * seconds)) / rate_hz
    since = t % (1 / strikes_hz)
    ring = 4000 * np.exp(-since * 900) * np.sin(2 * np.pi * rings_hz * since)
    return np.round(8000 + 3000 * np.sin(2 * np.pi * 29 * t) + ring + rng.normal(0, 150, len(t))).astype(np.int16)[:, None]


@pytest.mark.parametrize(
    ("rate_hz", "band"), [(12_000, (1000, 5400)), (13_300, (2500, 5000)), (25_600, (1000, 3000)), (26_667, (1000, 6000))]
)
def test_the_envelope_is_the_oracles_within_a_count(make_params: Make, rate_hz: int, band: tuple[int, int]) -> None:
    """The oracle's envelope goes through the same conditioning, whose own tests say how good that is."""
    params = make_params(bandwidth_hz=6000, envelope_low_hz=band[0], envelope_high_hz=band[1], **X_ALONE)
    plain = replace(params, envelope_axes=0, envelope_low_hz=0, envelope_high_hz=0)
    sensor = replace(SENSOR, rate_hz=rate_hz, channels=1)
    samples = struck(rate_hz, 107)
    found = condition(params, sensor, samples).astype(float)
    wanted = condition(plain, sensor, np.rint(oracle(samples, rate_hz, *band)).astype(np.int16))
    assert len(found) == len(wanted) > 2000
    assert np.abs(found - wanted)[20:].max() <= 2
    assert np.std((found - wanted)[20:]) < 0.5


def test_a_modulated_tone_has_its_analytic_envelope(make_params: Make) -> None:
    """A carrier of amplitude A that swells by m at f: the mean of its size is 2 A / pi, and m times that swells at f."""
    t = np.arange(26_667 * 2) / 26_667
    wave = np.round(9000 * (1 + 0.5 * np.sin(2 * np.pi * 107 * t)) * np.sin(2 * np.pi * 2765 * t)).astype(np.int16)
    out = condition(make_params(**BAND, **X_ALONE), replace(SENSOR, channels=1), wave[:, None])[40:1540, 0].astype(float)
    at = np.arange(len(out)) / 1000
    swell = 2 * np.abs(np.mean((out - out.mean()) * np.exp(-2j * np.pi * 107 * at)))
    assert out.mean() == pytest.approx(9000 * 2 / np.pi, rel=0.01)
    assert swell == pytest.approx(0.5 * 9000 * 2 / np.pi, rel=0.02)


def test_what_lies_outside_the_band_leaves_no_envelope(make_params: Make) -> None:
    t = np.arange(26_667) / 26_667
    for frequency, at_most in ((29, 1), (200, 40), (12_000, 40)):
        wave = np.round(20_000 * np.sin(2 * np.pi * frequency * t)).astype(np.int16)[:, None]
        assert condition(make_params(**BAND, **X_ALONE), replace(SENSOR, channels=1), wave)[40:].max() <= at_most


def test_the_other_axes_are_what_they_were_without_it(make_params: Make) -> None:
    samples = np.random.default_rng(4).integers(-3000, 3000, (20_000, 3)).astype(np.int16)
    mixed = condition(make_params(**BAND, envelope_axes=0b100), SENSOR, samples)
    plain = condition(make_params(bandwidth_hz=6000), SENSOR, samples)
    assert np.array_equal(mixed[:, :2], plain[:, :2])
    assert mixed[20:, 2].min() > 0 > plain[:, 2].min()


def test_a_sensor_at_its_full_scale_is_still_seen(make_params: Make) -> None:
    samples = struck(26_667, 107)
    samples[60_000] = 32_767
    _, marks = condition_with_marks(make_params(**BAND, **X_ALONE), replace(SENSOR, channels=1), samples)
    assert 15 < np.count_nonzero(marks) < 60


@pytest.mark.parametrize("rate_hz", [1000, 11_000])
def test_a_sensor_too_slow_for_the_band_is_refused(make_params: Make, rate_hz: int) -> None:
    with pytest.raises(CoreError) as caught:
        condition(make_params(**BAND, **X_ALONE), replace(SENSOR, rate_hz=rate_hz, channels=1), np.zeros((9, 1), np.int16))
    assert caught.value.code == ErrorCode.BUNDLE_SENSOR


def line_oracle(params: FeatureParams, cut: Array, rpm: float) -> Array:
    """log2 of mean power in each line over that around it, (n, lines), of one axis; power within a bin lies evenly."""
    n = cut.shape[1]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    power = np.abs(np.fft.rfft((cut[:, :, 0] - cut[:, :, 0].mean(1, keepdims=True)) * hann, axis=1)) ** 2
    below = np.concatenate([np.zeros((len(cut), 1)), np.cumsum(power, axis=1)], axis=1)
    ends = np.arange(below.shape[1]) - 0.5
    found = []
    for q8 in params.order_lines_q8:
        centre = q8 / 256 * shaft_mhz(rpm) / 1000 * n / params.rate_hz
        reach = max(centre / 64, 1.5)
        edges = np.array([max(centre - 6 * reach, 1.5), centre - reach, centre + reach, centre + 6 * reach])
        low, own, high = np.diff(np.stack([np.interp(edges, ends, row) for row in below]), axis=1).T
        around = (low + high) / (edges[3] - edges[0] - 2 * reach)
        found.append(np.log2(own / (2 * reach) / around))
    return np.stack(found, axis=1)


@pytest.mark.parametrize(("samples", "rpm"), [(1024, 1797.0), (1024, 1123.4), (512, 2000.0)])
@pytest.mark.parametrize("rms_counts", [4, 6000])
def test_lines_are_within_two_hundredths_of_an_octave(make_params: Make, samples: int, rpm: float, rms_counts: float) -> None:
    params = make_params(channels=1, axes=1, window_samples=samples, band_edges_bins=(3, 200), stats=0, order_lines_q8=LINES)
    cut = np.round(np.random.default_rng(5).normal(0, rms_counts, (40, samples, 1))).astype(np.int16)
    found = extract(params, cut, rpm)[:, 1:] / 256
    assert np.abs(found - line_oracle(params, cut, rpm)).max() < 0.02


def test_strikes_stand_out_at_their_own_order_whatever_the_speed_and_the_gain(make_params: Make) -> None:
    params = make_params(
        **BAND, **X_ALONE, window_samples=1024, hop_samples=1024, level=Level.RELATIVE, band_edges_bins=(3, 410), stats=0,
        order_lines_q8=LINES,
    )  # fmt: skip
    for rpm in (1200.0, 1750.0):
        for order, line in ((3.5848, 1), (5.4152, 2)):
            samples = struck(26_667, order * rpm / 60)
            for gain in (1, 8):
                cut = windows(params, condition(params, replace(SENSOR, channels=1), samples // np.int16(gain)), 1024)
                found = extract(params, cut, rpm)[:, 1:].mean(axis=0) / 256
                assert found[line] > 3 and found[3 - line] < 1.5, (rpm, order, found)


def test_lines_are_not_defined_without_a_speed_nor_beyond_the_window(make_params: Make) -> None:
    params = make_params(channels=1, axes=1, window_samples=1024, order_lines_q8=LINES)
    cut = np.random.default_rng(6).integers(-99, 99, (1, 1024, 1)).astype(np.int16)
    for rpm in (float("nan"), 80.0, 5100.0):
        with pytest.raises(FeaturesError):
            extract(params, cut, rpm)
    assert extract(params, cut, 90.0).shape == (1, params.feature_count)
    assert not extract(params, np.full_like(cut, 77), 1500.0)[0, len(params.band_edges_bins) - 1 : -4].any()


class TestAcrossAxes:
    def params(self, make_params: Make, **changes: Any) -> FeatureParams:
        values = {"window_samples": 1024, "order_edges_q8": (300, 600, 900), "order_lines_q8": LINES, **changes}
        return make_params(across_axes=AcrossAxes.SUM, **values)

    def turned(self) -> tuple[Array, Array]:
        """The same movement by two sensors that lie otherwise; no axis of one is an axis of the other."""
        rng = np.random.default_rng(7)
        t = np.arange(1024)[None, :, None] / 1000
        wave = rng.normal(0, 40, (6, 1024, 3)) * [1, 2, 5] + [3000, 900, 4000] * np.sin(
            2 * np.pi * 50 * t + np.array([0, 1, 2])
        )
        turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        return np.rint(wave).astype(np.int16), np.rint(wave @ turn).astype(np.int16)

    @pytest.mark.parametrize("level", [Level.ABSOLUTE, Level.RELATIVE])
    def test_a_turned_sensor_changes_nothing(self, make_params: Make, level: Level) -> None:
        params = self.params(make_params, level=level)
        there, here = (extract(params, cut, 1500) for cut in self.turned())
        assert np.abs(there - here).max() <= 3
        alone = make_params(window_samples=1024, level=level)
        there, here = (extract(alone, cut, 1500) for cut in self.turned())
        assert np.abs(there - here).max() > 256

    def test_bands_and_statistics_are_the_oracles(self, make_params: Make) -> None:
        params = self.params(make_params, order_edges_q8=(), order_lines_q8=())
        cut, _ = self.turned()
        d = cut - cut.mean(axis=1, keepdims=True)
        each = extract(make_params(window_samples=1024), cut).reshape(len(cut), 3, -1)[:, :, :32] / 256
        square = (d**2).sum(axis=2)
        rms, peak = np.log2(square.mean(axis=1)) / 2, np.log2(square.max(axis=1)) / 2
        kurtosis = np.log2((square**2).mean(axis=1) / square.mean(axis=1) ** 2)
        wanted = [*np.log2((2**each).sum(axis=1)).T, rms, peak, peak - rms, kurtosis]
        assert np.abs(extract(params, cut).T / 256 - wanted).max() < 0.02

    def test_silence_is_what_it_is_on_one_axis(self, make_params: Make) -> None:
        found = extract(self.params(make_params), np.full((1, 1024, 3), 4000, np.int16), 1500)[0] / 256
        assert found.tolist() == [-16.0] * 34 + [0.0] * 3 + [-8.0, -8.0, 0.0, 0.0]
