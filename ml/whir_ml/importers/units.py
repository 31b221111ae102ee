"""How units of vibration are written, and what they are in the units of a recording."""

from __future__ import annotations

from typing import Final

# Written, in lower case: unit of a recording, factor. In tables g is gravity, not the gram.
UNITS_WRITTEN: Final[dict[str, tuple[str, float]]] = {
    **dict.fromkeys(("g", "g's", "gs", "g_n", "gn"), ("g", 1.0)),
    "mg": ("g", 1e-3),
    **dict.fromkeys(("m/s^2", "m/s2", "m/s²", "m/s/s", "m/s**2", "ms-2", "m s^-2", "m/sec^2", "m/sec2"), ("m/s^2", 1.0)),
    **dict.fromkeys(("mm/s^2", "mm/s2", "mm/s²"), ("m/s^2", 1e-3)),
    **dict.fromkeys(("v", "volt", "volts"), ("V", 1.0)),
    "mv": ("V", 1e-3),
}
