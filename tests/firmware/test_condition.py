"""Conditioning: frequency response measured with sines, clock without drift, units, refusals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from whir_contracts.contract import ErrorCode, Quality, Unit
from whir_contracts.params import FeatureParams
from whir_node.condition import SensorInfo, condition, condition_with_marks
from whir_node.errors import CoreError, FeaturesError, SensorError
from whir_node.library import lib

Make = Callable[..., FeatureParams]
Array = NDArray[Any]

SENSOR = SensorInfo(
    name="test", rate_hz=1000, bandwidth_hz=5000, range_milli=2000, noise_ug_rthz=75, lsb_nano=61_035, unit=Unit.G, channels=3
)
ONE_AXIS: dict[str, Any] = {"channels": 1, "axes": 0b001}
RATES = [
    (20_000, 4000),
    (1667, 1000),
    (26_667, 1000),
    (1344, 1000),
    (3200, 1000),
    (25_600, 1000),
    (12_000, 100),
    (1000.3, 1000),
]


def sine(rate_hz: float, seconds: float, frequency_hz: float, amplitude: float = 20_000) -> NDArray[np.int16]:
    """One axis, dithered so that rounding does not make tones of its own."""
    t = np.arange(int(rate_hz * seconds)) / rate_hz
    dither = np.random.default_rng(0).uniform(-0.5, 0.5, len(t))
    return np.round(amplitude * np.sin(2 * np.pi * frequency_hz * t) + dither).astype(np.int16)[:, None]


def fitted(samples: Array, rate_hz: float, frequency_hz: float) -> tuple[float, float]:
    """Amplitude of the sine in the samples and RMS of the rest."""
    t = np.arange(len(samples)) / rate_hz
    basis = np.stack([np.cos(2 * np.pi * frequency_hz * t), np.sin(2 * np.pi * frequency_hz * t), np.ones_like(t)], 1)
    weights, *_ = np.linalg.lstsq(basis, samples, rcond=None)
    return float(np.hypot(weights[0], weights[1])), float(np.std(samples - basis @ weights))


@pytest.mark.parametrize(("rate_in", "rate_out"), RATES)
def test_pass_band_is_flat_within_a_hundredth_of_a_decibel(make_params: Make, rate_in: float, rate_out: int) -> None:
    params = make_params(rate_hz=rate_out, bandwidth_hz=40, **ONE_AXIS)
    sensor = replace(SENSOR, rate_hz=rate_in, channels=1)
    for share in np.linspace(0.005, 0.4, 12):
        frequency = share * rate_out
        out = condition(params, sensor, sine(rate_in, 2000 / rate_out, frequency))[:, 0]
        amplitude, rest = fitted(out, rate_out, frequency)
        assert abs(20 * np.log10(amplitude / 20_000)) < 0.01, frequency
        assert 20 * np.log10(rest * np.sqrt(2) / 20_000) < -60, frequency


@pytest.mark.parametrize(("rate_in", "rate_out"), RATES[:-1])
def test_stop_band_is_60_db_down(make_params: Make, rate_in: float, rate_out: int) -> None:
    params = make_params(rate_hz=rate_out, bandwidth_hz=40, **ONE_AXIS)
    sensor = replace(SENSOR, rate_hz=rate_in, channels=1)
    edge = 0.6 * rate_out
    for frequency in [*np.linspace(edge, min(3 * rate_out, rate_in / 2), 12), *np.linspace(edge, rate_in / 2, 12)]:
        out = condition(params, sensor, sine(rate_in, 2000 / rate_out, frequency))
        assert np.std(out) * np.sqrt(2) < 20_000 * 10 ** (-60 / 20), frequency


@pytest.mark.parametrize(("rate_in", "rate_out"), [(1667, 1000), (26_667, 1000), (1344.017, 1000)])
def test_output_clock_does_not_drift_over_an_hour(make_params: Make, rate_in: float, rate_out: int) -> None:
    """The phase of a sine in the last second is that of the first: the clock is rational, not accumulated fractions."""
    params = make_params(rate_hz=rate_out, bandwidth_hz=40, **ONE_AXIS)
    sensor = replace(SENSOR, rate_hz=rate_in, channels=1)
    seconds = 3600 if rate_in < 5000 else 600
    count = int(rate_in * seconds)
    rate_exact = Fraction(sensor.rate_mhz, 1000)
    frequency = 100  # exact in float64: the phase is taken modulo a turn in integers
    turns = (np.arange(count) * (frequency * rate_exact.denominator) % rate_exact.numerator) / rate_exact.numerator
    samples = np.round(20_000 * np.sin(2 * np.pi * turns)).astype(np.int16)[:, None]
    out = condition(params, sensor, samples)[:, 0].astype(float)
    # as many outputs as the clock gives: the first after 20 output periods of filter, and its half-band stages
    assert 0 <= Fraction(count) / rate_exact * rate_out - len(out) < 60

    def phase(part: Array, start: int) -> float:
        t = (np.arange(start, start + len(part)) * frequency % rate_out) / rate_out
        return float(np.angle(np.sum(part * np.exp(-2j * np.pi * t))))

    drift = phase(out[-rate_out:], len(out) - rate_out) - phase(out[:rate_out], 0)
    assert abs(drift) / (2 * np.pi * frequency) < 2e-8  # seconds


@pytest.mark.parametrize(("rate_in", "rate_out"), RATES)
def test_gravity_passes_exactly_at_every_phase(make_params: Make, rate_in: float, rate_out: int) -> None:
    params = make_params(rate_hz=rate_out, bandwidth_hz=40)
    sensor = replace(SENSOR, rate_hz=rate_in)
    samples = np.tile(np.array([16_384, -32_768, 7], np.int16), (int(300 * rate_in / rate_out), 1))
    out = condition(params, sensor, samples)
    assert len(out) > 200
    assert np.array_equal(np.unique(out, axis=0), samples[:1])


@pytest.mark.parametrize("level", [-32_768, 32_767])
def test_adversarial_full_scale_input_saturates_and_never_wraps(make_params: Make, level: int) -> None:
    """Signs that follow the filter's own weights give the largest sums there are."""
    params = make_params(bandwidth_hz=40, **ONE_AXIS)
    for rate_in in (3999.9, 15_999.9):
        sensor = replace(SENSOR, rate_hz=rate_in, channels=1)
        t = np.arange(-400, 400) / (rate_in / 1000)
        signs = np.sign(np.sinc(t + 1e-9)).astype(int)
        samples = np.clip(signs * level, -32_768, 32_767).astype(np.int16)[:, None]
        out = condition(params, sensor, samples)[:, 0].astype(int)
        at = np.abs(out).argmax()
        assert abs(out[at]) >= 32_767
        assert np.sign(out[at]) == np.sign(level)


