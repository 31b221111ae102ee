"""Case Western Reserve University bearing data: X097_DE_time, X097_FE_time, X097_BA_time and X097RPM in one .mat."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from whir_ml.importers.errors import ImportFactError, ImportFileError
from whir_ml.importers.facts import Facts
from whir_ml.importers.foreign import Adapter, Foreign, pick
from whir_ml.importers.mat import column, names, read_mat

PLACES: Final = {"DE": "drive_end", "FE": "fan_end", "BA": "base"}
NOMINAL_RPM: Final = (1797.0, 1772.0, 1750.0, 1730.0)  # by load; some files state no speed
_VARIABLE: Final = re.compile(r"^(X\d+)_(DE|FE|BA)_time$")
# Most copies name the files by fault, size and load: B007_1, OR021@6_2, Normal_3; OR007_6_1_136 with the number behind.
_NAME: Final = re.compile(
    r"(?:(?P<normal>normal)|(?P<part>B|IR|OR)(?P<size>\d{3}))(?:(?:@|(?<=\d{3})_(?=(?:12|3|6)_[0-3]))(?P<clock>12|3|6))?(?:_(?P<load>[0-3])(?!\d))?",
    re.IGNORECASE,
)
_PARTS: Final = {"B": "ball", "IR": "inner_race", "OR": "outer_race"}
# The university's own names: number of the file, and of its variables, by rate, end of the motor, fault and load 0 to 3.
_NUMBERS: Final[dict[tuple[int, str], dict[str, tuple[int, ...]]]] = {
    (48, "normal"): {"normal": (97, 98, 99, 100)},
    (12, "drive"): {
        "IR007": (105, 106, 107, 108), "B007": (118, 119, 120, 121), "OR007@6": (130, 131, 132, 133),
        "OR007@3": (144, 145, 146, 147), "OR007@12": (156, 158, 159, 160), "IR014": (169, 170, 171, 172),
        "B014": (185, 186, 187, 188), "OR014@6": (197, 198, 199, 200), "IR021": (209, 210, 211, 212),
        "B021": (222, 223, 224, 225), "OR021@6": (234, 235, 236, 237), "OR021@3": (246, 247, 248, 249),
        "OR021@12": (258, 259, 260, 261), "IR028": (3001, 3002, 3003, 3004), "B028": (3005, 3006, 3007, 3008),
    },
    (48, "drive"): {
        "IR007": (109, 110, 111, 112), "B007": (122, 123, 124, 125), "OR007@6": (135, 136, 137, 138),
        "OR007@3": (148, 149, 150, 151), "OR007@12": (161, 162, 163, 164), "IR014": (174, 175, 176, 177),
        "B014": (189, 190, 191, 192), "OR014@6": (201, 202, 203, 204), "IR021": (213, 214, 215, 217),
        "B021": (226, 227, 228, 229), "OR021@6": (238, 239, 240, 241), "OR021@3": (250, 251, 252, 253),
        "OR021@12": (262, 263, 264, 265),
    },
    (12, "fan"): {
        "IR007": (278, 279, 280, 281), "B007": (282, 283, 284, 285), "OR007@6": (294, 295, 296, 297),
        "OR007@3": (298, 299, 300, 301), "OR007@12": (302, 305, 306, 307), "IR014": (274, 275, 276, 277),
        "B014": (286, 287, 288, 289), "OR014@6": (313,), "OR014@3": (310, 309, 311, 312),
        "IR021": (270, 271, 272, 273), "B021": (290, 291, 292, 293), "OR021@6": (315,), "OR021@3": (0, 316, 317, 318),
    },
}  # fmt: skip


@dataclass(frozen=True)
class _Known:
    """What a name or a number says: fault as `OR007@6` or `normal`, load in hp, rate in kHz and end of the motor; None: not."""

    fault: str | None = None
    load: int | None = None
    khz: int | None = None
    end: str | None = None


_BY_NUMBER: Final = {
    number: _Known(fault, load, khz, end)
    for (khz, end), faults in _NUMBERS.items()
    for fault, numbers in faults.items()
    for load, number in enumerate(numbers)
    if number
}


def read(path: Path, facts: Facts) -> Foreign:
    """Read the accelerometers of one file; where it holds two recordings (some do), that which its number names."""
    content = read_mat(path)
    found = {match.group(1) for name in content if (match := _VARIABLE.match(name))}
    known, prefix = _known(path, sorted(found))
    places = {PLACES[key]: f"{prefix}_{key}_time" for key in PLACES if f"{prefix}_{key}_time" in content}
    channels = tuple(places)
    chosen = [channels[place] for place in pick(path, channels, facts.columns)]
    signals = [column(path, places[name], content[places[name]]) for name in chosen]
    if len({len(signal) for signal in signals}) > 1:
        counts = ", ".join(f"{places[name]} {len(signal)}" for name, signal in zip(chosen, signals, strict=True))
        raise ImportFileError(path, "", f"channels of different length: {counts}")
    speed = np.asarray(content.get(f"{prefix}RPM", []))
    if speed.size > 1 or not np.issubdtype(speed.dtype, np.number):
        raise ImportFileError(path, f"{prefix}RPM", "is not one number")
    rpm = float(speed.item()) if speed.size else None
    if rpm is None and known.load is not None:
        rpm = NOMINAL_RPM[known.load]
    says = _facts(known)
    if says.rate_hz is None and facts.rate_hz is None:
        raise ImportFactError(
            path, "rate_hz", "name and folders do not say, or not alike, whether it is 12 or 48 kHz: give --rate 12000 or 48000"
        )
    return Foreign(
        values=np.column_stack(signals),
        channels=tuple(chosen),
        says=Facts(rpm=rpm, unit="g", machine="cwru").over(says),
    )


def _known(path: Path, prefixes: list[str]) -> tuple[_Known, str]:
    """What path, name and number say, and which of the recordings in the file is meant: a few hold two."""
    if not prefixes:
        raise ImportFileError(path, "", "holds no variable like X097_DE_time")
    named = _from_name(path)
    digits = re.search(r"(?<!\d)(\d{2,4})$", path.stem)
    number = int(digits.group(1)) if digits else None
    alike = [n for n, one in _BY_NUMBER.items() if named.fault and _agree(one, named)]
    meant = [prefix for prefix in prefixes if int(prefix[1:]) in (number, *alike)] if len(prefixes) > 1 else prefixes
    if len(meant) != 1:
        raise ImportFileError(path, "", f"holds {' and '.join(prefixes)}: name the file by the number that is meant")
    # The number is sure of everything; a name without one says its fault, and the folders the rest.
    for one in (number, int(meant[0][1:]), *(alike if len(alike) == 1 else ())):
        if one in _BY_NUMBER and _agree(_BY_NUMBER[one], dataclasses.replace(named, khz=None)):
            listed = _BY_NUMBER[one]
            return (listed if named.khz in (None, listed.khz) else dataclasses.replace(listed, khz=None)), meant[0]
    return named, meant[0]


def _agree(one: _Known, named: _Known) -> bool:
    pairs = ((one.fault, named.fault), (one.load, named.load), (one.khz, named.khz), (one.end, named.end))
    return all(said is None or said == here for here, said in pairs)


def _from_name(path: Path) -> _Known:
    """The fault by the file's name; rate and end by the folders'."""
    text = "/".join(path.parts[-4:]).lower()
    rates = [khz for khz in (12, 48) if f"{khz}k" in text]
    khz = rates[0] if len(rates) == 1 else None
    match = _NAME.search(path.stem)
    if match is None:
        return _Known(khz=khz)
    load = None if match["load"] is None else int(match["load"])
    if match["normal"]:
        return _Known("normal", load, khz)
    clock = f"@{match['clock']}" if match["clock"] else ""
    end = next((end for end in ("fan", "drive") if end in text), None)
    return _Known(f"{match['part'].upper()}{match['size']}{clock}", load, khz, end)


def _facts(known: _Known) -> Facts:
    rate_hz = None if known.khz is None else 1000.0 * known.khz
    load = None if known.load is None else f"{known.load}hp"
    if known.fault is None or known.fault == "normal":
        return Facts(label=known.fault, load=load, rate_hz=rate_hz)
    part, size, _, clock = re.fullmatch(r"([A-Z]+)(\d+)(@(\d+))?", known.fault).groups()  # type: ignore[union-attr]
    return Facts(
        label="bearing",
        sublabel=f"{_PARTS[part]}_{size}{f'_{clock}' if clock else ''}",
        load=load,
        rate_hz=rate_hz,
        bearing="6203" if known.end == "fan" else "6205",
    )


ADAPTER: Final = Adapter(
    name="cwru",
    about="Case Western Reserve University .mat (X097_DE_time, X097_FE_time, X097_BA_time, X097RPM)",
    suffixes=(".mat",),
    looks=lambda path: path.suffix.lower() == ".mat" and any(_VARIABLE.match(name) for name in names(path)),
    read=read,
)
