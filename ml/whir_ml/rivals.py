"""What a network has to beat: the usual classifiers on the usual features, from the same windows.

Features: 64 bands that widen towards a log axis, RMS, crest factor and kurtosis per axis by the core's code, and the
correlations between the axes.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from whir_contracts import contract
from whir_contracts.recording import Recording
from whir_ml import dataset
from whir_ml.config import Config
from whir_ml.dataset import Examples

BANDS: Final = 64
STATS: Final = 0b1101  # RMS, crest factor, kurtosis

Classifier = Callable[[int, int], Any]  # number of classes, seed → scikit-learn estimator


@dataclasses.dataclass(frozen=True, eq=False)
class RivalExamples:
    """x float64 (n, f), and the examples that it belongs to."""

    x: NDArray[np.float64]
    examples: Examples


def band_edges(top_bin: int, bands: int = BANDS) -> tuple[int, ...]:
    """Edges from bin 1 to `top_bin`: each band as wide as an even log axis over what is left asks for, one bin at least."""
    edges = [1]
    for left in range(bands, 0, -1):
        edges.append(max(edges[-1] + 1, round(edges[-1] * (top_bin / edges[-1]) ** (1 / left))))
    return tuple(edges)


def rival_config(config: Config) -> Config:
    """The config with the rivals' features in place of its own; level and windows stay."""
    edges = band_edges(config.params.window_samples // 2)
    params = dataclasses.replace(config.params, kind=contract.FeatureKind.BANDS, band_edges_bins=edges, stats=STATS)
    return dataclasses.replace(config, params=params)


def features(config: Config, recs: Sequence[Recording], cache: Path | None = None) -> RivalExamples:
    """The rivals' features of plain windows of recordings."""
    own = rival_config(config)
    examples = dataset.examples(own, recs, cache=cache)
    turns = [axis_correlations(dataset.windows(own.params, rec, own.params.hop_samples)) for rec in recs]
    return RivalExamples(np.concatenate([examples.features, np.concatenate(turns)], axis=1), examples)


def axis_correlations(windows: NDArray[np.int16]) -> NDArray[np.float64]:
    """Correlation of each pair of axes, (n, pairs), of windows (n, samples, channels); 0 for a still axis."""
    x = windows - windows.mean(axis=1, keepdims=True)
    power = np.sqrt((x**2).sum(axis=1))
    columns = []
    for a, b in itertools.combinations(range(windows.shape[2]), 2):
        columns.append((x[:, :, a] * x[:, :, b]).sum(axis=1) / np.maximum(power[:, a] * power[:, b], 1e-9))
    return np.stack(columns, axis=1) if columns else np.empty((len(windows), 0))


def _logistic(classes: int, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, class_weight="balanced", max_iter=500))


def _lda(classes: int, seed: int) -> Any:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=[1 / classes] * classes)
    return make_pipeline(StandardScaler(), lda)


def _forest(classes: int, seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(200, class_weight="balanced", random_state=seed)


def _extra_trees(classes: int, seed: int) -> Any:
    from sklearn.ensemble import ExtraTreesClassifier

    return ExtraTreesClassifier(200, class_weight="balanced", random_state=seed)


RIVALS: Final[dict[str, Classifier]] = {"lr": _logistic, "lda": _lda, "rf": _forest, "et": _extra_trees}
