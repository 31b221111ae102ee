"""Lines of numbers in a text file: what stands above them, what separates them, and the place of what is not a number.

The file is read line by line, so that of a large one only the numbers that are wanted are in memory.

Above the numbers there may be text, a line of names, and a line of units (`s;g;g;g`). A name may carry its unit: `ax [g]`.
"""

from __future__ import annotations

import codecs
import csv
import math
import re
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from whir_ml.importers.clock import instant_ns
from whir_ml.importers.errors import ImportFileError
from whir_ml.importers.units import UNITS_WRITTEN

HEAD_LINES: Final = 64  # in which the numbers must have begun
_NAME_AND_UNIT: Final = re.compile(r"^(?P<name>.*\S)\s*[\[(](?P<unit>[^\])]*)[\])]$")
_BARE_UNIT: Final = re.compile(r"^[\[(]?\s*(?P<unit>[^\[\]()]*?)\s*[\])]?$")
_TIME_UNITS: Final = {"s", "sec", "ms", "us", "µs", "ns", "d"}


@dataclass(frozen=True)
class Table:
    """`header` and `units` are None where there are none; `first` is how many lines of data stand before the numbers."""

    path: Path
    encoding: str
    separator: str | None  # None: blanks
    decimal_comma: bool
    width: int
    header: tuple[str, ...] | None
    units: tuple[str, ...]  # as written, "" where none is
    first: int
    lines: array[int]  # numbers of the lines, from 1; filled by `numbers`

    @property
    def names(self) -> tuple[str, ...]:
        """The header's cells, or ch1, ch2, …"""
        numbered = tuple(f"ch{number}" for number in range(1, self.width + 1))
        return numbered if self.header is None else tuple(a or b for a, b in zip(self.header, numbered, strict=True))

    def numbers(self, places: Sequence[int], texts: Mapping[int, Callable[[str], float]] | None = None) -> NDArray[np.float64]:
        """Columns as finite numbers, (rows, places), `texts` by a function of the cell; ImportFileError names line and column
        of the first that is none."""
        del self.lines[:]
        converters = dict(texts) if texts else None
        try:
            values: NDArray[np.float64] = np.loadtxt(
                self._counted(), delimiter=self.separator, usecols=places, ndmin=2, comments=None, quotechar='"',
                converters=converters, encoding=None,
            )  # type: ignore[call-overload]  # fmt: skip
        except UnicodeDecodeError:
            raise ImportFileError(self.path, "", "not a text file in UTF-8") from None
        except ValueError as error:
            self._complain(places, texts or {})
            raise ImportFileError(self.path, "", str(error)) from None
        if not np.isfinite(values).all():
            self._complain(places, texts or {})
        return values

    def cells(self, place: int, count: int) -> list[str]:
        """The first cells of a column, as text."""
        rows = (split(line, self.separator) for _, line in islice(self._rows(), count))
        return [cells[place].strip() if place < len(cells) else "" for cells in rows]

    def _counted(self) -> Iterator[str]:
        for number, line in self._rows():
            self.lines.append(number)
            yield line

    def _rows(self) -> Iterator[tuple[int, str]]:
        for number, line in islice(_data(self.path, self.encoding), self.first, None):
            yield number, line.replace(",", ".") if self.decimal_comma else line

    def _complain(self, places: Sequence[int], texts: Mapping[int, Callable[[str], float]]) -> None:
        for number, line in self._rows():
            cells = split(line, self.separator)
            for place in places:
                cell = cells[place].strip() if place < len(cells) else ""
                if place in texts:
                    try:
                        texts[place](cell)
                    except ValueError as error:
                        raise ImportFileError(self.path, self.names[place], f"line {number}: {error}") from None
                elif not is_number(cell) or not math.isfinite(float(cell)):
                    raise ImportFileError(self.path, self.names[place], f"line {number}: {cell!r} is not a finite number")


def read_table(path: Path, separator: str | None = None) -> Table:
    """Find out how a text file is written. The separator, unless given, is the first of semicolon, tab, comma and blanks that
    the lines have.

    Empty lines and lines that start with # are skipped. Where the comma does not separate and no number has a point, it is the
    decimal sign.
    """
    encoding = _encoding(path)
    head = [line for _, line in islice(_data(path, encoding), HEAD_LINES)]
    if not head:
        raise ImportFileError(path, "", "holds no line of data")
    separator = separator or _separator(head)
    decimal_comma = separator != "," and _has_decimal_commas(head, separator)
    rows = [split(line.replace(",", ".") if decimal_comma else line, separator) for line in head]
    first, header, units = _above(rows)
    if first == len(rows):
        raise ImportFileError(path, "", "holds a header and no line of data")
    ends_with_separator = all(len(row) > 1 and not row[-1].strip() for row in rows)
    width = len(rows[first]) - 1 if ends_with_separator else len(header or rows[first])
    return Table(
        path=path,
        encoding=encoding,
        separator=separator,
        decimal_comma=decimal_comma,
        width=width,
        header=None if header is None else header[:width],
        units=units[:width] or ("",) * width,
        first=first,
        lines=array("q"),
    )


