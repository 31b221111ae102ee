"""Case Western Reserve University bearing data: X097_DE_time, X097_FE_time, X097_BA_time and X097RPM in one .mat."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import numpy as np

from whir_ml.importers.errors import ImportFactError, ImportFileError
from whir_ml.importers.facts import Facts
from whir_ml.importers.foreign import Adapter, Foreign, pick
from whir_ml.importers.mat import column, names, read_mat

PLACES: Final = {"DE": "drive_end", "FE": "fan_end", "BA": "base"}
# The university numbers its files; most copies name them by fault, size and load: B007_1, IR014_0, OR021@6_2, Normal_3
_VARIABLE: Final = re.compile(r"^(X\d+)_(DE|FE|BA)_time$")
_NAME: Final = re.compile(r"(?P<part>normal|B|IR|OR)(?P<size>\d{3})?(?:@(?P<clock>\d+))?(?:_(?P<load>[0-3]))?", re.IGNORECASE)
_PARTS: Final = {"b": "ball", "ir": "inner_race", "or": "outer_race"}
_NORMAL_NUMBERS: Final = range(97, 101)


def read(path: Path, facts: Facts) -> Foreign:
    """Read the accelerometers of one file; where it holds two recordings (some do), that which its number names."""
    content = read_mat(path)
    found = {match.group(1): None for name in content if (match := _VARIABLE.match(name))}
    prefix = _prefix(path, list(found))
    places = {PLACES[key]: f"{prefix}_{key}_time" for key in PLACES if f"{prefix}_{key}_time" in content}
    channels = tuple(places)
    chosen = [channels[place] for place in pick(path, channels, facts.columns)]
    signals = [column(path, places[name], content[places[name]]) for name in chosen]
    if len({len(signal) for signal in signals}) > 1:
        counts = ", ".join(f"{places[name]} {len(signal)}" for name, signal in zip(chosen, signals, strict=True))
        raise ImportFileError(path, "", f"channels of different length: {counts}")
    says = _from_name(path)
    speed = np.asarray(content.get(f"{prefix}RPM", []))
    if speed.size > 1 or not np.issubdtype(speed.dtype, np.number):
        raise ImportFileError(path, f"{prefix}RPM", "is not one number")
    rate = _rate(path)
    if rate is None and facts.rate_hz is None:
        raise ImportFactError(
            path, "rate_hz", "the file does not say whether it is 12 or 48 kHz: give --rate 12000 or --rate 48000"
        )
    return Foreign(
        values=np.column_stack(signals),
        channels=tuple(chosen),
        says=Facts(rpm=float(speed.item()) if speed.size else None, unit="g", rate_hz=rate, machine="cwru").over(says),
    )


def _prefix(path: Path, prefixes: list[str]) -> str:
    number = re.search(r"(\d+)$", path.stem)
    named = f"X{int(number.group(1)):03d}" if number else ""
    if len(prefixes) == 1:
        return prefixes[0]
    if named in prefixes:
        return named
    if not prefixes:
        raise ImportFileError(path, "", "holds no variable like X097_DE_time")
    raise ImportFileError(path, "", f"holds {' and '.join(sorted(prefixes))}: name the file by the number that is meant")


def _rate(path: Path) -> float | None:
    """12 or 48 kHz where the folders or the name say so."""
    text = "/".join(path.parts[-4:]).lower()
    said = {rate for word, rate in (("12k", 12000.0), ("48k", 48000.0)) if word in text}
    return said.pop() if len(said) == 1 else None


def _from_name(path: Path) -> Facts:
    if path.stem.isdecimal():
        return Facts(label="normal") if int(path.stem) in _NORMAL_NUMBERS else Facts()
    match = _NAME.search(path.stem)
    if match is None or (match["part"].lower() != "normal" and match["size"] is None):
        return Facts()
    load = None if match["load"] is None else f"{match['load']}hp"
    if match["part"].lower() == "normal":
        return Facts(label="normal", load=load)
    clock = f"_{match['clock']}" if match["clock"] else ""
    fan = "fan" in "/".join(path.parts[-4:]).lower()
    return Facts(
        label="bearing",
        sublabel=f"{_PARTS[match['part'].lower()]}_{match['size']}{clock}",
        load=load,
        bearing="6203" if fan else "6205",
    )


ADAPTER: Final = Adapter(
    name="cwru",
    about="Case Western Reserve University .mat (X097_DE_time, X097_FE_time, X097_BA_time, X097RPM)",
    suffixes=(".mat",),
    looks=lambda path: path.suffix.lower() == ".mat" and any(_VARIABLE.match(name) for name in names(path)),
    read=read,
)
