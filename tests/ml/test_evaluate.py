"""Evaluation: figures that can be checked by hand, and a page that stands alone."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from whir_ml import evaluate as stage
from whir_ml import protocol, report
from whir_ml.config import Config
from whir_ml.dataset import Examples
from whir_ml.errors import DatasetError
from whir_ml.evaluate import by_severity
from whir_ml.export import Exported
from whir_ml.scores import Said, Verdicts, cross_entropy, score, tally, verdicts, windows_per_verdict
from whir_ml.train import Trained

Sides = tuple[Examples, Examples]


def rows(said: list[int], classes: int = 3) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.eye(classes)[said]


def test_scores_are_those_of_the_confusion_matrix() -> None:
    target = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    result = score(("a", "b", "c"), target, rows([0, 0, 0, 1, 1, 1, 2, 0]))
    assert result["confusion"] == [[3, 1, 0], [0, 2, 0], [1, 0, 1]]
    assert result["accuracy"] == pytest.approx(6 / 8)
    assert result["recall"] == pytest.approx({"a": 0.75, "b": 1.0, "c": 0.5})
    assert result["balanced_accuracy"] == pytest.approx(0.75)
    assert result["macro_f1"] == pytest.approx((0.75 + 0.8 + 2 / 3) / 3)


def with_rate(config: Config, rate_hz: int, **changes: int) -> Config:
    return dataclasses.replace(config, params=dataclasses.replace(config.params, rate_hz=rate_hz, bandwidth_hz=40, **changes))


@pytest.mark.parametrize(
    ("rate_hz", "hop_samples", "windows"),
    [
        (1000, 256, 8),  # 2.048 s exactly
        (4000, 256, 8),
        (445, 256, 3),  # 911 samples in 2.048 s
        (100, 256, 1),
        (1000, 512, 4),
    ],
)
def test_a_verdict_spans_at_most_two_seconds(rig_config: Config, rate_hz: int, hop_samples: int, windows: int) -> None:
    assert windows_per_verdict(with_rate(rig_config, rate_hz, hop_samples=hop_samples)) == windows


def of_one_recording(sides: Sides, windows: int) -> Examples:
    return dataclasses.replace(
        sides[1],
        target=np.zeros(windows, np.int64),
        recording=np.zeros(windows, np.int64),
        features=np.zeros((windows, 1), np.int32),
    )


@pytest.mark.parametrize(("windows", "count"), [(25, 3), (31, 4), (7, 1), (2, 1), (16, 2)])
def test_a_rest_of_less_than_half_a_verdict_is_left_out(rig_config: Config, sides: Sides, windows: int, count: int) -> None:
    assert len(verdicts(rig_config, of_one_recording(sides, windows), np.ones((windows, 3))).target) == count


def test_a_verdict_is_the_mean_of_its_windows(rig_config: Config, sides: Sides) -> None:
    p = np.concatenate([np.tile([1.0, 0, 0], (3, 1)), np.tile([0, 1.0, 0], (5, 1)), np.tile([1.0, 0, 0], (8, 1))])
    means = verdicts(rig_config, of_one_recording(sides, 16), p).mean
    assert means.tolist() == [[3 / 8, 5 / 8, 0], [1, 0, 0]]


def test_verdicts_do_not_mix_recordings(rig_config: Config, sides: Sides) -> None:
    held_out = sides[1]
    v = verdicts(rig_config, held_out, rows(held_out.target.tolist()))
    assert set(v.mean.ravel().tolist()) == {0.0, 1.0}
    assert sorted(set(v.recording)) == list(range(len(held_out.recordings)))


def test_alarms_count_what_reaches_the_threshold(rig_config: Config) -> None:
    mean = np.array([[100, 900, 0], [300, 700, 0], [50, 800, 150], [900, 100, 0], [0, 100, 900], [850, 0, 150]])
    v = Verdicts(mean.astype(float), np.array([1, 1, 2, 0, 2, 2]), np.zeros(6, np.int64))
    result = stage.alarms(rig_config, v)
    assert result["raised"] == pytest.approx({"hum": 1 / 2, "knock": 1 / 3})
    assert result["false"] == 1  # the third: a knock taken for a hum; healthy is no alarm


def test_a_wrong_recording_is_listed_with_what_was_said(rig_config: Config, sides: Sides) -> None:
    held_out = sides[1]
    said = held_out.target.copy()
    victim = next(number for number, rec in enumerate(held_out.recordings) if rec.name == "knock0")
    said[held_out.recording == victim] = 1
    wrong = [entry for entry in tally([[Said(rig_config, held_out, rows(said.tolist()))]]) if entry["wrong"]]
    assert [row["recording"] for row in wrong] == ["knock0"]
    assert wrong[0]["said"] == ["hum"]
    assert wrong[0]["wrong"] == wrong[0]["verdicts"] == 1
    assert wrong[0]["sublabel"] == "knock_s1"


def test_severity_tells_missed_from_mistaken(rig_config: Config, sides: Sides) -> None:
    held_out = sides[1]
    said = held_out.target.copy()
    names = [rec.name for rec in held_out.recordings]
    said[held_out.recording == names.index("knock0")] = 1  # s1: taken for another fault
    said[held_out.recording == names.index("hum3")] = 0  # s2: called healthy
    p = rows(said.tolist())
    table = {
        (row["label"], row["severity"]): row for row in by_severity(rig_config, held_out, p, verdicts(rig_config, held_out, p))
    }
    assert set(table) == {("hum", "1"), ("hum", "2"), ("knock", "1"), ("knock", "2")}
    assert table["knock", "1"]["verdict_miss_rate"] == 0
    assert table["knock", "1"]["verdict_wrong_rate"] == 1
    assert table["hum", "2"]["verdict_miss_rate"] == table["hum", "2"]["window_miss_rate"] == 1
    assert table["hum", "1"]["verdict_wrong_rate"] == 0


def test_cross_entropy_has_a_floor_for_impossible_answers() -> None:
    assert cross_entropy(np.array([0, 1]), np.array([[1.0, 0], [1.0, 0]])) == pytest.approx(-np.log(5e-4) / 2)


@pytest.fixture(scope="module")
def figures(trained: Trained, exported: Exported, sides: Sides) -> dict[str, object]:
    return stage.evaluate(trained, exported, *sides)


def test_figures_are_json_and_say_how_good_the_rig_model_is(figures: dict[str, object], exported: Exported) -> None:
    read = json.loads(json.dumps(figures))
    assert read["int8"]["bytes"] == len(exported.model)
    assert read["int8"]["verdict"]["count"] == 6
    assert read["int8"]["verdict"]["balanced_accuracy"] == 1.0
    assert read["wrong_recordings"] == []
    assert [row["windows"] for row in read["calibration"]] == list(stage.CALIBRATION_STEPS)
    assert read["data"]["held_out"]["hum"] == {"recordings": 2, "windows": 22}
    assert len(read["data"]["held_out_recordings"]) == 6
    assert read["int8"]["ci95"] == [1.0, 1.0]


def test_the_page_stands_alone_and_shows_the_figures(figures: dict[str, object]) -> None:
    html = report.page(figures)
    assert html.count("<svg") == 6 == html.count('<svg role="img" aria-label="')  # each in words as well
    assert html.count(report.INK) == 1  # the light page's own: plots follow the page's colours, light or dark
    assert not re.search(r"(src|href)=\"http|@import|<script", html)
    assert "100.0 %" in html
    assert "rig" in html


def test_names_are_escaped_on_the_page(figures: dict[str, object]) -> None:
    row = {"recording": "<b>x", "truth": "hum", "sublabel": "s", "rpm": None, "verdicts": 1, "wrong": 1, "said": ["knock"]}
    html = report.page({**figures, "wrong_recordings": [row]})
    assert "&lt;b&gt;x" in html
    assert "<b>x" not in html


def test_a_set_with_its_own_split_has_no_folds(rig: Path, rig_config: Config) -> None:
    data = dataclasses.replace(rig_config.data, folds=None)
    with pytest.raises(DatasetError, match="no folds"):
        protocol.of_config(dataclasses.replace(rig_config, data=data), rig / "rig")
