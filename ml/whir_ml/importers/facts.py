"""What a foreign file does not say of itself: given once, by options or in files beside the data, and kept.

`pump.csv` is described by `pump.csv.toml`, many files by the lines of a `whir.csv` above them (`file,label,rpm`, where `file`
may be a pattern such as `imbalance/*`), a folder and all below it by `whir.toml`. The nearest says it: options before the
file's own TOML, before its folder's table and TOML, before the folder above, up to the folder that is imported; before what the
layout knows.
"""

from __future__ import annotations

import csv
import dataclasses
import math
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from whir_contracts.recording import UNITS
from whir_ml.importers.errors import ImportFactError
from whir_ml.importers.units import UNITS_WRITTEN

FOLDER_SIDECAR: Final = "whir.toml"
FOLDER_TABLE: Final = "whir.csv"
TIME_UNITS: Final = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "d": 86400.0}


@dataclass(frozen=True)
class Facts:
    """Facts about one measurement; None where nobody said anything.

    `rate_hz` in Hz, `rpm` of the shaft, `full_scale` is the sensor's range in `unit` (of a WAV file, the value of its largest
    sample). `columns` picks channels in axis order, `time` names the column of time stamps, `time_unit` theirs.
    """

    layout: str | None = None
    label: str | None = None
    sublabel: str | None = None
    unit: str | None = None
    rate_hz: float | None = None
    rpm: float | None = None
    load: str | None = None
    condition: str | None = None
    machine: str | None = None
    sensor: str | None = None
    mounting: str | None = None
    bearing: str | None = None
    full_scale: float | None = None
    columns: tuple[str, ...] | None = None
    time: str | None = None
    time_unit: str | None = None

    def over(self, other: Facts) -> Facts:
        """These facts, and `other`'s where these say nothing."""
        mine = {key: value for key, value in vars(self).items() if value is not None}
        return dataclasses.replace(other, **mine)


def check(facts: Facts, source: Path | str) -> None:
    """Raise ImportFactError, naming `source`, for a fact that no measurement can have."""
    if facts.unit is not None and facts.unit.lower() not in UNITS_WRITTEN:
        raise ImportFactError(source, "unit", f"{facts.unit!r} is not one of {', '.join(UNITS)}, mg, mV, mm/s^2")
    if facts.time_unit is not None and facts.time_unit not in TIME_UNITS:
        raise ImportFactError(source, "time_unit", f"{facts.time_unit!r} is not one of {', '.join(TIME_UNITS)}")
    for name in ("rate_hz", "rpm", "full_scale"):
        value = getattr(facts, name)
        if value is not None and not (math.isfinite(value) and (value > 0 or (name == "rpm" and value == 0))):
            raise ImportFactError(source, name, f"{value:g} cannot be")


def gather(path: Path, options: Facts, root: Path) -> Facts:
    """All that is said of the file `path` under the folder `root`: options, then sidecars, the nearest first."""
    check(options, path)
    facts = options
    own = path.with_name(f"{path.name}.toml")
    if own.is_file():
        facts = facts.over(load(own))
    for folder in [one for one in path.parents if one == root or root in one.parents] or [path.parent]:
        if (folder / FOLDER_TABLE).is_file():
            name = path.relative_to(folder).as_posix()
            for line in table(folder / FOLDER_TABLE):
                if fnmatchcase(name, line.pattern):
                    facts = facts.over(line.facts)
        if (folder / FOLDER_SIDECAR).is_file():
            facts = facts.over(load(folder / FOLDER_SIDECAR))
    return facts


def load(sidecar: Path) -> Facts:
    """Read one TOML sidecar; its keys are the fields of `Facts`."""
    return _load(sidecar, sidecar.stat().st_mtime_ns)


@lru_cache
def _load(sidecar: Path, changed_ns: int) -> Facts:
    try:
        content = tomllib.loads(sidecar.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ImportFactError(sidecar, "", f"not TOML: {error}") from None
    return _facts(sidecar, "", content)


@dataclass(frozen=True)
class Line:
    """One line of a table of facts: of which files, by a pattern of their way from the table's folder, and what."""

    number: int
    pattern: str
    facts: Facts


def table(sidecar: Path) -> tuple[Line, ...]:
    """Read a table of facts, in the order in which lines stand: an earlier one stands before a later one."""
    return _table(sidecar, sidecar.stat().st_mtime_ns)


@lru_cache
def _table(sidecar: Path, changed_ns: int) -> tuple[Line, ...]:
    try:
        lines = sidecar.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ImportFactError(sidecar, "", f"not UTF-8: {error.reason}") from None
    head = lines[0] if lines else ""
    reader = csv.DictReader(lines, delimiter=";" if ";" in head else ",")
    if "file" not in (reader.fieldnames or []):
        raise ImportFactError(sidecar, "file", "the first line names the columns: file, and facts such as label, rpm, machine")
    found = []
    for number, row in enumerate(reader, start=2):
        said: dict[str, Any] = {
            key: (value or "").strip() for key, value in row.items() if key is not None and (value or "").strip()
        }
        if None in row:
            raise ImportFactError(sidecar, "", f"line {number} has more cells than the first line")
        pattern = said.pop("file", "")
        if not pattern:
            raise ImportFactError(sidecar, "file", f"line {number} names no file")
        for key in said:
            if key in _KINDS and _KINDS[key].startswith("float"):
                try:
                    said[key] = float(said[key])
                except ValueError:
                    raise ImportFactError(sidecar, key, f"line {number}: {said[key]!r} is not a number") from None
            elif key == "columns":
                said[key] = said[key].split()
        found.append(Line(number, pattern, _facts(sidecar, f"line {number}: ", said)))
    return tuple(found)


_KINDS: Final = {field.name: str(field.type) for field in dataclasses.fields(Facts)}


def _facts(sidecar: Path, where: str, content: dict[str, Any]) -> Facts:
    values: dict[str, Any] = {}
    for key, value in content.items():
        if key not in _KINDS:
            raise ImportFactError(sidecar, key, f"{where}no such key; there are {', '.join(_KINDS)}")
        values[key] = _typed(sidecar, key, _KINDS[key], value)
    facts = Facts(**values)
    check(facts, sidecar)
    return facts


def _typed(sidecar: Path, key: str, wanted: str, value: object) -> object:
    if wanted.startswith("float") and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if wanted.startswith("tuple") and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if wanted.startswith("str") and isinstance(value, str):
        return value
    kind = {"f": "a number", "t": "a list of texts", "s": "a text"}[wanted[0]]
    raise ImportFactError(sidecar, key, f"{value!r} is not {kind}")
