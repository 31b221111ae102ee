"""A plant's past: which alerts would have come, how long before the repair, and which would have been false."""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from whir_contracts import recording
from whir_contracts.contract import Foundation, MachineGroup
from whir_contracts.recording import IndexRow, Recording
from whir_ml import history, history_page
from whir_ml.artifact import Artifact
from whir_ml.config import Config
from whir_ml.errors import DatasetError
from whir_ml.history import Repair
from whir_ml.history_machine import Raised, date_of
from whir_node.velocity import Machine
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
        date_of(rec)
    assert date_of(dataclasses.replace(rec, name="a_2026-03-01T06-30")) == datetime(2026, 3, 1, 6, 30)
    assert date_of(dataclasses.replace(rec, name="1st_test_2003.10.22.12.06.24")) == datetime(2003, 10, 22, 12, 6)
    with pytest.raises(DatasetError):
        date_of(dataclasses.replace(rec, name="a_2026-13-01"))


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
    assert json.loads((tmp_path / "model/history.json").read_text())["seen"] == 1
    page = (tmp_path / "model/history.html").read_text()
    assert "<b>1 of 1</b>" in page and "4</td>" in page and "http" not in page  # nothing to fetch
    assert CliRunner().invoke(app, command).exit_code == 1


def vibration(name: str, machine: str, mm_s: float, hz: float, noise: float = 0.005) -> Recording:
    """Two and a half seconds on three axes: noise, and on x a sine of this velocity RMS."""
    rng = np.random.default_rng([*name.encode()])
    time_s = np.arange(8330) / 3332
    x = rng.normal(0, noise, (len(time_s), 3))
    x[:, 0] += mm_s * 1e-3 * np.sqrt(2) * 2 * np.pi * hz / 9.80665 * np.cos(2 * np.pi * hz * time_s)
    return Recording(
        name=name, samples=np.rint(x / 1e-4).astype(np.int16), scale=np.full(3, 1e-4, np.float32),
        offset=np.zeros(3, np.float32), rate_hz=3332.0, unit="g", channels=("x", "y", "z"), label="normal", sublabel="normal",
        rpm=1500.0, machine=machine,
    )  # fmt: skip


def days(machine: str, *mm_s: float, hz: float = 25.0, noise: float = 0.005) -> list[Recording]:
    return [vibration(f"{machine}_2026-03-{day:02}", machine, value, hz, noise) for day, value in enumerate(mm_s, start=1)]


def never_sure(config: Config) -> Config:
    """No class is ever as probable as that: what is left is the baseline and velocity."""
    return dataclasses.replace(config, decide=dataclasses.replace(config.decide, raise_permille=1000))


SMALL_MACHINE = Machine(power_w=11_000, group=MachineGroup.CLASS1, foundation=Foundation.RIGID, calibrated=True)


def test_a_velocity_that_has_changed_and_one_that_is_too_high_are_told(rig_config: Config, artifact: Artifact) -> None:
    recs = days("pump", *[0.5] * 9, 1.2, 1.2, 2.5, 0.5)
    machines = {"pump": SMALL_MACHINE}
    past = history.played(never_sure(rig_config), artifact, recs, machines=machines)["pump"]
    told = {alert.fault: alert for alert in past.alerts if alert.fault != "unknown"}
    assert {fault: (alert.at.day, alert.severity) for fault, alert in told.items()} == {
        "velocity_change": (10, "advisory"),  # more than a quarter of 1.8 mm/s from 0.5
        "velocity": (12, "warning"),  # zone C from 1.8 mm/s
    }
    assert told["velocity"].cleared == datetime(2026, 3, 13)
    assert [one.zone for one in past.heard][8:] == ["A", "B", "B", "C", "A"]
    assert past.heard[0].velocity_mm_s == pytest.approx(0.5, rel=0.1)
    unstated = history.played(never_sure(rig_config), artifact, recs)["pump"]
    assert {alert.fault for alert in unstated.alerts} <= {"unknown"} and unstated.heard[0].zone is None


def test_what_a_machine_never_was_is_unknown_once_its_baseline_is_learned(rig_config: Config, artifact: Artifact) -> None:
    strange = vibration("pump_2026-03-10", "pump", 0.5, 300.0, noise=0.0005)
    early = vibration("pump_2026-03-02", "pump", 0.5, 300.0, noise=0.0005)
    recs = days("pump", *[0.5] * 9)
    past = history.played(never_sure(rig_config), artifact, [*recs, strange])["pump"]
    assert [(alert.fault, alert.at.day) for alert in past.alerts] == [("unknown", 10)]
    assert [one.learning for one in past.heard] == [True] * 8 + [False] * 2  # a week, and five recordings at least
    assert [one.novelty is None for one in past.heard] == [True] * 8 + [False] * 2
    assert past.heard[-1].verdict == "unknown"
    again = [Repair(datetime(2026, 3, 9), "pump", "belt")]
    relearning = history.played(never_sure(rig_config), artifact, [*recs, strange], again)["pump"]
    assert relearning.heard[-1].learning and relearning.alerts  # the old baseline holds until the new one is there
    assert not history.played(never_sure(rig_config), artifact, [*recs[:1], early])["pump"].alerts


