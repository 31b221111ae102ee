"""The shaft's speed from its own harmonics, by the core's code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whir_node.condition import SensorInfo, as_samples, sensor_struct
from whir_node.errors import check
from whir_node.library import ffi, lib

SURE = 0.2  # WHIR_SPEED_SURE_PERMILLE: with less a node has no speed


@dataclass(frozen=True)
class Speed:
    """`confidence` 0 to 1: how far the best speed is ahead of the next."""

    rpm: float
    confidence: float

    @property
    def sure(self) -> bool:
        return self.confidence >= SURE


def speeds(sensor: SensorInfo, samples: NDArray[np.int16]) -> list[Speed]:
    """What a node makes of one stream, every half second from the first whole second on, each of all that it heard before.

    Args:
        samples: int16 counts, (n, sensor.channels).

    Raises:
        SensorError: fewer than 1000 samples a second.
    """
    source = as_samples(samples, sensor.channels)
    most = 2 * int(len(source) / sensor.rate_hz) + 1
    mhz, permille = np.empty(most, np.uint32), np.empty(most, np.uint16)
    code = lib.host_speed(
        sensor_struct(sensor), ffi.from_buffer("int16_t[]", source.data), len(source),
        ffi.from_buffer("uint32_t[]", mhz.data), ffi.from_buffer("uint16_t[]", permille.data), most,
    )  # fmt: skip
    made = check(code, f"sensor {sensor.name}")
    return [Speed(float(a) * 0.06, float(b) / 1000) for a, b in zip(mhz[:made], permille[:made], strict=True)]