def test_equal_rates_and_counts_pass_every_value_unchanged(make_params: Make) -> None:
    every = np.arange(-32_768, 32_768).astype(np.int16)
    samples = np.stack([every, every[::-1], np.roll(every, 7)], axis=1)
    assert np.array_equal(condition(make_params(), SENSOR, samples), samples)


def test_equal_rates_scale_by_the_ratio_of_the_counts(make_params: Make) -> None:
    samples = np.arange(-30_000, 30_000, 7).astype(np.int16)[:, None]
    sensor = replace(SENSOR, channels=1)
    for lsb in (30_000, 61_034, 122_070, 1_000_000):
        out = condition(make_params(lsb_nano=lsb, **ONE_AXIS), sensor, samples)[:, 0]
        expected = np.clip(np.floor(samples[:, 0] * (61_035 / lsb) + 0.5), -32_768, 32_767)
        assert np.abs(out - expected).max() <= (1 if lsb < 61_035 else 0)  # a tie may fall either way
        assert np.mean(out != expected) < 0.001


@pytest.mark.parametrize("rate_in", [1000, 3330])
def test_g_and_metres_per_second_squared_convert_by_standard_gravity(make_params: Make, rate_in: int) -> None:
    samples = np.full((400, 3), 16_384, np.int16)
    sensor = replace(SENSOR, rate_hz=rate_in)
    one_g = make_params(unit=Unit.MPS2, lsb_nano=1_000_000, range_mg=19_000)
    assert np.all(condition(one_g, sensor, samples) == 9807)
    metric = replace(sensor, unit=Unit.MPS2, lsb_nano=1_000_000, range_milli=19_614)
    back = condition(make_params(lsb_nano=100_000), metric, np.full((400, 3), 9807, np.int16))
    assert np.all(back == 10_000)