def test_an_alert_grows_more_severe_as_it_lasts_and_a_gap_counts_for_nothing(rig_config: Config, artifact: Artifact) -> None:
    recs = days("pump", *[0.5] * 9)
    strange = [
        vibration(f"pump_{date}", "pump", 0.5, 300.0, noise=0.0005) for date in ("2026-03-10", "2026-03-12", "2026-05-01")
    ]
    severities = [
        history.played(never_sure(rig_config), artifact, [*recs, *chosen])["pump"].alerts[0].severity
        for chosen in (strange[:1], strange[:2], [strange[0], strange[2]])
    ]
    assert severities == ["advisory", "warning", "advisory"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("machine,power_kw\npump,11\n", "columns"),
        ("machine,power_kw,group,foundation\npump,eleven,class1,rigid\n", "line 2"),
        ("machine,power_kw,group,foundation\npump,11,class9,rigid\n", "line 2: group class9"),
        ("machine,power_kw,group,foundation\nfan,11,class1,rigid\n", "no recording is of fan"),
    ],
)
def test_machines_that_cannot_be_read_are_named(
    plant: Path, rig_config: Config, artifact: Artifact, tmp_path: Path, text: str, reason: str
) -> None:
    (tmp_path / "events.csv").write_text("date,machine,fault\n2026-03-12,pump,bearing\n")
    (tmp_path / "machines.csv").write_text(text)
    with pytest.raises(DatasetError, match=reason):
        history.replay(rig_config, artifact, plant, tmp_path / "events.csv", tmp_path / "machines.csv")


def test_the_page_shows_runs_of_verdicts_broken_at_gaps_alerts_and_repairs() -> None:
    def heard(day: str, verdict: str, novelty: int | None, zone: str | None) -> dict[str, object]:
        return {
            "at": f"2026-{day}T00:00:00", "recording": day, "verdict": verdict, "p": 1.0, "novelty": novelty,
            "velocity_mm_s": 1.5, "zone": zone, "learning": novelty is None,
        }  # fmt: skip

    alert = {
        "date": "2026-03-04T00:00:00", "machine": "<pump>", "fault": "hum", "severity": "warning", "recording": "r",
        "cleared": None, "repair": {"date": "2026-03-05T00:00:00", "fault": "hum"}, "days_before": 1.0,
    }  # fmt: skip
    found = {
        "name": "rig", "classes": ["normal", "hum"], "from": "2026-03-01T00:00:00", "to": "2026-04-10T00:00:00",
        "machine_weeks": 1.0, "seen": 1, "alerts": [alert], "false": [], "false_per_week": 0.0, "upper95_per_week": 3.0,
        "repairs": [
            {"date": "2026-03-05T00:00:00", "machine": "", "fault": "hum", "heard": True, "alert": "hum", "right_fault": True,
             "days_before": 1.0},
        ],
        "machines": {"<pump>": {"zones": True, "heard": [
            heard("03-01", "normal", None, "A"), heard("03-02", "normal", None, "A"), heard("03-04", "hum", 1500, "C"),
            heard("04-08", "hum", 2500, None), heard("04-10", "normal", 100, None),
        ]}},
    }  # fmt: skip
    page = history_page.page(found)
    runs = re.findall(r"<title>(.*?)</title>", page)[1:]
    assert runs == [
        "normal: 2026-03-01T00:00 to 2026-03-04T00:00, 2 recordings",
        "hum: 2026-03-04T00:00 to 2026-03-04T00:00, 1 recording",  # nobody listened for a month behind it
        "hum: 2026-04-08T00:00 to 2026-04-10T00:00, 1 recording",
        "normal: 2026-04-10T00:00 to 2026-04-10T00:00, 1 recording",
        "learning: 2026-03-01T00:00 to 2026-03-04T00:00, 2 recordings",
        "A: 2026-03-01T00:00 to 2026-03-04T00:00, 2 recordings",
        "C: 2026-03-04T00:00 to 2026-03-04T00:00, 1 recording",
        "hum, warning: raised 2026-03-04T00:00, not cleared",
    ]
    assert "&lt;pump&gt;" in page and "<pump>" not in page
    assert page.count("▼</span>") == 1  # a repair of any machine is that of each
