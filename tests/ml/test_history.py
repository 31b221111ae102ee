"""A plant's past: which alerts would have come, how long before the repair, and which would have been false."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from whir_contracts import recording
from whir_contracts.recording import IndexRow
from whir_ml import history
from whir_ml.artifact import Artifact
from whir_ml.config import Config
from whir_ml.errors import DatasetError
from whir_ml.history import Raised, Repair
from whir_tools.cli import app


def past(rig: Path, config: Config, folder: Path, days: dict[str, str]) -> Path:
    """A data set of one recording a day, by date and class."""
    pool = {rec.label: rec for rec in recording.load_folder(rig / config.data.set)}
    rows = []
    for date, label in days.items():
        rec = dataclasses.replace(pool[label], name=f"pump_{date}", machine="pump")
        recording.save(rec, folder / f"recordings/{rec.name}.npz")
        rows.append(IndexRow.of(rec, f"recordings/{rec.name}.npz", "made"))
    recording.write_index(folder, rows)
    return folder


@pytest.fixture
def faulty(rig_config: Config) -> str:
    return next(label for label, name in rig_config.data.labels.items() if name == rig_config.classes[1])


@pytest.fixture
def plant(rig: Path, rig_config: Config, faulty: str, tmp_path: Path) -> Path:
    healthy = next(label for label, name in rig_config.data.labels.items() if name == rig_config.classes[0])
    days = {f"2026-03-{day:02}": healthy for day in range(1, 8)} | {f"2026-03-{day:02}": faulty for day in range(8, 11)}
    return past(rig, rig_config, tmp_path / "past", days)


def test_a_fault_is_told_days_before_its_repair(plant: Path, rig_config: Config, artifact: Artifact, tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(f"date,machine,fault\n2026-03-12,pump,{rig_config.classes[1]}\n")
    found = history.replay(rig_config, artifact, plant, tmp_path / "events.csv")
    (repair,) = found["repairs"]
    assert (repair["alert"], repair["right_fault"], repair["days_before"]) == (rig_config.classes[1], True, 4)
    assert (found["seen"], found["false"]) == (1, [])


def test_an_alert_that_no_repair_follows_is_false(plant: Path, rig_config: Config, artifact: Artifact, tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("date,machine,fault\n2026-03-12,another pump,bearing\n2026-03-02,pump,bearing\n")
    found = history.replay(rig_config, artifact, plant, tmp_path / "events.csv")
    assert [row["alert"] for row in found["repairs"]] == [None, None]
    assert [row["date"][:10] for row in found["false"]] == ["2026-03-08"]
    assert found["false_per_week"] == pytest.approx(7 / 9, abs=0.001)
    assert [row["heard"] for row in found["repairs"]] == [True, False]


def test_an_alert_long_before_a_repair_does_not_count_for_it() -> None:
    heard = {"pump": [datetime(2026, 1, day) for day in (1, 4, 8, 29)], "fan": [datetime(2026, 1, 1), datetime(2026, 1, 8)]}
    alert = Raised(datetime(2026, 1, 1), "pump", "bearing", "r")
    late, soon = Repair(datetime(2026, 6, 1), "pump", "bearing"), Repair(datetime(2026, 2, 1), "", "imbalance")
    assert history.judged([alert], [late], heard)["seen"] == 0
    row = history.judged([alert], [soon], heard)["repairs"][0]
    assert (row["days_before"], row["alert"], row["right_fault"], row["heard"]) == (31, "bearing", False, True)


def test_gaps_are_no_time_listened_to_and_a_repair_after_one_was_not_missed() -> None:
    heard = {"pump": [datetime(2026, 1, day) for day in (1, 4, 8, 29)], "fan": [datetime(2026, 1, 1), datetime(2026, 1, 8)]}
    alert = Raised(datetime(2026, 1, 4), "fan", "bearing", "r")
    found = history.judged([alert], [Repair(datetime(2026, 6, 1), "pump", "bearing")], heard)
    assert (found["repairs"][0]["heard"], found["seen"], len(found["false"])) == (False, 0, 1)
    assert (found["machine_weeks"], found["false_per_week"]) == (2.0, 0.5)
    assert found["upper95_per_week"] == pytest.approx(4.744 / 2, rel=0.01)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("date,machine\n2026-01-01,a\n", "columns"),
        ("date,machine,fault\n1.3.2026,a,b\n", "line 2: '1.3.2026'"),
        ("date,machine,fault\n", "no repair"),
    ],
)
def test_events_that_cannot_be_read_are_named(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "events.csv").write_text(text)
    with pytest.raises(DatasetError, match=reason):
        history.read_events(tmp_path / "events.csv")
    with pytest.raises(DatasetError, match="no such file"):
        history.read_events(tmp_path / "none.csv")


def test_a_recording_without_a_date_is_named(rig: Path, rig_config: Config) -> None:
    rec = next(recording.load_folder(rig / rig_config.data.set))
    with pytest.raises(DatasetError, match=rec.name):
        history.date_of(rec)
    assert history.date_of(dataclasses.replace(rec, name="a_2026-03-01T06-30")) == datetime(2026, 3, 1, 6, 30)
    assert history.date_of(dataclasses.replace(rec, name="1st_test_2003.10.22.12.06.24")) == datetime(2003, 10, 22, 12, 6)
    with pytest.raises(DatasetError):
        history.date_of(dataclasses.replace(rec, name="a_2026-13-01"))


def test_the_command_tells_it_in_words_and_in_json(
    plant: Path, rig: Path, rig_config: Config, artifact: Artifact, tmp_path: Path
) -> None:
    artifact.save(tmp_path / "model")
    (tmp_path / "events.csv").write_text(f"date,machine,fault\n2026-03-12,pump,{rig_config.classes[1]}\n")
    command = ["evaluate", str(rig / "rig.toml"), "--out", str(tmp_path / "model"), "--replay", str(plant)]
    told = CliRunner().invoke(app, [*command, "--events", str(tmp_path / "events.csv")])
    assert told.exit_code == 0
    assert "1 of 1 repairs were told before" in told.stdout
    assert "4 days before" in told.stdout
    as_json = CliRunner().invoke(app, [*command, "--events", str(tmp_path / "events.csv"), "--json"])
    assert json.loads(as_json.stdout)["seen"] == 1
    assert CliRunner().invoke(app, command).exit_code == 1
