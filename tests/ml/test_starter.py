"""Own recordings to a training config: what is left out comes from what the recordings say of themselves."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import small_rig

from whir_contracts import recording
from whir_contracts.contract import Level, Scope
from whir_contracts.recording import IndexRow, Recording
from whir_ml import config as configs
from whir_ml import dataset, splits, starter
from whir_ml.config import Config
from whir_ml.errors import ConfigError, DatasetError


@pytest.fixture(scope="module")
def recs(tmp_path_factory: pytest.TempPathFactory) -> list[Recording]:
    """The rig's recordings on two machines, each class at three speeds, in two sessions."""
    root = tmp_path_factory.mktemp("rig")
    small_rig.write(root)
    return [
        dataclasses.replace(rec, machine=f"pump {n % 2}", rpm=1400.0 + 50 * (n % 3), condition="" if n else "monday")
        for n, rec in enumerate(recording.load_folder(root / "rig"))
    ]


@pytest.fixture(scope="module")
def pumps(recs: list[Recording], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "pumps"
    for rec in recs:
        recording.save(rec, folder / f"recordings/{rec.name}.npz")
    recording.write_index(folder, [IndexRow.of(rec, f"recordings/{rec.name}.npz", "made") for rec in recs])
    return folder


def config(pumps: Path, **said: str) -> Config:
    path = pumps.with_name("pumps.toml")
    path.write_text(starter.config_for(pumps, "pumps", **said))
    return configs.load(path)


def test_a_config_for_own_recordings_loads_and_leaves_a_machine_out(pumps: Path) -> None:
    made = config(pumps)
    assert (made.classes, made.data.leave_out, made.data.held_out) == (("normal", "hum", "knock"), "machine", "pump 0")
    assert (made.params.rate_hz, made.params.level, made.scope) == (1000, Level.RELATIVE, Scope.ANY_MACHINE)
    split = dataset.load(made, dataset.folder_of(made))
    assert {rec.machine for rec in split.train} == {"pump 1"}
    assert {rec.machine for rec in split.held_out} == {"pump 0"}
    assert len(dataset.examples(made, split.held_out[:1]).features)  # and its features can be had


@pytest.mark.parametrize(("leave_out", "groups"), [("speed", 3), ("machine", 2), ("recording", 4)])
def test_each_of_what_is_left_out_is_held_out_once(pumps: Path, recs: list[Recording], leave_out: str, groups: int) -> None:
    made = config(pumps, leave_out=leave_out)
    parts = list(splits.outer(splits.of_config(made, recs)))
    assert len(parts) == groups
    assert sorted(name for _, tested in parts for name in tested) == sorted(rec.name for rec in recs)
    assert all(not train & tested for train, tested in parts)
    if leave_out == "speed":
        by_name = {rec.name: rec.rpm for rec in recs}
        assert all(len({by_name[name] for name in tested}) == 1 for _, tested in parts)


def test_what_cannot_be_left_out_is_said(pumps: Path, recs: list[Recording], tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"normal1: does not state its session.*and 16 more"):
        splits.groups_of(config(pumps, leave_out="session", held_out="monday"), recs)
    alike = [dataclasses.replace(rec, machine="pump") for rec in recs]
    with pytest.raises(DatasetError, match="all recordings have the same machine, 'pump'"):
        splits.groups_of(config(pumps), alike)
    with pytest.raises(DatasetError, match="no recording has machine 'pump 9'; there are pump 0, pump 1"):
        dataset.load(config(pumps, leave_out="machine", held_out="pump 9"), pumps)
    with pytest.raises(DatasetError, match="no load has recordings of every class"):
        starter.config_for(pumps, "pumps", leave_out="load")
    with pytest.raises(DatasetError, match="--leave-out weather: one of recording, speed"):
        starter.config_for(pumps, "pumps", leave_out="weather")
    text = starter.config_for(pumps, "pumps").replace('held_out = "pump 0"', "")
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(ConfigError, match="`leave_out` and `held_out` belong together"):
        configs.load(tmp_path / "a.toml")
