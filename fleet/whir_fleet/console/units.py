"""Units a viewer can choose. Telemetry and alerts keep the contract's: thousandths of the sensor's unit, 1e-6 m/s."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

COOKIE = "whir_units"
_G: Final = 9.80665


@dataclass(frozen=True, slots=True)
class Units:
    """`velocity` per 1e-6 m/s, `acceleration` per g."""

    key: str
    velocity_unit: str
    velocity_factor: float
    velocity_digits: int
    acceleration_unit: str
    acceleration_factor: float
    acceleration_digits: int

    @property
    def label(self) -> str:
        return f"{self.velocity_unit}, {self.acceleration_unit}"

    def velocity(self, um_s: int | None) -> str | None:
        return None if um_s is None else f"{um_s * self.velocity_factor:.{self.velocity_digits}f} {self.velocity_unit}"

    def rms(self, thousandths: int | None, unit: str | None) -> str | None:
        """AC RMS of the sensor; volts of a bare sensor stay volts."""
        if thousandths is None:
            return None
        if unit == "volt":
            return f"{thousandths / 1000:.3f} V"
        return f"{self.acceleration(thousandths, unit):.{self.acceleration_digits}f} {self.acceleration_unit}"

    def acceleration(self, thousandths: float, unit: str | None) -> float:
        return thousandths / 1000 / (_G if unit == "mps2" else 1.0) * self.acceleration_factor


_ALL: Final = (
    Units("mm", "mm/s", 1e-3, 2, "g", 1.0, 3),
    Units("mm-si", "mm/s", 1e-3, 2, "m/s²", _G, 2),
    Units("inch", "in/s", 1e-3 / 25.4, 3, "g", 1.0, 3),
)
CHOICES: Final = {units.key: units for units in _ALL}
DEFAULT: Final = _ALL[0]


def chosen(cookie: str | None) -> Units:
    return CHOICES.get(cookie or "", DEFAULT)
