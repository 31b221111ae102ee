"""Features against a float64 oracle written from the formulas of docs/SPEC.md."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from whir_contracts.contract import FeatureKind, Level
from whir_contracts.params import FeatureParams
from whir_node.errors import FeaturesError
from whir_node.features import extract, quantize, rms

Make = Callable[..., FeatureParams]
Array = NDArray[Any]

POWER_FLOOR = -16.0  # log2 of counts^2
LEVEL_FLOOR = -8.0  # log2 of counts
COUNTS = st.sampled_from([-32768, 32767, 0, 1, -1]) | st.integers(-32768, 32767)
RAW: dict[str, Any] = {"kind": FeatureKind.RAW, "stats": 0, "band_edges_bins": ()}


def log2_at_least(values: Array, floor: float) -> Array:
    return np.log2(np.maximum(values, 2.0**floor))


def oracle_power(params: FeatureParams, windows: Array) -> Array:
    """Mean square in counts^2 per band, float64 (n, channels, bands)."""
    n = windows.shape[1]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    centred = windows.astype(float) - windows.mean(1, keepdims=True)
    spectrum = np.fft.rfft(centred * hann[None, :, None], axis=1)
    density = 2 * np.abs(spectrum) ** 2 / (n * (hann**2).sum())
    edges = params.band_edges_bins
    return np.stack([density[:, a:b].sum(1) for a, b in itertools.pairwise(edges)], axis=2)


def oracle_stats(windows: Array) -> dict[str, Array]:
    """RMS and peak in counts, crest factor and kurtosis, each (n, channels)."""
    centred = windows.astype(float) - windows.mean(1, keepdims=True)
    variance = (centred**2).mean(1)
    peak = np.abs(centred).max(1)
    safe = np.where(variance == 0, 1, variance)
    return {
        "rms": np.sqrt(variance),
        "peak": peak,
        "crest": np.where(variance == 0, 1, peak / np.sqrt(safe)),
        "kurtosis": np.where(variance == 0, 1, (centred**4).mean(1) / safe**2),
    }


def split(params: FeatureParams, features: Array) -> tuple[Array, Array]:
    """Bands (n, channels, bands) and statistics (n, channels, stats), both as log2."""
    bands = len(params.band_edges_bins) - 1
    shaped = features.reshape(len(features), params.channels, -1) / 256
    return shaped[:, :, :bands], shaped[:, :, bands:]


def noise(rms_counts: float, shape: tuple[int, ...], seed: int = 0) -> NDArray[np.int16]:
    values = np.random.default_rng(seed).normal(0, rms_counts, shape)
    return np.clip(np.round(values), -32768, 32767).astype(np.int16)


@pytest.mark.parametrize("samples", [64, 128, 256, 512, 1024])
@pytest.mark.parametrize("rms_counts", [2, 30, 700, 20000])
def test_band_power_is_within_two_hundredths_of_an_octave(make_params: Make, samples: int, rms_counts: float) -> None:
    params = make_params(window_samples=samples, band_edges_bins=tuple(range(0, samples // 2 + 1, samples // 64)))
    windows = noise(rms_counts, (40, samples, 3))
    windows[:, :, 2] //= 3  # axes of different level
    windows[:, :, 1] += 900  # gravity; may wrap around at the loudest, which is a signal like any other
    bands, _ = split(params, extract(params, windows))
    expected = log2_at_least(oracle_power(params, windows), POWER_FLOOR)
    assert np.abs(bands - expected).max() < 0.02


@pytest.mark.parametrize("dynamic_db", [20, 40, 60])
def test_weak_bands_beside_a_strong_tone_are_within_two_hundredths(make_params: Make, dynamic_db: float) -> None:
    params = make_params(window_samples=256)
    t = np.arange(256)
    tone = 20000 * np.sin(2 * np.pi * 20.3 * t / 256)
    weak = np.random.default_rng(1).normal(0, 20000 / np.sqrt(2) * 10 ** (-dynamic_db / 20), (40, 256, 3))
    windows = np.round(tone[None, :, None] + weak).astype(np.int16)
    bands, _ = split(params, extract(params, windows))
    expected = log2_at_least(oracle_power(params, windows), POWER_FLOOR)
    assert np.abs(bands - expected).max() < 0.02


def test_empty_bands_beside_a_full_scale_tone_stay_110_db_below_it(make_params: Make) -> None:
    """The documented limit: what lies further down is rounding, and is not promised."""
    for samples in (64, 256, 1024):
        params = make_params(window_samples=samples, band_edges_bins=tuple(range(0, samples // 2 + 1, samples // 64)))
        t = np.arange(samples)
        windows = np.stack([np.round(32000 * np.sin(2 * np.pi * k * t / samples + 0.3)) for k in (5, 17, 25)], axis=1)
        bands, _ = split(params, extract(params, windows[None].astype(np.int16)))
        limit = 2 * np.log2(32000 / np.sqrt(2)) - 110 / 20 * 2 * np.log2(10)
        truth = log2_at_least(oracle_power(params, windows[None]), POWER_FLOOR)
        assert np.all(bands[truth < limit - 1] < limit)


def test_a_sine_has_the_power_of_its_rms(make_params: Make) -> None:
    params = make_params(band_edges_bins=(0, 128))
    sine = np.round(1000 * np.sin(2 * np.pi * 32 * np.arange(256) / 256))
    windows = np.repeat(sine[None, :, None], 3, axis=2).astype(np.int16)
    bands, stats = split(params, extract(params, windows))
    assert np.allclose(bands, np.log2(1000**2 / 2), atol=0.01)
    assert np.allclose(stats[0, 0], [np.log2(1000 / np.sqrt(2)), np.log2(1000), 0.5, np.log2(1.5)], atol=0.01)


@pytest.mark.parametrize("samples", [64, 256, 1024])
@pytest.mark.parametrize("rms_counts", [1, 50, 9000])
def test_statistics_match_the_oracle(make_params: Make, samples: int, rms_counts: float) -> None:
    params = make_params(window_samples=samples, band_edges_bins=(0, 1))
    windows = noise(rms_counts, (60, samples, 3), seed=3)
    windows[::2, samples // 3] = min(32767, round(20 * rms_counts))  # an impact: high crest factor and kurtosis
    windows[:, :, 1] = np.clip(windows[:, :, 1].astype(int) + 4000, -32768, 32767)
    _, stats = split(params, extract(params, windows))
    for index, values in enumerate(oracle_stats(windows).values()):
        assert np.abs(stats[:, :, index] - np.log2(values)).max() < 0.01


@pytest.mark.parametrize("mask", range(16))
def test_only_the_chosen_statistics_come_out_in_fixed_order(make_params: Make, mask: int) -> None:
    windows = noise(100, (3, 256, 3))
    everything = extract(make_params(), windows).reshape(3, 3, 36)
    chosen = [i for i in range(32)] + [32 + bit for bit in range(4) if mask >> bit & 1]
    some = extract(make_params(stats=mask), windows).reshape(3, 3, -1)
    assert np.array_equal(some, everything[:, :, chosen])


def test_gravity_does_not_change_any_feature(make_params: Make) -> None:
    windows = noise(300, (5, 256, 3))
    tilted = windows + np.array([16384, -9000, 123], np.int16)
    for changes in ({}, {"level": Level.RELATIVE}, RAW, {**RAW, "level": Level.RELATIVE}):
        params = make_params(**changes)
        assert np.array_equal(extract(params, windows), extract(params, tilted))


def test_relative_bands_ignore_the_level_and_sum_to_one(make_params: Make) -> None:
    params = make_params(level=Level.RELATIVE)
    loud = noise(4000, (20, 256, 3), seed=5)
    loud[:, :, 0] //= 10
    quiet = (loud // 8).astype(np.int16)
    a, b = (split(params, extract(params, w)) for w in (loud, quiet))
    assert np.abs(a[0] - b[0]).max() < 0.1  # quantization of the quiet ones
    assert np.abs(a[1] - b[1]).max() < 0.1
    assert np.allclose((2 ** a[0]).sum((1, 2)), 1, atol=0.01)
    power = oracle_power(params, loud)
    assert np.abs(a[0] - np.log2(power / power.sum((1, 2), keepdims=True))).max() < 0.02
    stats = oracle_stats(loud)
    total = np.sqrt((stats["rms"] ** 2).sum(1, keepdims=True))
    assert np.abs(a[1][:, :, 0] - np.log2(stats["rms"] / total)).max() < 0.01
    assert np.abs(a[1][:, :, 1] - np.log2(stats["peak"] / total)).max() < 0.01


def test_silence_has_defined_values(make_params: Make) -> None:
    silence = np.full((1, 256, 3), 5000, np.int16)
    bands, stats = split(make_params(), extract(make_params(), silence))
    assert np.all(bands == POWER_FLOOR)
    assert stats[0, 0].tolist() == [LEVEL_FLOOR, LEVEL_FLOOR, 0, 0]
    relative = make_params(level=Level.RELATIVE)
    assert not extract(relative, silence).any()
    for level in Level:
        assert not extract(make_params(level=level, **RAW), silence).any()


def test_one_silent_axis_does_not_disturb_the_others(make_params: Make) -> None:
    params = make_params(level=Level.RELATIVE)
    for silent in range(3):
        windows = noise(500, (4, 256, 3))
        windows[:, :, silent] = 77
        power = oracle_power(params, windows)
        bands, _ = split(params, extract(params, windows))
        alive = [c for c in range(3) if c != silent]
        expected = np.log2(power[:, alive] / power.sum((1, 2), keepdims=True))
        assert np.abs(bands[:, alive] - expected).max() < 0.02


def test_raw_is_counts_minus_the_mean(make_params: Make) -> None:
    params = make_params(**RAW)
    windows = noise(1000, (10, 256, 3)) + np.array([0, 3000, -20000], np.int16)
    expected = np.floor(windows - windows.mean(1, keepdims=True) + 0.5)
    assert np.array_equal(extract(params, windows), expected.reshape(10, -1))


@pytest.mark.parametrize("rms_counts", [1, 40, 9000])
def test_raw_relative_is_in_1024ths_of_the_rms_over_all_axes(make_params: Make, rms_counts: float) -> None:
    params = make_params(level=Level.RELATIVE, **RAW)
    windows = noise(rms_counts, (10, 256, 3)) + np.array([0, 3000, -2000], np.int16)
    centred = windows - windows.mean(1, keepdims=True)
    total = np.sqrt((centred**2).mean(1).sum(1))
    expected = 1024 * centred / total[:, None, None]
    assert np.abs(extract(params, windows) - expected.reshape(10, -1)).max() < 0.51


def test_rms_is_the_root_of_the_summed_variances(make_params: Make) -> None:
    params = make_params()
    windows = noise(5000, (50, 256, 3)) // np.array([1, 7, 400], np.int16)
    variances = windows.astype(float).var(1).sum(1)
    assert np.array_equal(rms(params, windows), np.floor(np.sqrt(variances)))


def test_a_window_gives_the_same_features_alone_and_in_a_batch(make_params: Make) -> None:
    params = make_params()
    windows = noise(100, (7, 256, 3))
    one_by_one = np.concatenate([extract(params, windows[i : i + 1]) for i in range(7)])
    assert np.array_equal(extract(params, windows), one_by_one)
    assert extract(params, windows[:0]).shape == (0, params.feature_count)


@settings(max_examples=200)
@given(
    windows=arrays(
        np.int16,
        (2, 64, 3),
        elements=st.sampled_from([-32768, 32767, 0, 1, -1]) | st.integers(-32768, 32767),
        fill=st.nothing(),
    ),
    level=st.sampled_from(Level),
)
def test_any_window_gives_the_oracles_features(make_params: Make, windows: NDArray[np.int16], level: Level) -> None:
    params = make_params(window_samples=64, band_edges_bins=(0, 3, 8, 32), level=level)
    bands, stats = split(params, extract(params, windows))
    power, truth = oracle_power(params, windows), oracle_stats(windows)
    power_ref, level_ref = np.zeros(2), np.zeros(2)
    if level == Level.RELATIVE:
        power_ref = log2_at_least(power.sum((1, 2)), POWER_FLOOR)
        level_ref = log2_at_least(np.sqrt((truth["rms"] ** 2).sum(1)), LEVEL_FLOOR)
    promised = power > power.max((1, 2), keepdims=True) * 1e-9  # 90 dB below the loudest band
    expected = log2_at_least(power, POWER_FLOOR) - power_ref[:, None, None]
    assert np.abs(bands - expected)[promised].max(initial=0) < 0.02
    references = (level_ref[:, None], level_ref[:, None], 0, 0)
    floors = (LEVEL_FLOOR, LEVEL_FLOOR, 0, 0)
    for index, values in enumerate(truth.values()):
        wanted = log2_at_least(values, floors[index]) - references[index]
        assert np.abs(stats[:, :, index] - wanted).max() < 0.02


@pytest.mark.parametrize("samples", [64, 256, 1024])
@pytest.mark.parametrize("period", [2, 4, 16, 64])
def test_full_scale_square_waves_do_not_overflow(make_params: Make, samples: int, period: int) -> None:
    high = np.arange(samples) % period < period // 2
    windows = np.repeat(np.where(high, 32767, -32768)[None, :, None], 3, axis=2).astype(np.int16)
    for changes in ({}, {"level": Level.RELATIVE}):
        params = make_params(window_samples=samples, band_edges_bins=(0, samples // 2), **changes)
        bands, stats = split(params, extract(params, windows))
        if period > 2:  # the fastest lies on the bin that is not counted
            total = log2_at_least(oracle_power(params, windows), POWER_FLOOR)
            reference = 0 if not changes else np.log2(3) + total
            assert np.abs(bands - total + reference).max() < 0.02
        assert np.allclose(stats[:, :, 2:], 0, atol=0.02)


def test_one_spike_of_full_scale_does_not_overflow(make_params: Make) -> None:
    windows = np.full((1, 1024, 3), -32768, np.int16)
    windows[0, 511] = 32767
    params = make_params(window_samples=1024, band_edges_bins=(0, 64, 512))
    bands, stats = split(params, extract(params, windows))
    assert np.abs(bands - np.log2(oracle_power(params, windows))).max() < 0.02
    truth = oracle_stats(windows)
    assert np.allclose(stats[0, 0], [np.log2(v[0, 0]) for v in truth.values()], atol=0.01)
    raw = make_params(window_samples=1024, level=Level.RELATIVE, **RAW)
    assert extract(raw, windows).max() < 2**15


@settings(max_examples=300)
@given(
    feature=st.integers(-(2**31), 2**31 - 1) | st.integers(-6000, 6000),
    offset=st.integers(-(2**31), 2**31 - 1) | st.integers(-6000, 6000),
    gain=st.integers(0, 2**32 - 1) | st.integers(0, 2**20),
)
def test_quantize_is_the_contracts_formula_for_any_numbers(make_params: Make, feature: int, offset: int, gain: int) -> None:
    params = make_params(stats=0, band_edges_bins=(0, 1)).with_scaler([offset] * 3, [gain] * 3)
    wanted = max(-128, min(127, ((feature - offset) * gain + 2**15) >> 16))
    assert quantize(params, np.full((1, 3), feature, np.int32)).tolist() == [[wanted] * 3]


def test_quantize_uses_one_scaler_per_feature_or_per_raw_channel(make_params: Make) -> None:
    bands = make_params(stats=0, band_edges_bins=(0, 1, 2)).with_scaler(range(6), [65536] * 6)
    assert quantize(bands, np.full((1, 6), 10, np.int32)).tolist() == [[10, 9, 8, 7, 6, 5]]
    raw = make_params(**RAW).with_scaler([1, 2, 3], [65536] * 3)
    assert np.array_equal(quantize(raw, np.full((2, 768), 10, np.int32)), np.tile([9, 8, 7], (2, 256)))


def test_quantize_without_a_scaler_is_refused(make_params: Make) -> None:
    params = make_params()
    with pytest.raises(FeaturesError, match="scaler"):
        quantize(params, extract(params, noise(10, (1, 256, 3))))


def test_wrong_shapes_and_types_are_refused_by_name(make_params: Make) -> None:
    params = make_params()
    with pytest.raises(TypeError, match="int16"):
        extract(params, np.zeros((1, 256, 3), np.float32))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"\(n, 256, 3\)"):
        extract(params, np.zeros((1, 256, 2), np.int16))
    with pytest.raises(ValueError, match=r"\(n, 256, 3\)"):
        rms(params, np.zeros((256, 3), np.int16))
    with pytest.raises(TypeError, match="int32"):
        quantize(params, np.zeros((1, 108), np.int16))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="108"):
        quantize(params, np.zeros((1, 107), np.int32))
