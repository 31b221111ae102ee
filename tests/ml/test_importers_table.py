"""How tables come out of loggers and spreadsheets: what stands above the numbers, units, decimal signs, encodings, instants."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from layouts import vibration

from whir_ml.importers import Facts, ImportCheckError, ImportFactError, ImportFileError, find_files, generic_csv, import_file
from whir_ml.importers.clock import instant_ns

SAID = Facts(label="normal", unit="g", rate_hz=1000.0)
VALUES = np.round(vibration(400, 2), 5)
STAMPS = np.arange(400)


def table(above: str, cells: list[str], separator: str = ",", end: str = "\n") -> str:
    """`cells`: of the columns before x and y, by row."""
    rows = [separator.join(filter(None, (cell, *(f"{v:.5f}" for v in row)))) for cell, row in zip(cells, VALUES, strict=True)]
    return end.join([*above.splitlines(), *rows]) + end


@pytest.mark.parametrize(
    ("text", "channels", "unit", "factor", "rate_hz"),
    [
        ("x [g],y [g]\n", "x y", "g", 1, None),
        ("x (mg),y (mg)\n", "x y", "g", 1e-3, None),
        ("acc x [m/s²],acc y [m/s^2]\n", "acc_x acc_y", "m/s^2", 1, None),
        ("x,y\nmV,mV\n", "x y", "V", 1e-3, None),
        ("x [counts],y [counts]\n", "x_[counts] y_[counts]", None, 1, None),
        ("Logger 3\nrecorded by me\n\nx;y\n[g];[g]\n", "x y", "g", 1, None),
    ],
)
def test_names_and_units_above_the_numbers_are_found(
    tmp_path: Path, text: str, channels: str, unit: str | None, factor: float, rate_hz: float | None
) -> None:
    separator = ";" if ";" in text else ","
    (tmp_path / "a.csv").write_text(table(text, [""] * 400, separator))
    rec = import_file(tmp_path / "a.csv", Facts(label="normal", unit=None if unit else "g", rate_hz=1000.0)).recording
    assert (" ".join(rec.channels), rec.unit) == (channels, unit or "g")
    assert np.abs(rec.physical() - VALUES * factor).max() <= rec.scale[0] * 0.51


@pytest.mark.parametrize(
    ("head", "cells"),
    [
        ("time [ms],x [g],y [g]\n", [f"{n}" for n in STAMPS]),
        ("Time,x,y\n(ms),(g),(g)\n", [f"{n}" for n in STAMPS]),
        ("t,x,y\n", [f"{1_700_000_000 + n / 1000:.3f}" for n in STAMPS]),
        ("timestamp,x,y\n", [f"2026-03-01T06:30:{n // 1000:02}.{n % 1000:03}+01:00" for n in STAMPS]),
        ("date time,x,y\n", [f"2026-03-01 23:59:59,{n:03}".replace(",", ".") for n in STAMPS]),
        ("Datum,x,y\n", [f"01.03.2026 06:30:00.{n:03}" for n in STAMPS]),
        ("at,x,y\n", [f"3/1/2026 6:30:00.{n:03} PM" for n in STAMPS]),
        ("at,x,y\n", [f"06:30:00.{n:03}" for n in STAMPS]),
        ("", [f"2026-03-01 06:30:00.{n:03}" for n in STAMPS]),
    ],
)
def test_time_stamps_as_loggers_write_them_give_the_rate(tmp_path: Path, head: str, cells: list[str]) -> None:
    (tmp_path / "a.csv").write_text(table(head, cells))
    foreign = generic_csv.read(tmp_path / "a.csv", Facts())
    assert foreign.says.rate_hz == pytest.approx(1000, rel=1e-6)
    assert np.array_equal(foreign.values, VALUES)


def test_days_as_spreadsheets_count_them_are_said_by_their_unit(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(table("time,x,y\n", [f"{46000 + n / 86_400_000:.12f}" for n in STAMPS]))
    with pytest.raises(ImportFactError, match="say their unit, as --time-unit d"):
        import_file(tmp_path / "a.csv", Facts(label="normal", unit="g"))
    rec = import_file(tmp_path / "a.csv", Facts(label="normal", unit="g", time_unit="d")).recording
    assert rec.rate_hz == pytest.approx(1000, rel=1e-4)


def test_what_excel_saves_in_germany_is_read(tmp_path: Path) -> None:
    text = table("Zeit [s];x [m/s²];y [m/s²]\n", [f"{n / 1000:.3f}" for n in STAMPS], ";", "\r\n").replace(".", ",")
    for name, encoding in (("bom", "utf-8-sig"), ("wide", "utf-16"), ("windows", "cp1252")):
        (tmp_path / f"{name}.csv").write_bytes(text.encode(encoding))
        rec = import_file(tmp_path / f"{name}.csv", Facts(label="normal")).recording
        assert (rec.rate_hz, rec.unit, rec.channels) == (pytest.approx(1000), "m/s^2", ("x", "y"))
        assert np.abs(rec.physical() - VALUES).max() <= rec.scale[0] * 0.51


def test_blanks_separators_at_the_end_and_a_counter_of_samples_are_no_channels(tmp_path: Path) -> None:
    rows = [f"{n},{x:.5f},{y:.5f}," for n, (x, y) in enumerate(VALUES)]
    (tmp_path / "end.csv").write_text("\n".join(["sample,x,y,", *rows]))
    (tmp_path / "blanks.txt").write_text("\n".join(f"  {x:.5f}   {y:.5f}" for x, y in VALUES))
    for name in ("end.csv", "blanks.txt"):
        assert np.array_equal(generic_csv.read(tmp_path / name, SAID).values, VALUES)


@pytest.mark.parametrize(
    ("text", "field", "reason"),
    [
        ("x,y\nabc,1\n1,2\n3,4\n", "x", "line 2: 'abc' is not a finite number"),
        ("x,y\n1,2\n3,4\nx,y\n5,6\n", "x", "line 4: 'x' is not a finite number"),
        ("t,x\n06:30:00.001,1\n06:30:00.002,2\nlater,3\n", "t", "line 4: 'later' is neither a number nor a date and time"),
        ("x [g],y [V]\n1,2\n3,4\n", "columns", "columns of different units"),
    ],
)
def test_what_is_broken_is_no_header(tmp_path: Path, text: str, field: str, reason: str) -> None:
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(ImportFileError, match=reason) as caught:
        import_file(tmp_path / "bad.csv", SAID)
    assert caught.value.field == field


def test_a_unit_in_the_file_is_not_said_otherwise_and_thousandths_are_converted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(table("x [g],y [g]\n", [""] * 400))
    for unit in ("m/s^2", "mg"):
        with pytest.raises(ImportFactError, match="the file says g"):
            import_file(tmp_path / "a.csv", Facts(label="normal", unit=unit, rate_hz=1000.0))
    (tmp_path / "b.csv").write_text(table("x,y\n", [""] * 400))
    rec = import_file(tmp_path / "b.csv", Facts(label="normal", unit="mg", rate_hz=1000.0, full_scale=16_000.0)).recording
    assert (rec.unit, rec.full_scale) == ("g", 16.0)
    assert np.abs(rec.physical() - VALUES / 1000).max() <= rec.scale[0] * 0.51


def test_a_gap_keeps_its_line_under_text_and_empty_lines(tmp_path: Path) -> None:
    cells = [f"{(n + 20 * (n > 100)) / 1000:.3f}" for n in STAMPS]
    (tmp_path / "a.csv").write_text("# by a logger\n\n" + table("t,x,y\ns,g,g\n", cells))
    with pytest.raises(ImportCheckError, match=r"gap: line 106: 0\.021 s after the sample before, about 20 missing"):
        import_file(tmp_path / "a.csv", Facts(label="normal"))


@pytest.mark.parametrize("text", ["12", "3.5", "x", "", "Z", "2026-13-01", "25", "2026-02-30 00:00:00"])
def test_what_is_no_instant_is_none(text: str) -> None:
    assert instant_ns(text) is None


def test_instants_with_a_zone_are_the_same_moment() -> None:
    assert instant_ns("2026-03-01T06:30:00Z") == instant_ns("2026-03-01 07:30:00+0100") == instant_ns("1.3.2026 6:30:00 AM")


def test_a_large_file_is_not_in_memory_twice(tmp_path: Path) -> None:
    values = vibration(40_000, 2)
    np.savetxt(tmp_path / "a.csv", values, fmt="%.17f", delimiter=",")
    tracemalloc.start()
    foreign = generic_csv.read(tmp_path / "a.csv", SAID)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.allclose(foreign.values, values)
    assert peak < 3 * values.nbytes  # the text alone is five times as much


def test_what_lies_beside_the_recordings_is_left_alone(tmp_path: Path) -> None:
    for name in ("README", "readme.txt", ".DS_Store", "notes.md", "setup.json", "Thumbs.db", "__MACOSX/._a.csv", "whir.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("made on the 3rd of March, 2026\nby hand\n")
    (tmp_path / "run.txt").write_text("\n".join(f"{x:.5f}\t{y:.5f}" for x, y in VALUES))
    found = find_files(tmp_path)
    assert [file.name for file in found.files] == ["run.txt"]
    assert {file.name for file in found.others} == {"README", "readme.txt", "notes.md", "setup.json", "Thumbs.db"}
