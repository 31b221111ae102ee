"""Rivals: the features that they get, and that each of them learns an easy rig."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from whir_contracts import recording
from whir_ml import rivals
from whir_ml.config import Config


def test_band_edges_are_64_rising_bands_that_widen() -> None:
    edges = rivals.band_edges(128)
    assert (len(edges), edges[0], edges[-1]) == (65, 1, 128)
    widths = np.diff(edges)
    assert widths.min() == 1
    assert widths[-1] > widths[0]


def test_correlation_is_that_of_numpy() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(0, 500, (4, 256, 3))
    x[:, :, 1] += x[:, :, 0]
    windows = np.rint(x).astype(np.int16)
    found = rivals.axis_correlations(windows)
    for window, row in zip(windows, found, strict=True):
        full = np.corrcoef(window.T)
        assert row == pytest.approx([full[0, 1], full[0, 2], full[1, 2]])


def test_a_still_axis_correlates_with_nothing_and_one_axis_has_no_pairs() -> None:
    windows = np.zeros((2, 256, 2), np.int16)
    windows[:, ::2, 0] = 100
    assert np.array_equal(rivals.axis_correlations(windows), np.zeros((2, 1)))
    assert rivals.axis_correlations(windows[:, :, :1]).shape == (2, 0)


def test_every_rival_learns_the_small_rig(rig: Path, rig_config: Config) -> None:
    recs = list(recording.load_folder(rig / "rig"))
    data = rivals.features(rig_config, recs)
    assert data.x.shape == (18 * 11, 3 * (64 + 3) + 3)
    train = data.examples.recording % 3 != 0
    for name, make in rivals.RIVALS.items():
        estimator = make(3, 1).fit(data.x[train], data.examples.target[train])
        assert estimator.score(data.x[~train], data.examples.target[~train]) > 0.9, name
