"""Any table of numbers: columns by header or number, a rate or time stamps."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from whir_contracts.recording import RATE_MAX_HZ
from whir_ml.importers import timing
from whir_ml.importers.clock import instant_ns
from whir_ml.importers.errors import ImportFactError, ImportFileError
from whir_ml.importers.facts import TIME_UNITS, Facts
from whir_ml.importers.foreign import Adapter, Foreign, pick
from whir_ml.importers.table import Table, holds_numbers, is_number, read_table
from whir_ml.importers.units import UNITS_WRITTEN

# Slower than any vibration is measured: stamps of another unit, which the header does not name.
RATE_MIN_HZ: Final = 20.0
# time, t, timestamp, with a unit behind it where one is known: time_ms, Time [us], t(s)
_TIME: Final = re.compile(
    r"^(?:t|time|timestamp|time[_ ]?stamp|date[_ /]?time|elapsed(?:[_ ]time)?|zeit|x_value)"
    r"(?:[ _]*[\[(]?(s|sec|seconds|ms|us|µs|ns)[\])]?)?$",
    re.IGNORECASE,
)
_UNIT: Final = {"sec": "s", "seconds": "s", "µs": "us"}
# A column that numbers the samples is neither time nor signal.
_COUNTER: Final = re.compile(r"^(?:index|idx|no\.?|nr\.?|#|sample(?:[ _]?(?:no|nr|number|index))?)$", re.IGNORECASE)


def read(path: Path, facts: Facts) -> Foreign:
    """Read the columns asked for, or all but the time stamps and the samples' numbers."""
    table = read_table(path)
    time = _time_place(path, table, facts)
    if facts.columns is None:
        places = [n for n, name in enumerate(table.names) if n != time and not _COUNTER.match(name)]
        if not places:
            raise ImportFileError(path, "columns", "there is no column beside the time stamps")
    else:
        places = pick(path, table.names, facts.columns)
    channels = tuple(table.names[place] for place in places)
    if len(set(channels)) < len(channels):
        raise ImportFileError(path, "columns", f"two columns have one name: {', '.join(channels)}; choose by number")
    stamps, values = _numbers(table, time, places, facts)
    measured = None if stamps is None or len(stamps) < 2 else timing.measure(stamps)
    if time is not None and stamps is not None and len(stamps) > 1:
        _check_rate(path, table.names[time], measured)
    if measured is None and facts.rate_hz is None:
        raise ImportFactError(path, "rate_hz", "no time stamps: give --rate HZ, or --time COLUMN where there are some")
    unit, factor = _unit(path, table, places)
    return Foreign(
        values=values if factor == 1 else values * factor,
        channels=channels,
        says=Facts(rate_hz=None if measured is None else measured.rate_hz, unit=unit),
        stamps=stamps,
        lines=table.lines,
        stated=(*(("rate_hz",) if measured is not None else ()), *(("unit",) if unit else ())),
    )


def _time_place(path: Path, table: Table, facts: Facts) -> int | None:
    """The column of time stamps: the one that is named, else one whose header says so or, first of all, that holds instants;
    but none that is asked for as data."""
    if facts.time is not None:
        return pick(path, table.names, [facts.time])[0]
    named = [place for place, name in enumerate(table.names) if _TIME.match(name)]
    if not named and instant_ns(table.cells(0, 1)[0]) is not None:
        named = [0]
    wanted = [] if facts.columns is None else pick(path, table.names, facts.columns)
    return named[0] if named and named[0] not in wanted else None


def _numbers(
    table: Table, time: int | None, places: list[int], facts: Facts
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64]]:
    """Seconds since the first sample, and the columns (rows, places), in one pass."""
    if time is None:
        return None, table.numbers(places)
    written = is_number(table.cells(time, 1)[0])
    values = table.numbers([time, *places], None if written else {time: _instants()})
    name = _TIME.match(table.names[time])
    suffix = ((name.group(1) or "") if name else "") or table.units[time]
    unit = facts.time_unit or _UNIT.get(suffix.lower(), suffix.lower())
    scale = TIME_UNITS.get(unit, 1.0) if written else 1e-9
    return (values[:, 0] - values[0, 0]) * scale, values[:, 1:]


def _instants() -> Callable[[str], float]:
    """Nanoseconds since the first instant that is asked about: as floats they are exact for months."""
    first: list[int] = []

    def since_first(cell: str) -> float:
        instant = instant_ns(cell.strip().strip('"'))
        if instant is None:
            raise ValueError(f"{cell!r} is neither a number nor a date and time")
        if not first:
            first.append(instant)
        return float(instant - first[0])

    return since_first


def _check_rate(path: Path, column: str, measured: timing.Timing | None) -> None:
    if measured is None:
        raise ImportFileError(path, column, "the time stamps do not advance")
    if not RATE_MIN_HZ <= measured.rate_hz <= RATE_MAX_HZ:
        example = "ms" if measured.rate_hz < RATE_MIN_HZ else "d (days, as spreadsheets count)"
        raise ImportFactError(
            path, column, f"the time stamps give {measured.rate_hz:.3g} Hz: say their unit, as --time-unit {example}"
        )


def _unit(path: Path, table: Table, places: list[int]) -> tuple[str | None, float]:
    """Ours for what the header says of these columns; None where it says nothing that is known."""
    written = {table.units[place] for place in places}
    known = {UNITS_WRITTEN.get(unit.lower()) for unit in written}
    if len(known) > 1:
        raise ImportFileError(
            path, "columns", f"columns of different units ({', '.join(sorted(written))}): choose with --columns"
        )
    return known.pop() or (None, 1.0)


ADAPTER: Final = Adapter(
    name="csv",
    about="any table of numbers, with or without header and time stamps; comma, semicolon, tab or blanks",
    suffixes=(".csv", ".tsv", ".txt"),
    looks=lambda path: path.suffix.lower() in (".csv", ".tsv", ".txt"),
    read=read,
    in_folder=lambda path: path.suffix.lower() != ".txt" or holds_numbers(path),
)
