"""MaFaulDa (SpectraQuest simulator, UFRJ): 8 columns without header at 50 kHz.

Tachometer; axial, radial and tangential at the underhang bearing; the same at the overhang bearing; microphone. The folders
name the state, the file its speed in Hz: `imbalance/6g/13.1072.csv`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from whir_ml.importers.errors import ImportFileError
from whir_ml.importers.facts import Facts
from whir_ml.importers.foreign import Adapter, Foreign, pick
from whir_ml.importers.table import first_rows, is_number, read_table

RATE_HZ: Final = 50_000.0
COLUMNS: Final = (
    "tachometer",
    "underhang_axial",
    "underhang_radial",
    "underhang_tangential",
    "overhang_axial",
    "overhang_radial",
    "overhang_tangential",
    "microphone",
)
ACCELEROMETERS: Final = COLUMNS[1:7]
_STATES: Final = {
    "normal": "normal",
    "imbalance": "imbalance",
    "horizontal-misalignment": "misalignment",
    "vertical-misalignment": "misalignment",
    "underhang": "bearing",
    "overhang": "bearing",
}
_SPEED: Final = re.compile(r"^\d+\.\d+$")


def read(path: Path, facts: Facts) -> Foreign:
    """Read the accelerometers asked for, all six by default. The file does not say their unit."""
    table = read_table(path, ",")
    if table.header is not None or table.width != len(COLUMNS):
        raise ImportFileError(path, "", f"{table.width} columns{' and a header' if table.header else ''}, not 8 without one")
    wanted = [place + 1 for place in pick(path, ACCELEROMETERS, facts.columns)]
    values = table.numbers([0, *wanted])
    hertz = float(path.stem) if _SPEED.match(path.stem) else _speed_hz(values[:, 0])
    return Foreign(
        values=values[:, 1:],
        channels=tuple(COLUMNS[place] for place in wanted),
        says=Facts(rate_hz=RATE_HZ, rpm=None if hertz is None else hertz * 60, machine="mafaulda").over(_from_folders(path)),
        lines=table.lines,
    )


def _speed_hz(tachometer: NDArray[np.float64]) -> float | None:
    """Pulses a second, one a revolution: rising crossings of the middle, armed again below a quarter; None under three."""
    low, high = float(tachometer.min()), float(tachometer.max())
    armed, rises = False, []
    above, below = tachometer > (low + high) / 2, tachometer < low + (high - low) / 4
    for index in np.flatnonzero(above | below):
        if below[index]:
            armed = True
        elif armed:
            rises.append(int(index))
            armed = False
    if len(rises) < 3:
        return None
    return RATE_HZ / float(np.median(np.diff(rises)))


def _from_folders(path: Path) -> Facts:
    # The last one: in some copies a folder stands within one of its own name.
    for depth, folder in reversed(list(enumerate(path.parts[:-1]))):
        if folder in _STATES:
            label, finer = _STATES[folder], path.parts[depth + 1 : -1]
            return Facts(label=label, sublabel="_".join((folder, *finer)) if finer or label != folder else None)
    return Facts()


def _looks(path: Path) -> bool:
    """The folders or the name must say it too: eight columns of numbers may be anything."""
    if path.suffix.lower() != ".csv" or not (_SPEED.match(path.stem) or "mafaulda" in str(path).lower()):
        return False
    return any(len(row) == len(COLUMNS) and all(is_number(cell) for cell in row) for row in first_rows(path, 1))


ADAPTER: Final = Adapter(
    name="mafaulda",
    about="MaFaulDa .csv: 8 columns at 50 kHz, tachometer, 3 + 3 accelerations, microphone",
    suffixes=(".csv",),
    looks=_looks,
    read=read,
)