def first_rows(path: Path, count: int, separator: str = ",") -> list[list[str]]:
    """The cells of the first lines of data, [] where the file is not text: cheap enough to tell layouts apart."""
    try:
        return [line.split(separator) for _, line in islice(_data(path, _encoding(path)), count)]
    except (OSError, ImportFileError, UnicodeDecodeError):
        return []


def holds_numbers(path: Path) -> bool:
    """Whether a text file has a line of numbers near its beginning, so that it is no readme."""
    try:
        table = read_table(path)
    except (OSError, ImportFileError, UnicodeDecodeError):
        return False
    return any(is_number(cell) for cell in table.cells(0, 1) + table.cells(table.width - 1, 1))


def split(line: str, separator: str | None) -> list[str]:
    """The cells of a line; blanks separate where no sign does."""
    if separator is None:
        return line.split()
    return next(csv.reader([line], delimiter=separator)) if '"' in line else line.split(separator)


def is_number(cell: str) -> bool:
    if "_" in cell:  # digits of a Python source, not of a table
        return False
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _above(rows: Sequence[Sequence[str]]) -> tuple[int, tuple[str, ...] | None, tuple[str, ...]]:
    """How many lines stand above the numbers, the names, and the units; a line that has numbers in it is no name."""
    first = next((at for at, row in enumerate(rows) if _is_data(row)), len(rows))
    # What is broken further down is not a header: where something else than text stands above, the first line is all of it.
    if first == 0:
        return 0, None, ()
    if any(is_number(cell) for cell in rows[first - 1]) or first == len(rows):
        first = 1
    names, units = [cell.strip() for cell in rows[first - 1]], tuple[str, ...]()
    if first > 1 and len(rows[first - 2]) == len(names) and all(map(_is_unit, names)):
        units = tuple(_BARE_UNIT.match(cell)["unit"] for cell in names)  # type: ignore[index]
        names = [cell.strip() for cell in rows[first - 2]]
    if first < len(rows) and len(names) != len(rows[first]) and len(names) != len(rows[first]) - 1:
        return (first, None, ()) if first > 1 else (first, tuple(names), units)
    if first < len(rows) and len(names) == len(rows[first]) - 1:
        names.append("")
    pairs = [_NAME_AND_UNIT.match(name) for name in names]
    if not units:
        units = tuple(pair["unit"].strip() if pair else "" for pair in pairs)
        names = [pair["name"] if pair and _is_unit(pair["unit"]) else name for pair, name in zip(pairs, names, strict=True)]
    return first, tuple(names), units


def _is_data(row: Sequence[str]) -> bool:
    """Numbers or instants only, one at least; cells may be empty."""
    cells = [cell.strip().strip('"') for cell in row if cell.strip()]
    return bool(cells) and all(is_number(cell) or instant_ns(cell) is not None for cell in cells)


def _is_unit(cell: str) -> bool:
    unit = _BARE_UNIT.match(cell.strip())
    return unit is not None and (
        unit["unit"].lower() in UNITS_WRITTEN or unit["unit"].lower() in _TIME_UNITS or not unit["unit"]
    )


def _separator(head: Sequence[str]) -> str | None:
    """Of the last lines, for above the numbers there may be prose."""
    last = head[len(head) // 2 :]
    for sign in ";\t,":
        if all(sign in line for line in last):
            return sign
    return None if all(len(line.split()) > 1 for line in last) and not any(sign in last[-1] for sign in ";\t,") else ","


def _has_decimal_commas(head: Sequence[str], separator: str | None) -> bool:
    cells = [cell for line in head for cell in split(line, separator)]
    numbers = [cell for cell in cells if is_number(cell.replace(",", "."))]
    return any("," in cell for cell in numbers) and not any("." in cell for cell in numbers)


def _encoding(path: Path) -> str:
    """UTF-8 or what a byte order mark says, else Windows' western code page, in which units are written as m/s²."""
    try:
        with path.open("rb") as file:
            head = file.read(1 << 16)
    except FileNotFoundError:
        raise ImportFileError(path, "", "no such file") from None
    for mark, name in ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if head.startswith(mark):
            return name
    if b"\0" in head:
        raise ImportFileError(path, "", "not a text file: holds zero bytes")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _data(path: Path, encoding: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, from 1; without the empty ones and comments."""
    with path.open(encoding=encoding, errors="strict") as file:
        for number, line in enumerate(file, start=1):
            if line.strip() and not line.lstrip().startswith("#"):
                yield number, line.rstrip("\r\n")
