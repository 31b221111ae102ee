"""Nested validation: what is tested enters nothing before the test, and the figures are those of what was said."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from whir_contracts import contract, recording
from whir_contracts.recording import Recording
from whir_ml import protocol, scores, splits
from whir_ml.config import Config
from whir_ml.dataset import Examples
from whir_ml.errors import DatasetError
from whir_ml.scores import Said
from whir_ml.splits import Folds, Place

FEW = 4  # epochs


@pytest.fixture(scope="module")
def recs(rig: Path) -> list[Recording]:
    return list(recording.load_folder(rig / "rig"))


@pytest.fixture(scope="module")
def folds(rig: Path) -> Folds:
    return splits.read(rig / "folds.csv")


def candidates(config: Config) -> list[Config]:
    one = dataclasses.replace(config.reduced(epochs=FEW), name="one-layer", layers=())
    return [one, dataclasses.replace(config.reduced(epochs=FEW), name="network")]


def inverted(rec: Recording) -> Recording:
    """The same recording with nothing of what its class sounds like."""
    noise = np.random.default_rng(3).integers(-50, 50, rec.samples.shape).astype(np.int16)
    return dataclasses.replace(rec, samples=noise)


def test_a_row_holds_every_figure_and_every_recording_once(rig_config: Config, recs: list[Recording], folds: Folds) -> None:
    steps: list[str] = []
    row = protocol.row(candidates(rig_config), recs, folds, [1, 2], progress=lambda what, done, total: steps.append(what))
    assert row["seeds"] == 2
    assert row["windows_per_verdict"] == 8
    assert row["recordings"] == {"normal": 6, "hum": 6, "knock": 6}
    assert set(row["recall"]) == {"normal", "hum", "knock"}
    assert row["balanced_accuracy_int8"] == pytest.approx(np.mean(list(row["recall"].values())))
    assert row["ci95"][0] <= row["balanced_accuracy_int8"] + 1e-4 and row["balanced_accuracy_int8"] <= row["ci95"][1] + 1e-4
    assert all(set(rival) == {"single", "verdict"} for rival in row["rivals"].values())
    assert set(row["rivals"]) == {"lr", "lda", "rf", "et"}
    assert row["novelty_auroc"] is None and row["reasons"]["novelty_auroc"]
    assert [choice["fold"] for choice in row["chosen"]] == [0, 1, 2]
    assert any("inner" in step for step in steps)


def test_the_tested_recordings_have_no_part_in_the_choice(rig_config: Config, recs: list[Recording], folds: Folds) -> None:
    """Spoil the recordings of fold 0: the inner scores of fold 0 stay what they are to the last digit."""
    train, tested = next(iter(splits.outer(folds)))

    def scores(own: list[Recording]) -> dict[str, tuple[float, float]]:
        learner = protocol._Learner(own, 1, None, lambda what, done, total: None)
        return protocol.choose(candidates(rig_config), folds, train, learner).scores

    clean = scores(recs)
    assert clean == scores([inverted(rec) if rec.name in tested else rec for rec in recs])
    assert clean != scores([inverted(rec) if rec.name in train else rec for rec in recs])


def test_of_two_that_are_equal_the_simpler_is_taken(rig_config: Config, recs: list[Recording], folds: Folds) -> None:
    train, _ = next(iter(splits.outer(folds)))
    learner = protocol._Learner(recs, 1, None, lambda what, done, total: None)
    twins = [dataclasses.replace(rig_config.reduced(epochs=FEW), name=name) for name in ("first", "second")]
    choice = protocol.choose(twins, folds, train, learner)
    assert choice.scores["first"] == choice.scores["second"]
    assert choice.name == "first"
    better = [dataclasses.replace(twins[0].reduced(epochs=0), name="untrained"), twins[1]]
    assert protocol.choose(better, folds, train, learner).name == "second"


def test_a_recording_without_a_fold_is_named(rig_config: Config, recs: list[Recording], folds: Folds) -> None:
    fewer = {name: place for name, place in folds.items() if name != "hum3"}
    with pytest.raises(DatasetError, match="hum3"):
        protocol.row(candidates(rig_config), recs, fewer, [1])


def test_a_training_part_without_a_class_is_named(rig_config: Config, recs: list[Recording]) -> None:
    split = {rec.name: Place(int(rec.label == "hum"), 0) for rec in recs}
    _, (train, tested) = splits.outer(split)
    assert {rec.label for rec in recs if rec.name in tested} == {"hum"}
    with pytest.raises(DatasetError, match="no training recording of class hum"):
        protocol._Learner(recs, 1, None, lambda what, done, total: None).said(rig_config, train, tested)


def test_without_bearing_the_class_and_its_recordings_are_gone(rig_config: Config, recs: list[Recording]) -> None:
    labels = {"normal": "normal", "hum": "hum", "knock": "bearing"}
    config = dataclasses.replace(
        rig_config, classes=("normal", "hum", "bearing"), data=dataclasses.replace(rig_config.data, labels=labels)
    )
    varied, own = protocol.variant_of(config, recs, "no_bearing")
    assert varied.classes == ("normal", "hum")
    assert {rec.label for rec in own} == {"normal", "hum"}


def test_gain_and_trend_are_taken_out_of_what_the_features_can_know(rig_config: Config, recs: list[Recording]) -> None:
    varied, own = protocol.variant_of(rig_config, recs, "gain_detrended")
    assert varied.params.level == contract.Level.RELATIVE
    steep = dataclasses.replace(recs[0], samples=(recs[0].samples + np.arange(len(recs[0].samples))[:, None]).astype(np.int16))
    assert np.abs(protocol.gain_detrended(steep).samples.astype(int) - own[0].samples).max() <= 1
    gains = [new.samples.std() / old.samples.std() for new, old in zip(own, recs, strict=True)]
    assert 10 ** (-24 / 20) * 0.95 < min(gains) < 0.25 < 0.4 < max(gains) <= 1.01
    assert np.array_equal(protocol.gain_detrended(recs[0]).samples, own[0].samples)


def said(config: Config, rec: Recording, truth: int, verdicts: list[int]) -> Said:
    """Eight windows for each verdict, all of them alike."""
    p = np.repeat(np.eye(3)[verdicts], 8, axis=0)
    nothing = np.zeros(len(p), np.int64)
    return Said(config, Examples(np.zeros((len(p), 1), np.int32), nothing + truth, nothing, (rec,)), p)


def test_wrong_recordings_are_counted_over_verdicts_and_seeds(rig_config: Config, recs: list[Recording]) -> None:
    a, b, c = recs[0], recs[6], recs[12]
    seeds = [
        [said(rig_config, a, 0, [0, 0]), said(rig_config, b, 1, [1, 2]), said(rig_config, c, 2, [2, 2])],
        [said(rig_config, a, 0, [0, 0]), said(rig_config, b, 1, [0, 0]), said(rig_config, c, 2, [2, 2])],
    ]
    result: dict[str, Any] = protocol.figures({"float": seeds, "int8": seeds})
    (wrong,) = result["wrong_recordings"]
    assert (wrong["recording"], wrong["verdicts"], wrong["wrong"]) == (b.name, 4, 3)
    assert wrong["said"] == ["knock", "normal"]
    assert wrong["seeds_outvoted"] == 1
    assert result["recall"] == pytest.approx({"normal": 1.0, "hum": 0.25, "knock": 1.0})
    assert result["balanced_accuracy_int8"] == pytest.approx(0.75)
    assert result["single_window_int8"] == pytest.approx(0.75)


def test_the_interval_spans_what_drawing_recordings_again_can_give() -> None:
    even = [{"truth": t, "verdicts": 4, "wrong": 0} for t in "ab" for _ in range(8)]
    assert scores.interval(even) == [1.0, 1.0]
    # One of eight in one class is wrong altogether: recall 7/8 there, drawn again between 4/8 and 1 in 95 %.
    one = [*even[:-1], {"truth": "b", "verdicts": 4, "wrong": 4}]
    low, high = scores.interval(one)
    assert (low, high) == pytest.approx((0.8125, 1.0), abs=0.001)
