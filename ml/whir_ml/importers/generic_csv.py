"""Any table of numbers: columns by header or number, a rate or time stamps."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from whir_ml.importers import timing
from whir_ml.importers.errors import ImportFactError, ImportFileError
from whir_ml.importers.facts import TIME_UNITS, Facts
from whir_ml.importers.foreign import Adapter, Foreign, pick
from whir_ml.importers.table import Table, is_number, read_table

# Slower than any vibration is measured: stamps of another unit, which the header does not name.
RATE_MIN_HZ: Final = 20.0
# time, t, timestamp, with a unit behind it where one is known: time_ms, Time [us], t(s)
_TIME: Final = re.compile(r"^(?:t|time|timestamp|time_?stamp)(?:[ _]*[\[(]?(s|sec|ms|us|µs|ns)[\])]?)?$", re.IGNORECASE)
_UNIT: Final = {"sec": "s", "µs": "us"}


def read(path: Path, facts: Facts) -> Foreign:
    """Read the columns asked for, or all but the time stamps."""
    table = read_table(path)
    time = _time_place(path, table, facts)
    if facts.columns is None:
        places = [place for place in range(table.width) if place != time]
        if not places:
            raise ImportFileError(path, "columns", "there is no column beside the time stamps")
    else:
        places = pick(path, table.names, facts.columns)
    stamps = None if time is None else _stamps(path, table, time, facts)
    measured = None if stamps is None or len(stamps) < 2 else timing.measure(stamps)
    if stamps is not None and measured is None and len(stamps) > 1:
        assert time is not None
        raise ImportFileError(path, table.names[time], "the time stamps do not advance")
    if measured is None and facts.rate_hz is None:
        raise ImportFactError(path, "rate_hz", "no time stamps: give --rate HZ, or --time COLUMN where there are some")
    if measured is not None and measured.rate_hz < RATE_MIN_HZ:
        assert time is not None
        raise ImportFactError(
            path, table.names[time], f"the time stamps give {measured.rate_hz:.3g} Hz: say their unit, as --time-unit ms"
        )
    channels = tuple(table.names[place] for place in places)
    if len(set(channels)) < len(channels):
        raise ImportFileError(path, "columns", f"two columns have one name: {', '.join(channels)}; choose by number")
    return Foreign(
        values=table.numbers(places),
        channels=channels,
        says=Facts(rate_hz=None if measured is None else measured.rate_hz),
        stamps=stamps,
        lines=table.lines,
        stated=("rate_hz",) if measured is not None else (),
    )


def _time_place(path: Path, table: Table, facts: Facts) -> int | None:
    """The column of time stamps: the one that is named, else one whose header says so and that is not asked for as data."""
    if facts.time is not None:
        return pick(path, table.names, [facts.time])[0]
    if table.header is None:
        return None
    named = [place for place, cell in enumerate(table.header) if _TIME.match(cell)]
    wanted = [] if facts.columns is None else pick(path, table.names, facts.columns)
    return named[0] if named and named[0] not in wanted else None


def _stamps(path: Path, table: Table, place: int, facts: Facts) -> NDArray[np.float64]:
    """Seconds since the first sample. Stamps are numbers, or dates and times by ISO 8601."""
    cells = table.cells(place)
    if not is_number(cells[0]):
        return _dates(path, table, place, cells)
    written = _TIME.match(table.names[place])
    suffix = (written.group(1) or "").lower() if written else ""
    unit = facts.time_unit or _UNIT.get(suffix, suffix) or "s"
    stamps = table.numbers([place])[:, 0]
    seconds: NDArray[np.float64] = (stamps - stamps[0]) * TIME_UNITS[unit]
    return seconds


def _dates(path: Path, table: Table, place: int, cells: list[str]) -> NDArray[np.float64]:
    stamps = np.empty(len(cells), dtype="datetime64[ns]")
    for index, cell in enumerate(cells):
        try:
            stamps[index] = np.datetime64(cell.removesuffix("Z"), "ns")
        except ValueError:
            where = f"line {table.lines[index]}"
            raise ImportFileError(
                path, table.names[place], f"{where}: {cell!r} is neither a number nor a date and time"
            ) from None
    seconds: NDArray[np.float64] = (stamps - stamps[0]).astype(np.int64) * 1e-9
    return seconds


ADAPTER: Final = Adapter(
    name="csv",
    about="any table of numbers, with or without header and time stamps; comma, semicolon or tab",
    suffixes=(".csv", ".tsv", ".txt"),
    looks=lambda path: path.suffix.lower() in (".csv", ".tsv", ".txt"),
    read=read,
)