def test_axes_choose_the_sensors_channels_in_order(make_params: Make) -> None:
    samples = np.tile(np.array([1, 2, 3], np.int16), (200, 1))
    for axes, wanted in ((0b001, [1]), (0b100, [3]), (0b101, [1, 3]), (0b110, [2, 3]), (0b111, [1, 2, 3])):
        params = make_params(axes=axes, channels=len(wanted))
        for rate_in in (1000, 9000):
            out = condition(params, replace(SENSOR, rate_hz=rate_in), np.repeat(samples, 9, axis=0))
            assert np.array_equal(np.unique(out, axis=0), [wanted])


@pytest.mark.parametrize(
    "lacking",
    [
        {"rate_hz": 989.999},
        {"rate_hz": 27_000.001},
        {"bandwidth_hz": 399},
        {"range_milli": 1999},
        {"noise_ug_rthz": 1001},
        {"channels": 2},
        {"unit": Unit.VOLT},
        {"unit": Unit.MPS2, "range_milli": 19_613},
        {"unit": Unit.MPS2, "range_milli": 20_000, "noise_ug_rthz": 9807},
        {"lsb_nano": 0},
        {"lsb_nano": 1},
        {"lsb_nano": 2_000_000_000},
    ],
)
def test_a_sensor_that_hears_less_is_refused(make_params: Make, lacking: dict[str, Any]) -> None:
    sensor = replace(SENSOR, **lacking)
    with pytest.raises(SensorError, match="sensor test: bundle_sensor") as caught:
        condition(make_params(), sensor, np.zeros((10, sensor.channels), np.int16))
    assert caught.value.code == ErrorCode.BUNDLE_SENSOR
    assert isinstance(caught.value, CoreError)


def test_a_sensor_slow_by_no_more_than_a_hundredth_passes_unchanged(make_params: Make) -> None:
    samples = np.arange(-30_000, 30_000, 20).astype(np.int16).reshape(-1, 3)
    for rate_hz in (999.999, 990):
        assert np.array_equal(condition(make_params(), replace(SENSOR, rate_hz=rate_hz), samples), samples)


def test_a_sensor_just_good_enough_is_taken(make_params: Make) -> None:
    sensor = replace(SENSOR, bandwidth_hz=400, range_milli=2000, noise_ug_rthz=1000)
    assert len(condition(make_params(), sensor, np.zeros((10, 3), np.int16))) == 10
    metric = replace(sensor, unit=Unit.MPS2, range_milli=19_614, noise_ug_rthz=9806, lsb_nano=600_000)
    assert len(condition(make_params(), metric, np.zeros((10, 3), np.int16))) == 10


def test_rates_128_times_apart_are_refused(make_params: Make) -> None:
    params = make_params(rate_hz=100, bandwidth_hz=40)
    samples = np.zeros((10, 3), np.int16)
    condition(params, replace(SENSOR, rate_hz=12_799.999), samples)
    with pytest.raises(FeaturesError):
        condition(params, replace(SENSOR, rate_hz=12_800), samples)


def test_at_equal_rates_exactly_the_samples_at_the_sensors_full_scale_are_marked(make_params: Make) -> None:
    samples = np.zeros((200, 3), np.int16)
    for axis, value in ((0, 32_767), (1, -32_768), (2, -32_767)):
        samples[50 + axis, axis] = value
    _, marks = condition_with_marks(make_params(), SENSOR, samples)
    assert np.flatnonzero(marks).tolist() == [50, 51, 52]
    assert marks[50] == Quality.CLIPPED
    # a 13-bit sensor of +-16 g ends at 4095 counts
    coarse = replace(SENSOR, range_milli=16_000, lsb_nano=3_906_250)
    samples[:, 0] = 4094
    samples[7, 0], samples[9, 0] = 4095, -4095
    _, marks = condition_with_marks(make_params(axes=0b001, channels=1, lsb_nano=3_906_250), coarse, samples)
    assert np.flatnonzero(marks).tolist() == [7, 9]


