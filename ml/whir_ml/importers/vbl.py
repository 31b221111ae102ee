"""VBL-VA001 (lab-scale vibration analysis set): time, x, y, z without header at 20 kHz; the folder names the state."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from whir_ml.importers import timing
from whir_ml.importers.errors import ImportFileError
from whir_ml.importers.facts import Facts
from whir_ml.importers.foreign import RATE_TOLERANCE, Adapter, Foreign, pick
from whir_ml.importers.table import first_rows, is_number, read_table

RATE_HZ: Final = 20_000.0
CHANNELS: Final = ("x", "y", "z")
_STATES: Final = {"normal": "normal", "misalignment": "misalignment", "unbalance": "imbalance", "bearing": "bearing"}


def read(path: Path, facts: Facts) -> Foreign:
    """Read x, y, z; the time stamps must give 20 kHz. The file does not say the unit."""
    table = read_table(path, ",")
    if table.header is not None or table.width != 4:
        raise ImportFileError(path, "", f"{table.width} columns{' and a header' if table.header else ''}, not 4 without one")
    wanted = pick(path, CHANNELS, facts.columns)
    values = table.numbers([0, *(place + 1 for place in wanted)])
    stamps = values[:, 0] - values[0, 0]
    measured = timing.measure(stamps) if len(stamps) > 1 else None
    if measured is None or abs(measured.rate_hz / RATE_HZ - 1) > RATE_TOLERANCE:
        rate = "nothing" if measured is None else f"{measured.rate_hz:.6g} Hz"
        raise ImportFileError(path, "time", f"the time stamps give {rate}, not 20 kHz; another layout? --layout csv --time 1")
    return Foreign(
        values=values[:, 1:],
        channels=tuple(CHANNELS[place] for place in wanted),
        says=Facts(rate_hz=RATE_HZ, label=_STATES.get(path.parent.name), machine="vbl-va001"),
        stamps=stamps,
        lines=table.lines,
        stated=("rate_hz",),
    )


def _looks(path: Path) -> bool:
    """Four columns of numbers, the first of which advances by 50 us, in one of the set's folders."""
    if path.suffix.lower() != ".csv" or path.parent.name not in _STATES:
        return False
    rows = first_rows(path, 2)
    if len(rows) < 2 or any(len(row) != 4 or not all(is_number(cell) for cell in row) for row in rows):
        return False
    return abs((float(rows[1][0]) - float(rows[0][0])) * RATE_HZ - 1) < 0.1


ADAPTER: Final = Adapter(
    name="vbl",
    about="VBL-VA001 .csv: time, x, y, z at 20 kHz in folders normal, misalignment, unbalance, bearing",
    suffixes=(".csv",),
    looks=_looks,
    read=read,
)
