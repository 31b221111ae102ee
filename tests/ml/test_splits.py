"""Fold lists: no recording on both sides, choices out of the training part only, and the committed lists as the script writes
them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from whir_contracts import recording
from whir_contracts.recording import DataFolderError, Recording
from whir_ml import config as configs
from whir_ml import splits
from whir_ml.errors import DatasetError
from whir_ml.splits import NEVER_HELD_OUT, Place

COMMITTED = sorted((configs.FOLDER / "folds").glob("*.csv"))
FOLDS = {"a": Place(0, 5), "b": Place(0, 6), "c": Place(1, 5), "d": Place(1, 6), "e": Place(NEVER_HELD_OUT, 7)}


def real(set_name: str) -> dict[str, Recording]:
    try:
        folder = recording.data_set(set_name)
    except DataFolderError as error:
        pytest.skip(f"needs the real recordings: {error}")
    return {rec.name: rec for rec in recording.load_folder(folder)}


def test_each_fold_is_held_out_once_and_what_is_never_held_out_is_always_learned() -> None:
    assert list(splits.outer(FOLDS)) == [({"c", "d", "e"}, {"a", "b"}), ({"a", "b", "e"}, {"c", "d"})]


def test_inner_groups_are_made_of_the_training_part_alone() -> None:
    train = frozenset({"c", "d", "e"})
    parts = list(splits.inner(FOLDS, train))
    assert parts == [({"d", "e"}, {"c"}), ({"c", "e"}, {"d"}), ({"c", "d"}, {"e"})]


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_a_committed_list_never_has_a_recording_on_both_sides(path: Path) -> None:
    folds = splits.read(path)
    tested: list[str] = []
    for train, held_out in splits.outer(folds):
        assert train and held_out and not train & held_out
        tested += held_out
        for rest, judged in splits.inner(folds, train):
            assert rest and judged and not rest & judged
            assert rest | judged == train
    assert len(tested) == len(set(tested)) == sum(place.fold != NEVER_HELD_OUT for place in folds.values())


@pytest.mark.parametrize("set_name", ["adi_cbm", "cwru_bearing_12k", "lsm6dsox_esp32c3_fan"])
def test_the_script_writes_the_committed_lists(set_name: str, tmp_path: Path) -> None:
    real(set_name)
    lists = splits.generate(recording.data_set(set_name), set_name)
    for split, folds in lists.items():
        splits.write(tmp_path / "list.csv", folds)
        assert (tmp_path / "list.csv").read_bytes() == splits.path_of(set_name, split).read_bytes()
    committed = {path.stem.removeprefix(f"{set_name}-") for path in COMMITTED if path.stem.startswith(set_name)}
    assert committed - {"by_recording"} == set(lists) - {"by_recording"}


@pytest.mark.parametrize(
    ("set_name", "split", "what"),
    [
        ("adi_cbm", "leave_speed_out", lambda rec: rec.rpm),
        ("adi_cbm", "leave_load_out", lambda rec: rec.load),
        ("cwru_bearing_12k", "leave_load_out", lambda rec: rec.load),
        ("cwru_bearing_12k", "leave_size_out", lambda rec: rec.sublabel.split("_at_")[0][-3:]),
        ("lsm6dsox_esp32c3_fan", "session_a_to_b", lambda rec: rec.condition.split("_")[0]),
        ("lsm6dsox_esp32c3_fan", "leave_position_out", lambda rec: rec.condition.split("_")[1]),
    ],
)
def test_what_is_left_out_is_not_in_training(set_name: str, split: str, what: Callable[[Recording], object]) -> None:
    recs = real(set_name)
    for train, tested in splits.outer(splits.read(splits.path_of(set_name, split))):
        assert {what(recs[name]) for name in train} & {what(recs[name]) for name in tested} == set()


def test_the_simulated_set_keeps_its_own_split() -> None:
    folds = splits.read(splits.path_of("synth12k", "by_recording"))
    assert len(folds) == 480
    assert all((place.fold == NEVER_HELD_OUT) == name.startswith("train_") for name, place in folds.items())


def test_dealt_groups_have_the_same_mixture_and_come_back_by_seed(rig: Path) -> None:
    recs = list(recording.load_folder(rig / "rig"))
    groups = splits.dealt(recs, lambda rec: rec.label, 3)
    counts = {(rec.label, groups[rec.name]): 0 for rec in recs}
    for rec in recs:
        counts[rec.label, groups[rec.name]] += 1
    assert set(counts.values()) == {2}
    assert groups == splits.dealt(recs[::-1], lambda rec: rec.label, 3)
    assert groups != splits.dealt(recs, lambda rec: rec.label, 3, seed=2)


def test_a_list_comes_back_as_it_was_written(tmp_path: Path) -> None:
    splits.write(tmp_path / "with.csv", FOLDS)
    assert splits.read(tmp_path / "with.csv") == FOLDS
    same = {name: Place(place.fold, place.fold) for name, place in FOLDS.items()}
    splits.write(tmp_path / "without.csv", same)
    assert (tmp_path / "without.csv").read_text().startswith("recording,fold\n")
    assert splits.read(tmp_path / "without.csv") == same


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("recording,fold\na,0\na,1\n", "twice"),
        ("file,fold\na,0\n", "recording,fold"),
        ("recording,fold\na,x\n", "recording,fold"),
    ],
)
def test_a_broken_list_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(DatasetError, match=reason):
        splits.read(tmp_path / "list.csv")


def test_a_list_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none\.csv"):
        splits.read(tmp_path / "none.csv")
