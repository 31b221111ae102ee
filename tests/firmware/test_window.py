"""Windows: what the ring gives back, when, and with which quality bits."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from whir_contracts.contract import Quality
from whir_contracts.params import FeatureParams
from whir_node.condition import windows, windows_with_quality

Make = Callable[..., FeatureParams]


def moving(count: int, channels: int = 3, seed: int = 0) -> np.ndarray[tuple[int, int], np.dtype[np.int16]]:
    """Samples that never stand still."""
    values = np.random.default_rng(seed).integers(-900, 900, (count, channels))
    return (values * 2 + np.arange(count)[:, None] % 2).astype(np.int16)


@settings(max_examples=80, deadline=None)
@given(count=st.integers(0, 700), hop=st.integers(1, 300), channels=st.integers(1, 3))
def test_windows_are_the_slices_of_the_stream(make_params: Make, count: int, hop: int, channels: int) -> None:
    params = make_params(window_samples=64, band_edges_bins=(0, 32), channels=channels, axes=2**channels - 1)
    samples = moving(count, channels)
    cut = windows(params, samples, hop)
    starts = range(0, count - 63, hop)
    assert cut.shape == (len(starts), 64, channels)
    for window, start in zip(cut, starts, strict=True):
        assert np.array_equal(window, samples[start : start + 64])


def test_hop_comes_from_the_parameters_unless_given(make_params: Make) -> None:
    params = make_params(window_samples=64, band_edges_bins=(0, 32), hop_samples=32)
    samples = moving(320)
    assert len(windows(params, samples)) == 9
    assert len(windows(params, samples, 64)) == 5
    with pytest.raises(ValueError, match="hop"):
        windows(params, samples, 0)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_axis_that_stands_still_through_the_window_is_stuck(make_params: Make, axis: int) -> None:
    params = make_params(window_samples=64, band_edges_bins=(0, 32))
    samples = moving(64 * 4)
    samples[64:192, axis] = 5
    _, quality = windows_with_quality(params, samples, 64)
    assert quality.tolist() == [0, Quality.STUCK, Quality.STUCK, 0]
    samples[64 + 63, axis] = 6  # one sample that moves is enough
    _, quality = windows_with_quality(params, samples, 64)
    assert quality.tolist() == [0, 0, Quality.STUCK, 0]


def test_a_stuck_axis_is_seen_from_the_first_window_on(make_params: Make) -> None:
    params = make_params(window_samples=64, band_edges_bins=(0, 32))
    _, quality = windows_with_quality(params, np.zeros((64, 3), np.int16), 64)
    assert quality.tolist() == [Quality.STUCK]


@pytest.mark.parametrize("rail", [32_767, -32_767, -32_768])
def test_clipped_marks_exactly_the_windows_that_hold_the_sample(make_params: Make, rail: int) -> None:
    params = make_params(window_samples=64, band_edges_bins=(0, 32))
    for at in (0, 63, 64, 100, 255):
        samples = moving(256)
        samples[at, 1] = rail
        _, quality = windows_with_quality(params, samples, 16)
        expected = [Quality.CLIPPED if start <= at < start + 64 else 0 for start in range(0, 256 - 63, 16)]
        assert quality.tolist() == expected
    _, quality = windows_with_quality(params, np.clip(moving(256) * 100, -32_766, 32_766).astype(np.int16), 16)
    assert not quality.any()


def test_a_marked_sample_counts_as_clipped_wherever_it_lies(make_params: Make) -> None:
    params = make_params(window_samples=64, band_edges_bins=(0, 32))
    for at in (0, 63, 64, 100, 255):
        marks = np.zeros(256, np.uint8)
        marks[at] = Quality.CLIPPED
        _, quality = windows_with_quality(params, moving(256), 16, marks)
        expected = [Quality.CLIPPED if start <= at < start + 64 else 0 for start in range(0, 256 - 63, 16)]
        assert quality.tolist() == expected


@settings(max_examples=80, deadline=None)
@given(gaps=st.sets(st.integers(0, 399), max_size=4), hop=st.integers(1, 100))
@example(gaps={64, 128, 192, 256}, hop=100)
def test_no_window_spans_a_gap_and_the_first_after_it_says_so(make_params: Make, gaps: set[int], hop: int) -> None:
    params = make_params(window_samples=64, band_edges_bins=(0, 32))
    samples = moving(400)
    marks = np.zeros(400, np.uint8)
    marks[list(gaps)] = Quality.GAP
    starts: list[int] = []
    expected: list[int] = []
    lost = False  # since the last whole window
    for begin, end in itertools.pairwise([0, *sorted(gaps), 400]):
        lost = lost or begin in gaps
        for start in range(begin, end - 63, hop):
            starts.append(start)
            expected.append(Quality.GAP if lost else 0)
            lost = False
    cut, quality = windows_with_quality(params, samples, hop, marks)
    assert quality.tolist() == expected
    for window, start in zip(cut, starts, strict=True):
        assert np.array_equal(window, samples[start : start + 64])


def test_marks_of_the_wrong_shape_are_refused(make_params: Make) -> None:
    with pytest.raises(ValueError, match="marks"):
        windows_with_quality(make_params(), moving(300), 16, np.zeros(299, np.uint8))