@pytest.mark.parametrize(("rate_in", "rate_out"), RATES)
def test_every_output_that_a_clipped_input_reaches_is_marked(make_params: Make, rate_in: float, rate_out: int) -> None:
    params = make_params(rate_hz=rate_out, bandwidth_hz=40, **ONE_AXIS)
    sensor = replace(SENSOR, rate_hz=rate_in, channels=1)
    quiet = np.zeros((int(200 * rate_in / rate_out), 1), np.int16)
    spike = quiet.copy()
    spike[len(spike) // 2 :][: int(rate_in / rate_out)] = 32_767
    before, unmarked = condition_with_marks(params, sensor, quiet)
    after, marks = condition_with_marks(params, sensor, spike)
    assert not unmarked.any()
    reached = np.flatnonzero(before != after)
    marked = np.flatnonzero(marks)
    assert len(reached) > 5
    assert set(reached) <= set(marked)
    assert len(marked) <= 40  # and not the whole stream


def test_output_that_leaves_16_bits_saturates(make_params: Make) -> None:
    for rate_in in (1000, 9000):
        sensor = replace(SENSOR, rate_hz=rate_in)
        samples = np.full((1000, 3), 10_000, np.int16)
        assert np.all(condition(make_params(lsb_nano=10_000), sensor, samples) == 32_767)
        assert np.all(condition(make_params(lsb_nano=10_000), sensor, -samples) == -32_768)


@pytest.mark.parametrize(("rate_in", "rate_out"), RATES)
def test_start_of_a_stream_rests_on_real_samples_alone(make_params: Make, rate_in: float, rate_out: int) -> None:
    """No transient from an empty filter, and not more than 60 output periods are spent on filling it."""
    params = make_params(rate_hz=rate_out, bandwidth_hz=40, **ONE_AXIS)
    sensor = replace(SENSOR, rate_hz=rate_in, channels=1)
    samples = sine(rate_in, 200 / rate_out, 0.1 * rate_out, 3000) + np.int16(12_000)
    out = condition(params, sensor, samples)[:, 0].astype(float)
    assert len(out) > 140
    amplitude, rest = fitted(out, rate_out, 0.1 * rate_out)
    assert abs(amplitude - 3000) < 5
    assert rest < 3
    assert abs(out[0] - 12_000) < 3005


@settings(max_examples=60, deadline=None)
@given(
    rate_in=st.integers(1_000_000, 27_000_000),
    rate_out=st.integers(250, 1000),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_rates_give_the_expected_count_and_bounded_output(
    make_params: Make, rate_in: int, rate_out: int, seed: int
) -> None:
    params = make_params(rate_hz=rate_out, bandwidth_hz=40, **ONE_AXIS)
    sensor = replace(SENSOR, rate_hz=rate_in / 1000, channels=1)
    count = int(120 * rate_in / 1000 / rate_out)
    samples = np.random.default_rng(seed).integers(-1000, 1001, (count, 1)).astype(np.int16)
    out = condition(params, sensor, samples)
    assert 120 - 60 <= len(out) <= 121
    assert np.abs(out).max() < 4000  # the weights' absolute sum is under 4 of their sum


def test_state_stays_under_its_budget() -> None:
    assert lib.host_condition_state_bytes() <= 1200


def test_wrong_shapes_and_types_are_refused_by_name(make_params: Make) -> None:
    with pytest.raises(TypeError, match="int16"):
        condition(make_params(), SENSOR, np.zeros((5, 3)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"\(n, 3\)"):
        condition(make_params(), SENSOR, np.zeros((5, 2), np.int16))
    assert condition(make_params(), SENSOR, np.zeros((0, 3), np.int16)).shape == (0, 3)
