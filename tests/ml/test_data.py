"""`whir data`: counting, importing, exporting and the errors of the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from layouts import vibration, write_csv
from typer.testing import CliRunner

from whir_contracts import recording
from whir_contracts.recording import IndexRow, Recording
from whir_ml import importers
from whir_ml.data import summarize, summarize_all
from whir_ml.data_cli import app


def whir(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def make_set(folder: Path) -> None:
    rows = []
    for number, label in enumerate(("normal", "bearing", "bearing")):
        rec = Recording(
            name=f"r{number}",
            samples=np.random.default_rng(number).integers(-99, 99, (500, 3)).astype(np.int16),
            scale=np.full(3, 1e-3, np.float32),
            offset=np.zeros(3, np.float32),
            rate_hz=1000.0,
            unit="g",
            channels=("x", "y", "z"),
            label=label,
            sublabel=f"{label}_{number}",
            rpm=1500.0,
        )
        recording.save(rec, folder / "recordings" / f"r{number}.npz")
        rows.append(IndexRow.of(rec, f"recordings/r{number}.npz", "test"))
    recording.write_index(folder, rows)


def test_a_set_is_counted_by_label(tmp_path: Path) -> None:
    make_set(tmp_path / "one")
    summary = summarize(tmp_path / "one")
    assert [(count.label, count.recordings, count.seconds) for count in summary.labels] == [
        ("normal", 1, 0.5),
        ("bearing", 2, 1.0),
    ]
    assert summary.labels[1].sublabels == {"bearing_1": 1, "bearing_2": 1}
    assert [found.name for found in summarize_all(tmp_path)] == ["one"]
    assert [found.name for found in summarize_all(tmp_path / "one")] == ["one"]


def test_list_shows_a_table_and_json(tmp_path: Path) -> None:
    make_set(tmp_path / "one")
    table = whir("list", str(tmp_path))
    assert table.exit_code == 0
    assert "one" in table.stdout
    assert "bearing" in table.stdout
    plain = json.loads(whir("list", str(tmp_path), "--json").stdout)
    assert plain[0]["name"] == "one"
    assert plain[0]["recordings"] == 3
    assert plain[0]["labels"][1]["sublabels"] == {"bearing_1": 1, "bearing_2": 1}


def test_import_adds_a_file_that_list_then_counts(tmp_path: Path) -> None:
    write_csv(tmp_path / "pump.csv", vibration(400, 3), "ax,ay,az")
    options = ("--into", str(tmp_path / "pumps"), "--label", "normal", "--unit", "g", "--rate", "1000", "--columns", "az,ax")
    done = whir("import", str(tmp_path / "pump.csv"), *options)
    assert done.exit_code == 0, done.stderr
    npz = tmp_path / "pumps" / "recordings" / "pump.npz"
    assert done.stdout == f"{npz}: csv, 400 samples at 1000 Hz, channels az ax, normal\n"
    again = whir("import", str(npz), "--into", str(tmp_path / "copy"), "--json")
    assert json.loads(again.stdout)["layout"] == "npz"
    assert np.array_equal(recording.load(tmp_path / "copy" / "recordings" / "pump.npz").samples, recording.load(npz).samples)
    assert "normal" in whir("list", str(tmp_path / "pumps")).stdout


def test_a_folder_is_imported_with_what_its_sidecars_say_and_what_is_refused_is_named(tmp_path: Path) -> None:
    rig = tmp_path / "rig"
    for label in ("normal", "imbalance"):
        write_csv(rig / label / "one.csv", vibration(400, 3), "x,y,z")
        (rig / label / "whir.toml").write_text(f'label = "{label}"')
    (rig / "whir.toml").write_text('unit = "g"\nrate_hz = 1000\nmachine = "rig 2"')
    write_csv(rig / "normal" / "short.csv", vibration(40, 3), "x,y,z")
    (rig / "imbalance" / "broken.csv").write_text("x,y\n1,2\n3,oops\n")
    done = whir("import", str(rig), "--into", str(tmp_path / "set"))
    assert done.exit_code == 1
    assert "2 recordings added, 2 files refused" in done.stdout
    lines = done.stderr.strip().splitlines()
    assert lines[-2].endswith("broken.csv: y: line 3: 'oops' is not a finite number")
    assert "short.csv: too_short: 40 samples" in lines[-1]
    kept = {rec.name: (rec.label, rec.machine) for rec in recording.load_folder(tmp_path / "set")}
    assert kept == {"imbalance_one": ("imbalance", "rig 2"), "normal_one": ("normal", "rig 2")}
    (rig / "imbalance" / "broken.csv").unlink()
    again = whir("import", str(rig), "--into", str(tmp_path / "set"), "--accept", "too_short", "--json")
    assert again.exit_code == 0, again.stderr
    told = json.loads(again.stdout)
    assert told["held_already"] == 2
    assert [one["accepted"] for one in told["imported"]] == [
        ["too_short: 40 samples, 0.04 s; a window is 256 samples at 1 kHz"]
    ]


def test_what_was_accepted_is_said(tmp_path: Path) -> None:
    write_csv(tmp_path / "short.csv", vibration(40, 3))
    options = ("--label", "normal", "--unit", "g", "--rate", "1000", "--accept", "too_short", "--accept", "unit")
    done = whir("import", str(tmp_path / "short.csv"), "--into", str(tmp_path / "set"), *options)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.endswith("accepted: too_short: 40 samples, 0.04 s; a window is 256 samples at 1 kHz\n")


@pytest.mark.parametrize("encoding", ["json", "cbor"])
def test_a_set_goes_to_edge_impulse_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    make_set(tmp_path / "one")
    monkeypatch.setenv("EI_HMAC_KEY", "0123456789abcdef")
    out = ("--to", "edge-impulse", "--out", str(tmp_path / "ei"), "--encoding", encoding, "--sign")
    assert whir("export", str(tmp_path / "one"), *out).exit_code == 0
    assert sorted(path.name for path in (tmp_path / "ei").iterdir()) == [
        f"bearing.r1.{encoding}",
        f"bearing.r2.{encoding}",
        f"normal.r0.{encoding}",
    ]
    back = whir("import", str(tmp_path / "ei"), "--into", str(tmp_path / "back"))
    assert back.exit_code == 0, back.stderr
    assert sorted(rec.label for rec in recording.load_folder(tmp_path / "back")) == ["bearing", "bearing", "normal"]
    monkeypatch.setenv("EI_HMAC_KEY", "another")
    refused = whir("import", str(tmp_path / "ei"), "--into", str(tmp_path / "no"))
    assert refused.exit_code == 1
    assert refused.stderr.count("signature: is not that of this file") == 3


def test_help_names_every_check_and_layout() -> None:
    text = " ".join(whir("import", "--help").stdout.replace("│", " ").split())
    assert all(name in text for name in (*importers.CHECKS, *importers.ADAPTERS))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("list", "absent"), "absent: no such folder"),
        (("inspect", "absent.npz"), "absent.npz: no such file"),
        (("import", "absent.csv", "--into", "set"), "absent.csv: no such file"),
        (
            ("import", "a.csv", "--into", "set", "--rate", "9", "--unit", "g"),
            "a.csv: label: the file does not say it",
        ),
        (("import", "a.csv", "--into", "set", "--accept", "dirt"), "--accept: dirt: no such check; there are clipping"),
        (("import", "a.xls", "--into", "set"), "save it as CSV"),
        (("import", "empty", "--into", "set"), "no file there that a layout reads"),
        (("export", "a.csv", "--out", "x"), "a.csv: not a whole npz"),
        (("export", "a.csv", "--out", "x", "--to", "arff"), "'arff' is no format that can be written"),
        (("export", "a.csv", "--out", "x", "--encoding", "xml"), "'xml' is neither json nor cbor"),
        (("export", "a.csv", "--out", "x", "--sign"), "$EI_HMAC_KEY is not set"),
        (("synth", "out", "--config", "absent.toml"), "absent.toml: "),
    ],
)
def test_an_error_is_one_line_and_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EI_HMAC_KEY", raising=False)
    write_csv(tmp_path / "a.csv", vibration(400, 3))
    (tmp_path / "a.xls").write_bytes(b"what")
    (tmp_path / "empty").mkdir()
    done = whir(*arguments)
    assert done.exit_code == 1
    assert reason in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_the_command_as_a_process_ends_with_the_same_line_and_code(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "whir_tools.cli", "data", "inspect", "absent.npz"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "error: absent.npz: no such file\n")


def test_a_missing_data_folder_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "data_root", lambda: None)
    done = whir("list")
    assert done.exit_code == 1
    assert "no data folder: set it, or name a folder" in done.stderr


@pytest.mark.parametrize("option", [("--seed", "-1"), ("--jobs", "0")])
def test_synth_refuses_numbers_that_cannot_be_and_names_the_option(tmp_path: Path, option: tuple[str, str]) -> None:
    result = whir("synth", str(tmp_path / "set"), *option)
    assert result.exit_code == 2
    assert option[0] in result.stderr
    assert not (tmp_path / "set").exists()


def test_synth_into_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = whir("synth", str(tmp_path / "file" / "set"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"error: {tmp_path / 'file'}: File exists\n"


def test_synth_writes_a_set_and_does_not_overwrite_one(tmp_path: Path) -> None:
    from whir_ml import synth

    text = (Path(synth.__file__).parent / "synth12k.toml").read_text()
    text = text.replace("recordings_per_class = 80", "recordings_per_class = 1").replace(
        "recordings_per_class = 40", "recordings_per_class = 1"
    )
    (tmp_path / "small.toml").write_text(text.replace("windows = 25 ", "windows = 2 "))
    arguments = ("synth", str(tmp_path / "set"), "--config", str(tmp_path / "small.toml"), "--seed", "3", "--jobs", "1")
    done = whir(*arguments)
    assert done.exit_code == 0, done.stderr
    assert "8 recordings of 0.512 s, 16 windows" in done.stdout
    assert len(list(recording.load_folder(tmp_path / "set"))) == 8
    again = whir(*arguments)
    assert again.exit_code == 1
    assert "is not empty; name another folder" in again.stderr
