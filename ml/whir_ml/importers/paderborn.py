"""Paderborn University bearing data: one struct in a .mat, Y(n).Name says which signal Y(n).Data is; vibration at 64 kHz.

The name says the rest: `N15_M07_F10_KA01_1.mat` is 1,500 rpm, 0.7 Nm, 1,000 N, bearing KA01 (K0 healthy, KA outer ring, KI
inner ring, KB both), measurement 1.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import numpy as np

from whir_ml.importers.errors import ImportFileError
from whir_ml.importers.facts import Facts
from whir_ml.importers.foreign import Adapter, Foreign, pick
from whir_ml.importers.mat import column, names, read_mat

RATE_HZ: Final = 64_000.0
_NAME: Final = re.compile(r"(N(\d\d)_M(\d\d)_F(\d\d))_(K(?:0|A|I|B)\d\d+)_\d+$")
_STATES: Final = {
    "K0": ("normal", None),
    "KA": ("bearing", "outer_race"),
    "KI": ("bearing", "inner_race"),
    "KB": ("bearing", "inner_outer_race"),
}


def read(path: Path, facts: Facts) -> Foreign:
    """Read the signals named vibration_1, …; the speed is the mean of the signal `speed` where there is one."""
    content = read_mat(path)
    structs = [value["Y"] for value in content.values() if isinstance(value, dict) and "Y" in value]
    if not structs:
        raise ImportFileError(path, "Y", "holds no struct with a field Y")
    entries = structs[0] if isinstance(structs[0], list) else [structs[0]]
    signals = {str(_field(path, entry, "Name")): _field(path, entry, "Data") for entry in entries}
    found = tuple(name for name in signals if name.startswith("vibration"))
    if not found:
        raise ImportFileError(path, "Y", f"no signal is called vibration_1; there are {', '.join(signals) or 'none'}")
    chosen = [found[place] for place in pick(path, found, facts.columns)]
    columns = [column(path, name, signals[name]) for name in chosen]
    if len({len(values) for values in columns}) > 1:
        raise ImportFileError(path, "Y", f"signals of different length: {', '.join(chosen)}")
    speed = signals.get("speed")
    measured = Facts() if speed is None else Facts(rpm=abs(float(np.mean(column(path, "speed", speed)))))
    return Foreign(
        values=np.column_stack(columns),
        channels=tuple(chosen),
        says=measured.over(_from_name(path)).over(Facts(rate_hz=RATE_HZ)),
    )


def _field(path: Path, entry: Any, name: str) -> Any:
    if not isinstance(entry, dict) or name not in entry:
        raise ImportFileError(path, f"Y.{name}", "the field is missing")
    return entry[name]


def _from_name(path: Path) -> Facts:
    match = _NAME.search(path.stem)
    if match is None:
        return Facts()
    condition, speed, torque, force, bearing = match.groups()
    label, sublabel = _STATES[bearing[:2]]
    return Facts(
        label=label,
        sublabel=sublabel,
        rpm=int(speed) * 100.0,
        load=f"{int(torque) / 10:g} Nm, {int(force) * 100} N",
        condition=condition,
        machine=bearing,
    )


def _looks(path: Path) -> bool:
    return path.suffix.lower() == ".mat" and (_NAME.search(path.stem) is not None or len(names(path)) == 1)


ADAPTER: Final = Adapter(
    name="paderborn",
    about="Paderborn University .mat: struct with Y(n).Name vibration_1, … at 64 kHz",
    suffixes=(".mat",),
    looks=_looks,
    read=read,
)
