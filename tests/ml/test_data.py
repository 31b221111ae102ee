"""`whir data`: counting, importing and the errors of the command line."""

from __future__ import annotations

import json
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from whir_contracts import recording
from whir_contracts.recording import IndexRow, Recording, RecordingError, RecordingFieldError, RecordingIndexError
from whir_ml import importers
from whir_ml.data import summarize, summarize_all
from whir_ml.data_cli import app
from whir_ml.importers import Facts, ImportFileError

FACTS = Facts(label="normal", unit="g", sublabel="after_service", rpm=1470.0, load="half", condition="monday")


def whir(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def wave_values(count: int = 400) -> np.ndarray:
    time = np.arange(count) / 1000
    return np.column_stack(
        [np.sin(2 * np.pi * 25 * time), 0.5 * np.sin(2 * np.pi * 50 * time) - 1.0, 0.01 * np.cos(2 * np.pi * 10 * time)]
    )


def write_csv(path: Path, values: np.ndarray, header: str = "t,ax,ay,az", separator: str = ",") -> None:
    rows = [[f"{index / 1000:.6f}", *(f"{value:.9g}" for value in row)] for index, row in enumerate(values)]
    path.write_text(
        "# logger 3\n" + header.replace(",", separator) + "\n" + "\n".join(separator.join(row) for row in rows) + "\n"
    )


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_csv_keeps_its_values_to_half_a_count(tmp_path: Path, separator: str) -> None:
    write_csv(tmp_path / "pump.csv", wave_values(), separator=separator)
    rec = importers.from_csv(tmp_path / "pump.csv", 1000.0, ["ax", "ay", "az"], FACTS)
    assert np.abs(rec.physical() - wave_values()).max() <= rec.scale[0] * 0.51
    assert (rec.name, rec.rate_hz, rec.channels, rec.label, rec.sublabel) == (
        "pump",
        1000.0,
        ("ax", "ay", "az"),
        "normal",
        "after_service",
    )
    assert (rec.rpm, rec.load, rec.condition, rec.unit) == (1470.0, "half", "monday", "g")
    assert 32000 < np.abs(rec.samples).max() <= 32767
    assert rec.lsb_nano == pytest.approx(rec.scale[0] * 1e9, rel=1e-6)


def test_csv_columns_are_picked_in_axis_order_by_name_or_number(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", wave_values())
    by_name = importers.from_csv(tmp_path / "a.csv", 1000.0, ["az", "ax"], FACTS)
    by_number = importers.from_csv(tmp_path / "a.csv", 1000.0, ["4", "2"], FACTS)
    assert np.array_equal(by_name.samples, by_number.samples)
    assert np.abs(by_name.physical() - wave_values()[:, [2, 0]]).max() < 1e-4
    assert (by_name.channels, by_number.channels) == (("az", "ax"), ("ch4", "ch2"))


def test_a_csv_without_a_header_is_read_from_its_first_line(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "a.csv", wave_values(), delimiter=",")
    assert len(importers.from_csv(tmp_path / "a.csv", 1000.0, ["1", "2", "3"], FACTS).samples) == 400


@pytest.mark.parametrize(
    ("text", "column", "field", "reason"),
    [
        ("x,y\n1,2\n3,nan\n4,5\n", "y", "y", "line 3: 'nan' is not a finite number"),
        ("x,y\n1,2\n3,inf\n", "y", "y", "line 3: 'inf' is not a finite number"),
        ("# head\nx,y\n1,2\n\n3\n", "y", "y", "line 5: '' is not a finite number"),
        ("x,y\n1,2\n3,oops\n", "y", "y", "line 3: 'oops'"),
        ("x,y\n1,2\n3,4\n", "z", "z", "no such column; there are x, y"),
        ("1,2\n3,4\n", "3", "3", "no such column; there are 1 to 2"),
        ("x\n1\n", "x", "", "holds 1 samples"),
        ("", "x", "", "no line of data"),
    ],
)
def test_a_broken_csv_is_refused_with_line_and_column(tmp_path: Path, text: str, column: str, field: str, reason: str) -> None:
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(ImportFileError, match=reason) as caught:
        importers.from_csv(tmp_path / "bad.csv", 1000.0, [column], FACTS)
    assert (caught.value.file, caught.value.field) == (str(tmp_path / "bad.csv"), field)


def test_facts_that_cannot_be_are_refused(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", wave_values())
    with pytest.raises(RecordingFieldError, match="fs: 0 Hz"):
        importers.from_csv(tmp_path / "a.csv", 0.0, ["ax"], FACTS)
    with pytest.raises(RecordingFieldError, match="unit: 'mg'"):
        importers.from_csv(tmp_path / "a.csv", 1000.0, ["ax"], Facts("normal", "mg"))
    write_csv(tmp_path / "dead.csv", wave_values() * [1, 0, 1])
    with pytest.raises(RecordingFieldError, match="axis ay is dead"):
        importers.from_csv(tmp_path / "dead.csv", 1000.0, ["ax", "ay", "az"], FACTS)


@pytest.mark.parametrize("width", [1, 2, 4])
def test_a_wav_is_scaled_by_its_full_scale(tmp_path: Path, width: int) -> None:
    values = wave_values()[:, :2] * 0.5
    top = 2 ** (8 * width - 1) - 1
    counts = np.rint(values * top).astype(np.int64)
    data = (counts + 128).astype(np.uint8) if width == 1 else counts.astype(f"<i{width}")
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(width)
        file.setframerate(8000)
        file.writeframes(data.tobytes())
    rec = importers.from_wav(tmp_path / "a.wav", 16.0, FACTS)
    assert np.abs(rec.physical() - values * 16).max() < (0.15 if width == 1 else 2e-3)
    assert (rec.rate_hz, rec.channels) == (8000.0, ("ch1", "ch2"))
    whole = (tmp_path / "a.wav").read_bytes()
    for size in (0, 10, 40, len(whole) // 2):
        (tmp_path / "cut.wav").write_bytes(whole[:size])
        with pytest.raises(ImportFileError, match=r"cut\.wav: not a whole WAV"):
            importers.from_wav(tmp_path / "cut.wav", 16.0, FACTS)


def test_recordings_are_added_to_a_set_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_csv(tmp_path / f"{name}.csv", wave_values())
        rec = importers.from_csv(tmp_path / f"{name}.csv", 1000.0, ["ax", "ay", "az"], FACTS)
        importers.add(rec, tmp_path / "set", f"{name}.csv")
    assert [rec.name for rec in recording.load_folder(tmp_path / "set")] == ["a", "b"]
    assert [row.source for row in recording.read_index(tmp_path / "set")] == ["a.csv", "b.csv"]
    with pytest.raises(RecordingIndexError, match="is in this data set already"):
        importers.add(rec, tmp_path / "set", "b.csv")


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
    write_csv(tmp_path / "pump.csv", wave_values())
    target = str(tmp_path / "pumps")
    done = whir(
        "import", str(tmp_path / "pump.csv"), "--into", target, "--label", "normal", "--rate", "1000", "--columns", "ax,ay,az"
    )
    assert done.exit_code == 0, done.stderr
    npz = tmp_path / "pumps" / "recordings" / "pump.npz"
    assert str(npz) in done.stdout
    again = whir("import", str(npz), "--into", str(tmp_path / "copy"))
    assert again.exit_code == 0, again.stderr
    assert np.array_equal(recording.load(tmp_path / "copy" / "recordings" / "pump.npz").samples, recording.load(npz).samples)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("list", "absent"), "absent: no such folder"),
        (("inspect", "absent.npz"), "absent.npz: no such file"),
        (("import", "a.csv", "--into", "set"), "label: a csv file does not say what it shows"),
        (("import", "a.csv", "--into", "set", "--label", "normal", "--rate", "9"), "a.csv: no such file"),
        (("import", "a.mat", "--into", "set"), "unknown kind of file"),
        (("synth", "out", "--config", "absent.toml"), "absent.toml: "),
    ],
)
def test_an_error_is_one_line_and_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
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


def test_errors_of_this_area_are_recording_errors() -> None:
    assert issubclass(ImportFileError, RecordingError)
