"""Leaving one fault out: AUROC of the core's novelty, on a made set, on real recordings and on simulated machines."""

from __future__ import annotations

import numpy as np
import pytest

from whir_contracts import recording
from whir_contracts.novelty import NOVELTY_EDGES
from whir_ml import config as configs
from whir_ml import novelty, splits
from whir_ml.errors import DatasetError
from whir_ml.novelty import Part


def test_auroc_counts_pairs_and_says_against_whom() -> None:
    config = configs.load("adi4k")
    part = Part({"normal": np.array([100.0, 200, 300]), "bearing": np.array([900.0]), "bent_shaft": np.array([250.0, 1500])})
    found = novelty.figures(config, [part], ["bent_shaft"])
    assert found["novelty"]["against_healthy"] == pytest.approx(5 / 6, abs=1e-4)
    assert found["novelty_auroc"] == pytest.approx(6 / 8, abs=1e-4)
    assert found["novelty"]["beyond_limit"] == {"normal": 0, "bearing": 0, "bent_shaft": 0.5}
    assert novelty.figures(config, [part], ["looseness"])["novelty_auroc"] is None


def test_too_few_healthy_windows_are_said_so() -> None:
    with pytest.raises(DatasetError, match="too few"):
        novelty.heard(configs.load("adi4k"), [], [], None)


def test_a_bent_shaft_is_told_from_the_healthy_rig() -> None:
    """Against held-out healthy recordings the goal is 0.95. Against known faults it cannot be: they are as far from healthy."""
    config = configs.load("adi4k")
    if recording.data_root() is None:
        pytest.skip("no recordings: set WHIR_DATA")
    recs = list(recording.load_folder(recording.data_set("adi_cbm")))
    folds = splits.read(splits.path_of("adi_cbm", "leave_fault_out"))
    healthy = {rec.name for rec in recs if rec.label == "normal"}
    wanted = [rec for rec in recs if rec.name in healthy or rec.label == "bent_shaft"]
    parts = list(novelty.of_set(config, wanted, folds))
    assert len(parts) == len(healthy)
    assert novelty.figures(config, parts, ["bent_shaft"])["novelty_auroc"] >= 0.95
    normal = [rec for rec in recs if rec.label == "normal"]
    told = novelty.of_healthy(config, normal[:-2], normal[-2:])
    assert told is not None
    assert len(told["counts"]) == len(NOVELTY_EDGES) + 1
    assert told["counts"][-1] <= 0.05 * sum(told["counts"])  # healthy is hardly ever beyond the limit


def test_without_a_healthy_recording_to_ask_there_is_no_baseline_of_features() -> None:
    assert novelty.of_healthy(configs.load("adi4k"), [], []) is None
