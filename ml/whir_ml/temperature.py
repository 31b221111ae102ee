"""Probabilities that mean what they say: one temperature, fitted on recordings that the network had not learned from.

The training recordings are dealt into three groups, class by class; a network trained on two of them is asked about the third.
The temperature that makes those answers likeliest, each class counting the same, divides the weights and biases of the shipped
network's last layer. So it is in the model file: quantization sees other scales and the same int8 weights, and nothing on the
node knows of it. Fitted are verdicts (means over windows), for those are what an alert quotes. No test recording is touched.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from whir_ml.config import Config
from whir_ml.dataset import Examples, Progress, silent
from whir_ml.inner import validated
from whir_ml.scores import Probabilities, Said, Verdicts
from whir_ml.train import Trained, fit

RANGE: Final = (0.2, 5.0)
BINS: Final = 10
LEAST: Final = 5e-4  # half a permille: what int8 cannot tell from nothing


def calibrated(config: Config, learn: Examples, plain: Examples, progress: Progress = silent) -> Trained:
    """Train on `learn`, and fit the temperature by inner validation.

    Args:
        learn: what the network learns from, augmented.
        plain: plain windows of the same recordings, in the same order.
    """
    parts = validated(config, learn, plain, progress)
    return fit(config, learn, progress).at_temperature(fitted(parts))


def fitted(parts: Sequence[Said]) -> float:
    """The temperature that makes the truth likeliest to verdicts of windows that were said at temperature 1; 1 without any."""
    if not parts:
        return 1.0
    # That so many recordings are all told right proves no more than this (Platt, 1999); without it such a model would be made
    # as sure as can be.
    doubt = 1 / (2 + sum(len(np.unique(part.examples.recording)) for part in parts))

    def loss(log_t: float) -> float:
        t = math.exp(log_t)
        all_of = [Said(part.config, part.examples, softened(part.p, t)).verdicts() for part in parts]
        p, target = np.concatenate([v.mean for v in all_of]), np.concatenate([v.target for v in all_of])
        others = (np.log(np.maximum(p, LEAST)).sum(axis=1) - np.log(_of_truth(p, target))) / (p.shape[1] - 1)
        return (1 - doubt) * balanced_loss(p, target) - doubt * float(others @ _weights(target))

    found = minimize_scalar(loss, bounds=[math.log(limit) for limit in RANGE], method="bounded")
    return round(math.exp(float(found.x)), 3)


def softened(p: Probabilities, temperature: float) -> NDArray[np.float64]:
    """The probabilities (n, classes) that the softmax gives when its inputs are divided by `temperature`."""
    scaled = np.log(np.maximum(np.asarray(p, np.float64), 1e-30)) / temperature
    raised = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def balanced_loss(p: Probabilities, target: NDArray[np.int64]) -> float:
    """Mean negative log probability of the truth, nats, each class counting the same."""
    return float(-(np.log(_of_truth(p, target)) @ _weights(target)))


def reliability(v: Verdicts) -> dict[str, Any]:
    """Said and true shares of the verdicts' top class, by how sure they were; means in any unit. Each class counts the same.

    `ece`: expected calibration error, the mean distance between the two. Bins without a verdict are left out.
    """
    p = v.mean / v.mean.sum(axis=1, keepdims=True)
    sure, right, weight = p.max(axis=1), p.argmax(axis=1) == v.target, _weights(v.target)
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    bins = []
    for number in np.unique(place):
        own = place == number
        share = weight[own] / weight[own].sum()
        bins.append(
            {
                "said": round(float(sure[own] @ share), 4),
                "true": round(float(right[own] @ share), 4),
                "weight": round(float(weight[own].sum()), 4),
                "verdicts": int(own.sum()),
            }
        )
    ece = sum(row["weight"] * abs(row["said"] - row["true"]) for row in bins)
    return {"ece": round(ece, 4), "loss": round(balanced_loss(p, v.target), 4), "bins": bins}


def _of_truth(p: Probabilities, target: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(np.maximum(p[np.arange(len(target)), target], LEAST), np.float64)


def _weights(target: NDArray[np.int64]) -> NDArray[np.float64]:
    """One class, one share: they sum to 1."""
    counts = np.bincount(target)
    return np.asarray(1.0 / (counts[target] * np.count_nonzero(counts)))
