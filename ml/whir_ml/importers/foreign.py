"""What every adapter hands over: physical values with what the file says of them, not yet a recording."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from whir_contracts.recording import Recording, check
from whir_ml.importers.errors import Finding, ImportFactError, ImportFileError
from whir_ml.importers.facts import Facts
from whir_ml.importers.units import UNITS_WRITTEN

RATE_TOLERANCE: Final = 0.005
_NEEDED: Final = (
    ("label", "--label", "normal, imbalance, …"),
    ("unit", "--unit", "g, m/s^2 or V"),
    ("rate_hz", "--rate", "Hz"),
)


@dataclass(frozen=True, eq=False)
class Foreign:
    """The samples of one file.

    `values` (samples, channels) in the unit of the facts. `says` is what the file itself or its published layout tells.
    `stamps` are time stamps in seconds, one a sample, `first_line` the line of sample 0 where the file is text.
    `stated` are the facts that stand in the file and must not be contradicted; the others are what the layout usually has.
    `findings` are what the adapter saw itself. `kept` is a recording of our own format, whose counts stay as they are.
    """

    values: NDArray[np.float64]
    channels: tuple[str, ...]
    says: Facts
    stamps: NDArray[np.float64] | None = None
    lines: Sequence[int] | None = None
    stated: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    kept: Recording | None = field(default=None, repr=False)

    def place(self, sample: int) -> str:
        """Where a sample stands: its line in a text file, its number from 0 elsewhere."""
        return f"sample {sample}" if self.lines is None else f"line {self.lines[sample]}"


@dataclass(frozen=True)
class Adapter:
    """One layout: its name, what it is, whether a file looks like it, and how to read it.

    `in_folder` says of such a file whether it is meant when only its folder is named: a .txt may be a readme.
    """

    name: str
    about: str
    suffixes: tuple[str, ...]
    looks: Callable[[Path], bool]
    read: Callable[[Path, Facts], Foreign]
    in_folder: Callable[[Path], bool] = lambda path: True


def pick(path: Path, channels: Sequence[str], columns: Sequence[str] | None) -> list[int]:
    """Places of the wanted columns, by name or by number from 1; all where nothing is wanted."""
    if columns is None:
        return list(range(len(channels)))
    places = []
    for column in columns:
        if column in channels:
            places.append(list(channels).index(column))
        elif column.isdecimal() and 1 <= int(column) <= len(channels):
            places.append(int(column) - 1)
        else:
            raise ImportFileError(path, column, f"no such column; there are {', '.join(channels)}")
    return places


def in_base_units(foreign: Foreign, path: Path | str, facts: Facts) -> tuple[Foreign, Facts]:
    """What is said in mg, mV or mm/s² as g, V or m/s²; a unit that stands in the file is not said otherwise."""
    if facts.unit is None:
        return foreign, facts
    unit, factor = UNITS_WRITTEN[facts.unit.lower()]
    if factor != 1 and "unit" in foreign.stated:
        raise ImportFactError(path, "unit", f"{facts.unit} is said, the file says {foreign.says.unit}")
    full_scale = None if facts.full_scale is None else facts.full_scale * factor
    values = foreign.values if factor == 1 else foreign.values * factor
    return dataclasses.replace(foreign, values=values), dataclasses.replace(facts, unit=unit, full_scale=full_scale)


def settle(foreign: Foreign, path: Path | str, facts: Facts) -> Facts:
    """What the user says joined with what the file says; a contradiction in rate or unit is an ImportFactError."""
    says = foreign.says
    rates = (facts.rate_hz, says.rate_hz if "rate_hz" in foreign.stated else None)
    if rates[0] is not None and rates[1] is not None and abs(rates[0] / rates[1] - 1) > RATE_TOLERANCE:
        raise ImportFactError(path, "rate_hz", f"{rates[0]:g} Hz is said, the file says {rates[1]:.6g} Hz")
    if "unit" in foreign.stated and facts.unit not in (None, says.unit):
        raise ImportFactError(path, "unit", f"{facts.unit} is said, the file says {says.unit}")
    if facts.label not in (None, says.label):
        says = dataclasses.replace(says, sublabel=None)  # the finer label belonged to the other one
    joined = facts.over(says)
    for name, option, hint in _NEEDED:
        if getattr(joined, name) is None:
            raise ImportFactError(path, name, f"the file does not say it: give {option} ({hint}), or `{name}` in a sidecar")
    return joined


def to_recording(foreign: Foreign, path: Path | str, name: str, facts: Facts, accepted: Sequence[Finding]) -> Recording:
    """Quantize to 16 bits with one scale for all channels; the mean goes to the offset. `facts` are settled."""
    assert facts.label is not None and facts.unit is not None and facts.rate_hz is not None
    if foreign.kept is not None:
        samples, scales, offset = foreign.kept.samples, foreign.kept.scale, foreign.kept.offset
        before = foreign.kept.accepted
    else:
        samples, scales, offset = _quantize(foreign, path)
        before = ()
    rec = Recording(
        name=name,
        samples=samples,
        scale=scales,
        offset=offset,
        rate_hz=facts.rate_hz,
        unit=facts.unit,
        channels=tuple("_".join(channel.split()) for channel in foreign.channels),
        label=facts.label,
        sublabel=facts.sublabel or facts.label,
        rpm=math.nan if facts.rpm is None else facts.rpm,
        condition=facts.condition or "",
        load=facts.load or "",
        machine=facts.machine or "",
        sensor_name=facts.sensor or "",
        mounting=facts.mounting or "",
        bearing=facts.bearing or "",
        full_scale=math.nan if facts.full_scale is None else facts.full_scale,
        accepted=tuple(dict.fromkeys((*before, *(str(one) for one in accepted)))),
    )
    check(rec, path)
    return rec


def refuse_broken(foreign: Foreign, path: Path | str) -> None:
    """Raise ImportFileError for values that no recording can hold: fewer than two samples, NaN, infinity."""
    if len(foreign.values) < 2:
        raise ImportFileError(path, "", f"holds {len(foreign.values)} samples")
    if not np.isfinite(foreign.values).all():
        row, channel = np.argwhere(~np.isfinite(foreign.values))[0]
        raise ImportFileError(path, foreign.channels[channel], f"{foreign.place(int(row))}: is not a finite number")


def _quantize(foreign: Foreign, path: Path | str) -> tuple[NDArray[np.int16], NDArray[np.float32], NDArray[np.float32]]:
    values = foreign.values
    offset = values.mean(axis=0).astype(np.float32)
    top = float(np.maximum(values.max(axis=0) - offset, offset - values.min(axis=0)).max())
    if not math.isfinite(top) or top > 1e12:
        raise ImportFileError(path, "", f"reaches {top:g}, which is no measurement")
    # Whole nano-units, so that the count which a bundle states is the file's exactly.
    scale = max(math.ceil(top / 32767 * 1e9), 1) * 1e-9
    samples = np.empty(values.shape, np.int16)
    for channel in range(values.shape[1]):  # one at a time: a file of an hour is large enough as it is
        samples[:, channel] = np.rint((values[:, channel] - offset[channel]) / scale)
    return samples, np.full(values.shape[1], scale, dtype=np.float32), offset
