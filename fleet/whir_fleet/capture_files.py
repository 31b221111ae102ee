"""A capture as a file for other programs: CSV, WAV, and the Universal File Format's data set 58."""

from __future__ import annotations

import io
import tempfile
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import pyuff

from whir_fleet.captures import counts, values
from whir_fleet.models import Capture

AXES: Final = "xyz"
_ACCELERATION, _UNKNOWN = 12, 0  # UFF's codes of what is measured
_MPS2: Final = {"g": 9.80665, "mps2": 1.0}


def to_csv(capture: Capture) -> bytes:
    """Seconds from the trigger on, and each axis in the capture's unit."""
    found = values(capture)
    time_s = (np.arange(len(found)) - capture.pre) * (1000 / capture.rate_mhz)
    out = io.StringIO()
    names = [f"{axis}_{capture.unit}" for axis in AXES[: capture.channels]]
    np.savetxt(out, np.column_stack([time_s, found]), "%.9g", ",", header=",".join(["time_s", *names]), comments="")
    return out.getvalue().encode()


def to_wav(capture: Capture) -> bytes:
    """The sensor's counts, 16 bits, a channel for each axis; the rate in whole hertz, the scale as the capture's `lsb`."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(capture.channels)
        file.setsampwidth(2)
        file.setframerate(max(1, round(capture.rate_mhz / 1000)))
        file.writeframes(counts(capture).astype("<i2").tobytes())
    return out.getvalue()


def to_uff(capture: Capture) -> bytes:
    """A data set 58 for each axis: acceleration in m/s2, or volts."""
    factor = _MPS2.get(capture.unit, 1.0)
    found, period_s = values(capture) * factor, 1000 / capture.rate_mhz
    time_s = (np.arange(len(found)) - capture.pre) * period_s
    acceleration = capture.unit in _MPS2
    sets = [
        pyuff.prepare_58(
            binary=0,
            func_type=1,
            rsp_node=1,
            rsp_dir=axis + 1,
            ref_node=1,
            ref_dir=1,
            data=found[:, axis],
            x=time_s,
            id1=f"capture {capture.id}, axis {AXES[axis]}",
            id2=f"{capture.machine} {capture.point or ''}".strip()[:80],
            abscissa_spec_data_type=17,
            ordinate_spec_data_type=_ACCELERATION if acceleration else _UNKNOWN,
            orddenom_spec_data_type=_UNKNOWN,
            z_axis_spec_data_type=_UNKNOWN,
            ordinate_axis_units_lab="m/s2" if acceleration else "V",
            ord_data_type=4,
            num_pts=len(found),
            abscissa_spacing=1,
            abscissa_min=time_s[0],
            abscissa_inc=period_s,
        )
        for axis in range(capture.channels)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "capture.uff"
        pyuff.UFF(str(path)).write_sets(sets, mode="overwrite")
        return path.read_bytes()


# format → how it is made, its media type
FORMATS: Final[dict[str, tuple[Callable[[Capture], bytes], str]]] = {
    "csv": (to_csv, "text/csv"),
    "wav": (to_wav, "audio/wav"),
    "uff": (to_uff, "application/octet-stream"),
}
