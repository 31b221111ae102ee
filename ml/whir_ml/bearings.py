"""Geometry of real ball bearings and the orders (cycles per shaft revolution) at which their defects strike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Bearing:
    """Ball count, ball and pitch diameter in mm, contact angle in degrees, and where the figures come from."""

    name: str
    balls: int
    ball_mm: float
    pitch_mm: float
    angle_deg: float
    source: str

    @property
    def _ratio(self) -> float:
        return self.ball_mm / self.pitch_mm * math.cos(math.radians(self.angle_deg))

    @property
    def ftf(self) -> float:
        """Fundamental train frequency: the cage."""
        return 0.5 * (1 - self._ratio)

    @property
    def bpfo(self) -> float:
        """Ball pass frequency, outer race."""
        return self.balls * self.ftf

    @property
    def bpfi(self) -> float:
        """Ball pass frequency, inner race."""
        return 0.5 * self.balls * (1 + self._ratio)

    @property
    def bsf(self) -> float:
        """Ball spin frequency; a spot on a ball strikes twice per spin, once on each race."""
        return 0.5 * self.pitch_mm / self.ball_mm * (1 - self._ratio**2)


def lines(bearing: Bearing) -> tuple[float, ...]:
    """Orders at which a damaged bearing's envelope has its lines, ascending: the shaft; the cage; the outer race to the third
    harmonic; the inner race to the second, with the shaft's side lines; balls (two strikes a spin) with the cage's, and twice.
    """
    inner = (n * bearing.bpfi + side for n in (1, 2) for side in (-1, 0, 1))
    balls = (2 * bearing.bsf + side * bearing.ftf for side in (-1, 0, 1))
    outer = (n * bearing.bpfo for n in (1, 2, 3))
    return tuple(sorted((1.0, bearing.ftf, *outer, *inner, *balls, 4 * bearing.bsf)))


def lines_q8(bearing: Bearing) -> tuple[int, ...]:
    """The same as a config's `order_lines_q8`, without those that fall together.

    Example: python -c "from whir_ml.bearings import *; print(lines_q8(BEARINGS['6205']))"
    """
    return tuple(sorted({round(256 * order) for order in lines(bearing)}))


_RIG = "as published with the {} data"
_NOMINAL = "pitch = mean of bore and outer diameter (ISO 15); ball size and count usual in makers' catalogues"

BEARINGS: Final[dict[str, Bearing]] = {
    bearing.name: bearing
    for bearing in (
        Bearing("6203", 8, 6.746, 28.499, 0.0, _RIG.format("Case Western Reserve University (6203-2RS, fan end)")),
        Bearing("6204", 8, 7.938, 33.5, 0.0, _NOMINAL),
        Bearing("6205", 9, 7.940, 39.040, 0.0, _RIG.format("Case Western Reserve University (6205-2RS, drive end)")),
        Bearing("6206", 9, 9.525, 46.0, 0.0, _NOMINAL),
        Bearing("6208", 9, 11.906, 60.0, 0.0, _NOMINAL),
        Bearing("6305", 7, 11.509, 43.5, 0.0, _NOMINAL),
        Bearing("6306", 8, 12.303, 51.0, 0.0, _NOMINAL),
        Bearing("ER-16K", 9, 7.9375, 38.50, 0.0, _RIG.format("SpectraQuest fault simulator, Curtin University")),
        Bearing("UER204", 8, 7.92, 34.55, 0.0, _RIG.format("XJTU-SY run-to-failure")),
        Bearing("NICE", 8, 5.969, 31.623, 0.0, _RIG.format("MFPT society")),
    )
}
