"""The search: trials in a space, kept in a database, judged without the held-out recordings, sorted by what they cost."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from whir_ml import config as configs
from whir_ml import dataset, search
from whir_ml.config import Config
from whir_ml.errors import DatasetError
from whir_ml.search import Cost, SearchError

BUDGET = Cost(30_000, 8_000, 100_000)


@pytest.fixture
def short(rig: Path, tmp_path: Path) -> Path:
    """The rig's config, trained for two epochs, with its folds."""
    text = (rig / "rig.toml").read_text().replace("epochs = 12", "epochs = 2")
    (tmp_path / "rig.toml").write_text(text)
    (tmp_path / "folds.csv").write_text((rig / "folds.csv").read_text())
    return tmp_path / "rig.toml"


def by_size(folder: Path) -> Cost:
    """A scale for tests: what is larger takes more work."""
    size = (folder / "model.tflite").stat().st_size + (folder / "features.tlv").stat().st_size
    return Cost(20_000 + size, 4_000, 20 * size)


def test_a_search_goes_on_where_it_was_and_leaves_configs_that_load(
    short: Path, rig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHIR_BUILD", str(tmp_path / "build"))
    base = configs.load(short)
    split = dataset.load(base, rig / "rig")
    known: set[str] = set()

    def measure(folder: Path) -> Cost:
        known.add(folder.name)
        return by_size(folder)

    study = search.open_study(base, tmp_path / "found", BUDGET)
    search.run(short, base, split, measure, study, BUDGET, 1, stop=lambda: True)
    assert not study.trials and search.reason(study) == "none was run"
    for trials in (1, 2, 2):
        study = search.open_study(base, tmp_path / "found", BUDGET)
        search.run(short, base, split, measure, study, BUDGET, trials)
        assert len(study.trials) == trials
    rows = search.found(study, BUDGET)
    assert len(rows) == len(known) > 0  # the others: a window longer than the recordings
    assert all(0 <= row.verdicts <= 1 and row.cost.instructions > 0 for row in rows)
    for row in rows:
        search.save(row, base, tmp_path / "found" / "best.toml")
        again = configs.load(tmp_path / "found" / "best.toml")
        assert again.described() | {"data": None} == configs.parse(row.document, short).described() | {"data": None}
        assert dataset.load(again, rig / "rig").train[0].name == split.train[0].name
    search.plot(rows, BUDGET, "rig", tmp_path / "pareto.png")
    assert (tmp_path / "pareto.png").read_bytes().startswith(b"\x89PNG")


class Finished:
    """A study of trials that have ended, as (accuracy, instructions, RAM)."""

    def __init__(self, *results: tuple[float, int, int]) -> None:
        self.results = results

    def get_trials(self, deepcopy: bool) -> list[object]:
        import optuna

        return [
            optuna.trial.create_trial(
                values=[score, work],
                user_attrs={"cost": dataclasses.asdict(Cost(1, ram, work)), "document": json.dumps({"n": n}), "windows": 0.5},
            )
            for n, (score, work, ram) in enumerate(self.results)
        ]


def test_best_is_what_fits_and_nothing_that_fits_beats_in_both() -> None:
    study = Finished((0.9, 50_000, 100), (0.8, 60_000, 100), (0.7, 20_000, 100), (0.99, 10_000, 9_000), (0.95, 200_000, 100))
    rows = search.found(study, BUDGET)  # type: ignore[arg-type]
    assert [(row.document["n"], row.fits, row.best) for row in rows] == [
        (0, True, True), (1, True, False), (2, True, True), (3, False, False), (4, False, False),
    ]  # fmt: skip


def test_every_training_recording_is_asked_about_and_no_other_is_needed(short: Path, rig: Path) -> None:
    base = configs.load(short)
    train = dataset.load(base, rig / "rig").train
    parts, _ = search.tried(base, dataset.Split(train, held_out=()), by_size)
    asked = [part.examples.recordings[n].name for part in parts for n in np.unique(part.examples.recording)]
    assert sorted(asked) == sorted(rec.name for rec in train)


def test_a_class_of_one_recording_cannot_be_searched(rig: Path, rig_config: Config) -> None:
    by_class = {rec.label: rec for rec in dataset.load(rig_config, rig / "rig").train}
    with pytest.raises(DatasetError, match="too few"):
        search.tried(rig_config, dataset.Split(tuple(by_class.values()), ()), by_size)


def test_raw_windows_are_not_searched() -> None:
    base = configs.load("mlp89k")
    with pytest.raises(SearchError, match="bands"):
        search.check(base)
