"""Inner validation of one configuration: every training recording asked about by a network that had not learned from it."""

from __future__ import annotations

from typing import Final

import numpy as np

from whir_ml import splits
from whir_ml.config import Config
from whir_ml.dataset import Examples, Progress, silent
from whir_ml.scores import Said
from whir_ml.train import fit

GROUPS: Final = 3


def validated(config: Config, learn: Examples, plain: Examples, progress: Progress = silent) -> list[Said]:
    """What was said of each group of recordings, dealt class by class, by a network trained on the others.

    Args:
        learn: what networks learn from, augmented.
        plain: plain windows of the same recordings, in the same order.
    """
    groups = splits.dealt(plain.recordings, lambda rec: config.data.class_of(rec) or "", GROUPS)
    of_recording = np.array([groups[rec.name] for rec in plain.recordings])
    parts = []
    for group in range(GROUPS):
        rest, judged = learn.where(of_recording[learn.recording] != group), plain.where(of_recording[plain.recording] == group)
        # A class of one recording cannot be asked about: nobody would have heard it.
        if set(rest.target) == set(learn.target) and len(judged.target):
            parts.append(Said(config, judged, fit(config, rest, progress).predict(judged.features)))
    return parts
