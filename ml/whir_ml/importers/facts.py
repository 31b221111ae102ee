"""What a foreign file does not say of itself: given once, by options or in a TOML beside the data, and kept.

`pump.csv` is described by `pump.csv.toml`, a folder and all below it by `whir.toml`. The nearest says it: options before the
file's own TOML, before its folder's, before the folder above, up to the folder that is imported; before what the layout knows.
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from whir_contracts.recording import UNITS
from whir_ml.importers.errors import ImportFactError

FOLDER_SIDECAR: Final = "whir.toml"
TIME_UNITS: Final = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


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
    if facts.unit is not None and facts.unit not in UNITS:
        raise ImportFactError(source, "unit", f"{facts.unit!r} is not one of {', '.join(UNITS)}")
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
    folders = [folder for folder in path.parents if folder == root or root in folder.parents] or [path.parent]
    for sidecar in (own, *(folder / FOLDER_SIDECAR for folder in folders)):
        if sidecar.is_file():
            facts = facts.over(load(sidecar))
    return facts


def load(sidecar: Path) -> Facts:
    """Read one sidecar; its keys are the fields of `Facts`."""
    try:
        table = tomllib.loads(sidecar.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ImportFactError(sidecar, "", f"not TOML: {error}") from None
    known = {field.name: str(field.type) for field in dataclasses.fields(Facts)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            raise ImportFactError(sidecar, key, f"no such key; there are {', '.join(known)}")
        values[key] = _typed(sidecar, key, known[key], value)
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
