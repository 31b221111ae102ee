"""Lines of numbers in a text file, with or without a header, and the place of what is not a number."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from whir_ml.importers.errors import ImportFileError


@dataclass(frozen=True)
class Table:
    """`rows` are the lines of data, `lines` their numbers in the file from 1; `header` is None where there is none."""

    path: Path
    header: tuple[str, ...] | None
    width: int
    separator: str
    rows: list[str]
    lines: list[int]

    @property
    def names(self) -> tuple[str, ...]:
        """The header's cells, or ch1, ch2, …"""
        return self.header if self.header is not None else tuple(f"ch{number}" for number in range(1, self.width + 1))

    def numbers(self, places: Sequence[int]) -> NDArray[np.float64]:
        """Columns as finite numbers, (rows, places); ImportFileError names line and column of the first that is not."""
        try:
            values = np.loadtxt(self.rows, delimiter=self.separator, usecols=places, ndmin=2, comments=None, quotechar='"')
        except ValueError as error:
            self._complain(places)
            raise ImportFileError(self.path, "", str(error)) from None
        if not np.isfinite(values).all():
            self._complain(places)
        return values

    def cells(self, place: int) -> list[str]:
        """One column as text."""
        return [cells[place].strip() if place < len(cells) else "" for cells in self._split()]

    def _split(self) -> list[list[str]]:
        return list(csv.reader(self.rows, delimiter=self.separator))

    def _complain(self, places: Sequence[int]) -> None:
        for line, cells in zip(self.lines, self._split(), strict=True):
            for place in places:
                cell = cells[place].strip() if place < len(cells) else ""
                if not is_number(cell) or not math.isfinite(float(cell)):
                    raise ImportFileError(self.path, self.names[place], f"line {line}: {cell!r} is not a finite number")


def read_table(path: Path, separator: str | None = None) -> Table:
    """Read a text file; the separator, unless given, is semicolon or tab where the first line has one, else the comma.

    Empty lines and lines that start with # are skipped. The first line is a header when one of its cells is not a number.
    Where the comma does not separate and no number has a point, it is the decimal sign.
    """
    kept = [(number, line) for number, line in enumerate(_text(path).splitlines(), start=1) if _is_data(line)]
    if not kept:
        raise ImportFileError(path, "", "holds no line of data")
    lines, rows = [number for number, _ in kept], [line for _, line in kept]
    separator = separator or next((sign for sign in ";\t" if sign in rows[0]), ",")
    if separator != "," and not any("." in row for row in rows[1:]):
        rows = [row.replace(",", ".") for row in rows]
    first = next(csv.reader(rows[:1], delimiter=separator))
    header = None if all(is_number(cell) for cell in first) else tuple(cell.strip() for cell in first)
    skip = 0 if header is None else 1
    if len(rows) == skip:
        raise ImportFileError(path, "", "holds a header and no line of data")
    return Table(path, header, len(first), separator, rows[skip:], lines[skip:])


def first_rows(path: Path, count: int, separator: str = ",") -> list[list[str]]:
    """The cells of the first lines of data, [] where the file is not text: cheap enough to tell layouts apart."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            return [line.rstrip("\r\n").split(separator) for line in islice(filter(_is_data, file), count)]
    except (OSError, UnicodeDecodeError):
        return []


def is_number(cell: str) -> bool:
    if "_" in cell:  # digits of a Python source, not of a table
        return False
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ImportFileError(path, "", "no such file") from None
    except UnicodeDecodeError:
        raise ImportFileError(path, "", "not a text file in UTF-8") from None


def _is_data(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")
