"""Our own format: the counts are kept as they are."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

from whir_contracts import recording
from whir_contracts.recording import Recording
from whir_ml.importers.errors import ImportFactError
from whir_ml.importers.facts import Facts
from whir_ml.importers.foreign import Adapter, Foreign


def read(path: Path, facts: Facts) -> Foreign:
    """Read a recording with all its checks; a recording keeps its channels."""
    rec = recording.load(path)
    if facts.columns is not None and facts.columns != rec.channels:
        raise ImportFactError(path, "columns", f"a recording is taken over whole; it has {', '.join(rec.channels)}")
    return of(rec)


def of(rec: Recording) -> Foreign:
    """A recording as what adapters hand over."""
    says = Facts(
        label=rec.label,
        sublabel=rec.sublabel,
        unit=rec.unit,
        rate_hz=rec.rate_hz,
        rpm=None if math.isnan(rec.rpm) else rec.rpm,
        load=rec.load or None,
        condition=rec.condition or None,
        machine=rec.machine or None,
        sensor=rec.sensor_name or None,
        mounting=rec.mounting or None,
        bearing=rec.bearing or None,
        full_scale=None if math.isnan(rec.full_scale) else rec.full_scale,
    )
    return Foreign(rec.physical(), rec.channels, says, stated=("rate_hz", "unit"), kept=rec)


ADAPTER: Final = Adapter(
    name="npz",
    about="npz in the recording format",
    suffixes=(".npz",),
    looks=lambda path: path.suffix.lower() == ".npz",
    read=read,
)
