"""IMS bearing run to failure (NASA): one second in a text file, a tab between channels, its date and time as the name.

Set 1 has 8 channels, x and y of bearings 1 to 4; sets 2 and 3 have one of each bearing. 20,480 rows. The set's description
says 20 kHz and one second, which cannot both be: 20,480 Hz is taken unless the user says otherwise.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from whir_ml.importers.errors import Finding, ImportFileError
from whir_ml.importers.facts import Facts
from whir_ml.importers.foreign import Adapter, Foreign, pick
from whir_ml.importers.table import read_table

RATE_HZ: Final = 20_480.0
ROWS: Final = 20_480
RPM: Final = 2000.0
_NAME: Final = re.compile(r"^\d{4}(\.\d\d){5}$")
_CHANNELS: Final = {
    8: tuple(f"bearing{number}_{axis}" for number in range(1, 5) for axis in "xy"),
    4: tuple(f"bearing{number}" for number in range(1, 5)),
}


def read(path: Path, facts: Facts) -> Foreign:
    """Read the channels asked for. State and unit are not in the file: it is a run to failure."""
    table = read_table(path, "\t")
    names = _CHANNELS.get(table.width)
    if table.header is not None or names is None:
        raise ImportFileError(
            path, "", f"{table.width} columns between tabs{', with text' if table.header else ''}, not 4 or 8"
        )
    wanted = pick(path, names, facts.columns)
    values = table.numbers(wanted)
    count = len(values)
    findings = () if count == ROWS else (Finding("gap", f"line {table.lines[-1]}", f"{count} rows, a file has {ROWS}"),)
    return Foreign(
        values=values,
        channels=tuple(names[place] for place in wanted),
        says=Facts(rate_hz=RATE_HZ, rpm=RPM, load="6000 lb", machine="ims"),
        lines=table.lines,
        findings=findings,
    )


ADAPTER: Final = Adapter(
    name="ims",
    about="IMS bearing text: tab-separated columns, 20,480 rows, named 2003.10.22.12.06.24",
    suffixes=(),
    looks=lambda path: _NAME.match(path.name) is not None,
    read=read,
)
