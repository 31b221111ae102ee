"""Foreign files into recordings: CSV with a column mapping, WAV, and npz of our own format.

ImportFileError(RecordingError)   the file cannot be read as what it is said to be; names file and field
"""

from __future__ import annotations

import csv
import math
import struct
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import wavfile

from whir_contracts.recording import (
    INDEX_NAME,
    IndexRow,
    Recording,
    RecordingError,
    RecordingIndexError,
    check,
    load,
    read_index,
    save,
    write_index,
)


class ImportFileError(RecordingError):
    """The foreign file is not what it is said to be, or lacks what the caller asked for."""


@dataclass(frozen=True)
class Facts:
    """What a foreign file does not say of itself."""

    label: str
    unit: str
    sublabel: str = ""
    rpm: float = math.nan
    load: str = ""
    condition: str = ""


def from_csv(path: Path, rate_hz: float, columns: Sequence[str], facts: Facts) -> Recording:
    """Read columns of numbers in `facts.unit`.

    A column is named by the header, or by its number from 1 where there is none. Separators are comma, semicolon or tab;
    lines that start with # are skipped.
    """
    lines = [(number, line) for number, line in enumerate(_text(path).splitlines(), start=1) if _is_data(line)]
    if not lines:
        raise ImportFileError(path, "", "holds no line of data")
    separator = max(",;\t", key=lines[0][1].count)
    rows = list(csv.reader((line for _, line in lines), delimiter=separator))
    header = None if all(_is_number(cell) for cell in rows[0]) else [cell.strip() for cell in rows[0]]
    places = [_place(path, column, header, len(rows[0])) for column in columns]
    first = 0 if header is None else 1
    values = np.empty((len(rows) - first, len(places)))
    for index, row in enumerate(rows[first:]):
        for channel, place in enumerate(places):
            try:
                value = float(row[place])
            except (IndexError, ValueError):
                value = math.nan
            if not math.isfinite(value):
                cell = row[place] if place < len(row) else ""
                raise ImportFileError(
                    path, columns[channel], f"line {lines[index + first][0]}: {cell!r} is not a finite number"
                )
            values[index, channel] = value
    return from_values(path, values, rate_hz, [_channel(column, header) for column in columns], facts)


def from_wav(path: Path, full_scale: float, facts: Facts) -> Recording:
    """Read a WAV file; `full_scale` is the value in `facts.unit` of its largest sample."""
    try:
        with warnings.catch_warnings():
            # SciPy warns of chunks that it skips; a truncated data chunk is an error here.
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            warnings.filterwarnings("error", "Reached EOF prematurely", wavfile.WavFileWarning)
            rate, samples = wavfile.read(path)
    except FileNotFoundError:
        raise ImportFileError(path, "", "no such file") from None
    except (ValueError, EOFError, struct.error, wavfile.WavFileWarning) as error:
        raise ImportFileError(path, "", f"not a whole WAV file: {error}") from None
    values = np.atleast_2d(samples.T).T.astype(np.float64)
    if np.issubdtype(samples.dtype, np.integer):
        info = np.iinfo(samples.dtype)
        values = (values - (128 if samples.dtype == np.uint8 else 0)) / (128 if samples.dtype == np.uint8 else info.max)
    names = [f"ch{number}" for number in range(1, values.shape[1] + 1)]
    return from_values(path, values * full_scale, float(rate), names, facts)


def from_values(path: Path, values: NDArray[np.float64], rate_hz: float, channels: Sequence[str], facts: Facts) -> Recording:
    """Quantize physical values (n, channels) to 16 bits with one scale for all channels; the mean goes to the offset."""
    if len(values) < 2:
        raise ImportFileError(path, "", f"holds {len(values)} samples")
    if not np.isfinite(values).all():
        row, channel = np.argwhere(~np.isfinite(values))[0]
        raise ImportFileError(path, channels[channel], f"sample {row} is not a finite number")
    offset = values.mean(axis=0).astype(np.float32)
    centered = values - offset
    # Whole nano-units, so that the count which a bundle states is the file's exactly.
    scale = max(math.ceil(float(np.abs(centered).max()) / 32767 * 1e9), 1) * 1e-9
    rec = Recording(
        name=path.stem,
        samples=np.rint(centered / scale).astype(np.int16),
        scale=np.full(values.shape[1], scale, dtype=np.float32),
        offset=offset,
        rate_hz=rate_hz,
        unit=facts.unit,
        channels=tuple(channel.replace(" ", "_") for channel in channels),
        label=facts.label,
        sublabel=facts.sublabel or facts.label,
        rpm=facts.rpm,
        condition=facts.condition,
        load=facts.load,
    )
    check(rec, path)
    return rec


def from_npz(path: Path) -> Recording:
    """Read one of our own, with all its checks."""
    return load(path)


def add(rec: Recording, folder: Path, source: str) -> Path:
    """Put a recording into a data set, which is made when it is not there yet, and return the file's path."""
    rows = read_index(folder) if (folder / INDEX_NAME).is_file() else []
    file = f"recordings/{rec.name}.npz"
    if any(row.file == file for row in rows):
        raise RecordingIndexError(folder / INDEX_NAME, "file", f"{file} is in this data set already")
    save(rec, folder / file)
    write_index(folder, [*rows, IndexRow.of(rec, file, source)])
    return folder / file


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ImportFileError(path, "", "no such file") from None
    except UnicodeDecodeError:
        raise ImportFileError(path, "", "not a text file in UTF-8") from None


def _is_data(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _place(path: Path, column: str, header: list[str] | None, count: int) -> int:
    if header is not None and column in header:
        return header.index(column)
    if column.isdecimal() and 1 <= int(column) <= count:
        return int(column) - 1
    known = ", ".join(header) if header is not None else f"1 to {count}"
    raise ImportFileError(path, column, f"no such column; there are {known}")


def _channel(column: str, header: list[str] | None) -> str:
    return column if header is not None and column in header else f"ch{column}"
