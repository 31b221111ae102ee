"""Tables of numbers: separators, headers, columns, and what time stamps tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from layouts import timed, vibration, write_csv

from whir_ml.importers import Facts, ImportCheckError, ImportFactError, ImportFileError, generic_csv, import_file

FACTS = Facts(label="normal", unit="g", rate_hz=1000.0)
TIMED = Facts(label="normal", unit="g")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separator_comments_and_header_are_found(tmp_path: Path, separator: str) -> None:
    values = vibration(400, 3)
    write_csv(tmp_path / "pump.csv", values, "ax,ay,az", separator, comment="# logger 3")
    foreign = generic_csv.read(tmp_path / "pump.csv", FACTS)
    assert foreign.channels == ("ax", "ay", "az")
    assert np.abs(foreign.values - values).max() < 1e-8


def test_columns_are_picked_in_axis_order_by_name_or_number(tmp_path: Path) -> None:
    values = vibration(400, 4)
    write_csv(tmp_path / "a.csv", values, "t,ax,ay,az")
    by_name = generic_csv.read(tmp_path / "a.csv", Facts(rate_hz=1000.0, columns=("az", "ax", "t")))
    by_number = generic_csv.read(tmp_path / "a.csv", Facts(rate_hz=1000.0, columns=("4", "2", "1")))
    assert by_name.channels == by_number.channels == ("az", "ax", "t")
    assert np.abs(by_name.values - values[:, [3, 1, 0]]).max() < 1e-8
    assert np.array_equal(by_name.values, by_number.values)


@pytest.mark.parametrize(
    ("header", "factor"),
    [("t,x", 1), ("Time,x", 1), ("time_ms,x", 1e3), ("Time [us],x", 1e6), ("timestamp(ns),x", 1e9), ("t s,x", 1)],
)
def test_a_column_whose_header_says_time_gives_the_rate(tmp_path: Path, header: str, factor: float) -> None:
    rows = np.column_stack([17 * factor + np.arange(800) / 1344.0 * factor, vibration(800)])
    lines = [header, *(f"{stamp:.10f},{value:.6f}" for stamp, value in rows)]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    rec = import_file(tmp_path / "a.csv", TIMED).recording
    assert rec.rate_hz == pytest.approx(1344.0, rel=1e-6)
    assert rec.channels == ("x",)
    assert rec.accepted == ()


def test_a_time_column_without_a_header_is_named_by_its_number(tmp_path: Path) -> None:
    rows = timed(vibration(800, 3), 800)
    rows[:, 0] *= 1e3
    write_csv(tmp_path / "a.csv", rows)
    rec = import_file(tmp_path / "a.csv", Facts(time="1", time_unit="ms").over(TIMED)).recording
    assert rec.rate_hz == pytest.approx(800, rel=1e-4)
    assert rec.channels == ("ch2", "ch3", "ch4")


def test_dates_and_times_are_time_stamps_too(tmp_path: Path) -> None:
    start = np.datetime64("2026-03-29T01:59:59.5", "ns")
    stamps = [f"{start + np.timedelta64(625_000 * index, 'ns')}Z" for index in range(1600)]
    lines = ["timestamp,x", *(f"{stamp},{value}" for stamp, value in zip(stamps, vibration(1600)[:, 0], strict=True))]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    assert import_file(tmp_path / "a.csv", TIMED).recording.rate_hz == pytest.approx(1600, rel=1e-9)
    (tmp_path / "a.csv").write_text("\n".join([*lines[:5], "noon,0.5"]))
    with pytest.raises(ImportFileError, match="timestamp: line 6: 'noon' is neither a number nor a date"):
        import_file(tmp_path / "a.csv", TIMED)


@pytest.mark.parametrize(("rate_hz", "digits"), [(1000.0, 3), (3200.0, 3), (445.0, 3), (1344.0, 6), (25600.0, 6), (800.0, 2)])
def test_stamps_of_few_digits_give_the_rate_and_no_false_alarm(tmp_path: Path, rate_hz: float, digits: int) -> None:
    write_csv(tmp_path / "a.csv", timed(vibration(8000, 1), rate_hz, digits), "t,x")
    rec = import_file(tmp_path / "a.csv", TIMED).recording
    assert rec.rate_hz == pytest.approx(rate_hz, rel=2e-3)


def test_gaps_in_time_are_named_with_their_line_and_size(tmp_path: Path) -> None:
    rows = timed(vibration(2000, 1), 1000, 3)
    write_csv(tmp_path / "a.csv", np.delete(rows, slice(500, 507), axis=0), "t,x")
    with pytest.raises(ImportCheckError, match=r"gap: line 502: 0\.008 s after the sample before, about 7 missing") as caught:
        import_file(tmp_path / "a.csv", TIMED)
    assert [one.check for one in caught.value.findings] == ["gap"]
    rec = import_file(tmp_path / "a.csv", TIMED, accept=["gap"]).recording
    assert rec.rate_hz == pytest.approx(1000, rel=1e-6)
    assert len(rec.accepted) == 1


def test_time_that_goes_back_is_a_gap(tmp_path: Path) -> None:
    rows = timed(vibration(2000, 1), 1000, 3)
    rows[900:, 0] -= 0.25
    write_csv(tmp_path / "a.csv", rows, "t,x")
    with pytest.raises(ImportCheckError, match=r"gap: line 902: time goes from 0\.899 s to 0\.65 s"):
        import_file(tmp_path / "a.csv", TIMED)


def test_many_gaps_are_counted_not_listed(tmp_path: Path) -> None:
    lost = np.arange(100, 4000, 60)[:, None] + np.arange(3)
    rows = np.delete(timed(vibration(4000, 1), 1000, 3), lost.ravel(), axis=0)
    write_csv(tmp_path / "a.csv", rows, "t,x")
    with pytest.raises(ImportCheckError) as caught:
        import_file(tmp_path / "a.csv", TIMED)
    assert [one.check for one in caught.value.findings] == ["gap"] * 6
    assert "60 more places like these" in str(caught.value.findings[-1])


def test_uneven_sampling_is_jitter_beyond_the_stamps_own_step(tmp_path: Path) -> None:
    rows = timed(vibration(2000, 1), 1000)
    rows[:, 0] = np.round(rows[:, 0] + np.random.default_rng(2).uniform(-2e-4, 2e-4, 2000), 6)
    write_csv(tmp_path / "a.csv", rows, "t,x")
    with pytest.raises(ImportCheckError, match=r"jitter: \d\d\.\d% of the intervals are off") as caught:
        import_file(tmp_path / "a.csv", TIMED)
    assert [one.check for one in caught.value.findings] == ["jitter"]


@pytest.mark.parametrize(
    ("text", "facts", "field", "reason"),
    [
        ("x,y\n1,2\n3,nan\n4,5\n", FACTS, "y", "line 3: 'nan' is not a finite number"),
        ("x,y\n1,2\n3,4_5\n", FACTS, "y", "line 3: '4_5' is not a finite number"),
        ("x,y\n1,2\n3,inf\n", FACTS, "y", "line 3: 'inf' is not a finite number"),
        ("# head\nx,y\n1,2\n\n3\n", FACTS, "y", "line 5: '' is not a finite number"),
        ("x,y\n1,2\n3,oops\n", FACTS, "y", "line 3: 'oops'"),
        ("x,y\n1,2\n3,4\n", Facts(columns=("z",)).over(FACTS), "z", "no such column; there are x, y"),
        ("1,2\n3,4\n", Facts(columns=("3",)).over(FACTS), "3", "no such column; there are ch1, ch2"),
        ("x,x\n1,2\n3,4\n", FACTS, "columns", "two columns have one name"),
        ("timestamp,x\n1700000000000,1\n1700000000001,2\n", TIMED, "timestamp", "give 1 Hz: say their unit"),
        ("x\n1\n", FACTS, "", "holds 1 samples"),
        ("x\n", FACTS, "", "a header and no line of data"),
        ("", FACTS, "", "no line of data"),
        ("t\n1\n2\n", FACTS, "columns", "no column beside the time stamps"),
        ("t,x\n1,2\n1,3\n1,4\n", TIMED, "t", "time stamps do not advance"),
        ("t,x\n1,2\nlate,3\n", TIMED, "t", "line 3: 'late' is not a finite number"),
    ],
)
def test_a_broken_table_is_refused_with_line_and_column(
    tmp_path: Path, text: str, facts: Facts, field: str, reason: str
) -> None:
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(ImportFileError, match=reason) as caught:
        import_file(tmp_path / "bad.csv", facts)
    assert (caught.value.file, caught.value.field) == (str(tmp_path / "bad.csv"), field)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_bytes(b"x,y\n1,\0\n")
    with pytest.raises(ImportFileError, match="not a text file"):
        import_file(tmp_path / "bad.csv", FACTS)
    # Bytes that are no UTF-8 are Windows' letters, which are no numbers either.
    (tmp_path / "bad.csv").write_bytes(b"x,y\n1,\xff\n")
    with pytest.raises(ImportFileError, match="line 2: 'ÿ' is not a finite number"):
        import_file(tmp_path / "bad.csv", FACTS)
    (tmp_path / "bad.csv").write_bytes(b"x,y\n" + b"1,2\n" * 40000 + b"1,\xff\n")
    with pytest.raises(ImportFileError, match="not a text file in UTF-8"):
        import_file(tmp_path / "bad.csv", FACTS)


def test_a_rate_is_asked_for_where_there_are_no_time_stamps(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", vibration(400, 3), "x,y,z")
    with pytest.raises(ImportFactError, match="no time stamps: give --rate HZ, or --time COLUMN"):
        import_file(tmp_path / "a.csv", TIMED)


def test_a_time_stamp_out_of_all_bounds_is_a_gap(tmp_path: Path) -> None:
    rows = timed(vibration(400, 1), 1000)
    rows[200, 0] = 1e308
    write_csv(tmp_path / "a.csv", rows, "t,x")
    with pytest.raises(ImportCheckError, match="gap: line 203: time goes from 1e"):
        import_file(tmp_path / "a.csv", TIMED)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_decimal_comma_is_read_where_it_does_not_separate(tmp_path: Path, separator: str) -> None:
    values = np.round(vibration(400, 3), 4)
    rows = [separator.join(f"{value:.4f}".replace(".", ",") for value in row) for row in values]
    (tmp_path / "a.csv").write_text("\n".join([separator.join(("a.x", "a.y", "a.z")), *rows]))
    foreign = generic_csv.read(tmp_path / "a.csv", FACTS)
    assert foreign.channels == ("a.x", "a.y", "a.z")
    assert np.array_equal(foreign.values, values)
