"""Calibration of probabilities: the temperature is found again, learned from training recordings only, and lies in the file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from whir_contracts.recording import Recording
from whir_ml import dataset, inner, temperature
from whir_ml.config import Config
from whir_ml.dataset import Examples
from whir_ml.export import Exported, export
from whir_ml.scores import Said, Verdicts
from whir_ml.temperature import fitted, reliability, softened
from whir_ml.train import Trained, fit

Sides = tuple[Examples, Examples]


def drawn(config: Config, rec: Recording, too_sure: float, count: int = 4000) -> Said:
    """One window a verdict; the truth is drawn from probabilities, and what is said is `too_sure` times as sure."""
    rng = np.random.default_rng(5)
    p = softened(np.exp(rng.normal(0, 1.5, (count, 3))), 1.0)
    truth = np.array([rng.choice(3, p=row) for row in p])
    windows = np.arange(count)
    one = dataclasses.replace(config, params=dataclasses.replace(config.params, verdict_windows=1))
    examples = Examples(np.zeros((count, 1), np.int32), truth, windows, (rec,) * count)
    return Said(one, examples, softened(p, 1 / too_sure))


@pytest.mark.parametrize("too_sure", [0.5, 1.0, 2.5])
def test_the_temperature_that_undoes_too_much_or_too_little_certainty_is_found(
    rig_config: Config, sides: Sides, too_sure: float
) -> None:
    said = drawn(rig_config, sides[0].recordings[0], too_sure)
    assert fitted([said]) == pytest.approx(too_sure, rel=0.1)


def test_few_recordings_that_are_all_right_do_not_make_it_sure_of_everything(rig_config: Config, sides: Sides) -> None:
    """A model that always gives 0.7 to the truth is made no surer than six recordings can prove: (6 + 1) / (6 + 2)."""
    p = np.full((len(sides[1].target), 3), 0.15)
    p[np.arange(len(p)), sides[1].target] = 0.7
    said = Said(rig_config, sides[1], p)
    sure = softened(p, fitted([said])).max()
    assert sure == pytest.approx(7 / 8, abs=0.01)


def test_without_an_answer_the_temperature_is_one() -> None:
    assert fitted([]) == 1.0


def test_the_error_of_what_is_too_sure_falls_when_it_is_softened(rig_config: Config, sides: Sides) -> None:
    said = drawn(rig_config, sides[0].recordings[0], 2.5)
    better = dataclasses.replace(said, p=softened(said.p, fitted([said])))
    before, after = (reliability(part.verdicts()) for part in (said, better))
    assert before["ece"] > 0.1 > 0.05 > after["ece"]
    assert after["loss"] < before["loss"]


def test_reliability_counts_every_class_the_same() -> None:
    # Of the first class 9 are right, of the second the only one is wrong: half of the weight, though a tenth of the verdicts.
    v = Verdicts(np.tile([900.0, 100.0], (10, 1)), np.array([0] * 9 + [1]), np.zeros(10, np.int64))
    (row,) = reliability(v)["bins"]
    assert (row["said"], row["true"], row["weight"], row["verdicts"]) == (0.9, 0.5, 1.0, 10)
    assert reliability(v)["ece"] == 0.4


def test_the_network_is_divided_and_says_what_softening_says(rig_config: Config, sides: Sides) -> None:
    trained = fit(rig_config.reduced(epochs=2), sides[0])
    said = trained.predict(sides[1].features)
    cooler = trained.at_temperature(0.5)
    assert np.allclose(cooler.predict(sides[1].features), softened(said, 0.5), atol=1e-4)
    # from the one to the other, not on top of it
    assert np.allclose(cooler.at_temperature(2.0).predict(sides[1].features), softened(said, 2.0), atol=1e-4)


def test_int8_weights_stay_what_they_are_and_no_operator_is_added(rig_config: Config, sides: Sides) -> None:
    trained = fit(rig_config.reduced(epochs=2), sides[0])
    plain: Exported = export(trained, *sides)
    hotter = export(trained.at_temperature(2.0), *sides)
    assert hotter.operators == plain.operators
    assert len(hotter.model) == len(plain.model)
    different = sum(a != b for a, b in zip(plain.model, hotter.model, strict=True))
    assert different <= 4 * (2 * len(rig_config.classes) + 2), "only float scales of the last layer and its output"
    said, asked = (e.permille(e.run(sides[1].features)) for e in (plain, hotter))
    assert np.abs(softened(said + 0.5, 2.0) * 1000 - asked).max() < 40


def test_training_recordings_alone_make_the_temperature(
    rig: Path, rig_config: Config, sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is asked in inner validation was neither learned from by that network nor held out for the test."""
    asked: list[Said] = []
    learned: list[set[str]] = []
    real_fit, real_fitted = temperature.fit, temperature.fitted

    def spied_fit(config: Config, examples: Examples, *rest: object) -> Trained:
        learned.append({examples.recordings[n].name for n in np.unique(examples.recording)})
        return real_fit(config, examples)

    def spied(parts: list[Said]) -> float:
        asked.extend(parts)
        return real_fitted(parts)

    monkeypatch.setattr(temperature, "fit", spied_fit)
    monkeypatch.setattr(inner, "fit", spied_fit)
    monkeypatch.setattr(temperature, "fitted", spied)
    split = dataset.load(rig_config, rig / "rig")
    config = rig_config.reduced(epochs=2)
    trained = temperature.calibrated(config, dataset.training_examples(config, split), sides[0])
    names = [{part.examples.recordings[n].name for n in np.unique(part.examples.recording)} for part in asked]
    assert len(asked) == inner.GROUPS
    assert all(not own & heard for own, heard in zip(names, learned, strict=False))
    assert set().union(*names) == {rec.name for rec in split.train} == learned[-1]
    assert trained.temperature != 1.0
    trained.save(rig / "saved")
    again = Trained.load(config, rig / "saved")
    assert again.temperature == trained.temperature
    assert np.allclose(again.predict(sides[1].features), trained.predict(sides[1].features))
