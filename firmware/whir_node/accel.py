"""Accelerometers that firmware/sensors has drivers for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from whir_node.condition import SensorInfo
from whir_node.library import ffi, lib


@dataclass(frozen=True)
class Accelerometer:
    """A part at its fastest rate and largest range.

    Args:
        info: what the core is told of it.
        fifo_samples: what its FIFO holds.
        watermark: at how many samples it interrupts.
    """

    info: SensorInfo
    fifo_samples: int
    watermark: int

    @property
    def fifo_ms(self) -> float:
        """From empty to lost samples."""
        return self.fifo_samples / self.info.rate_hz * 1000

    def outlives(self, erase_ms: float) -> bool:
        """Nothing is lost when nobody reads it for so long, beginning at the watermark."""
        return erase_ms <= (self.fifo_samples - self.watermark) / self.info.rate_hz * 1000


def accelerometers() -> list[Accelerometer]:
    """All parts, by name."""
    found: list[Accelerometer] = []
    name: Any
    text: Any
    values = ffi.new("uint32_t[7]")
    while (name := lib.host_accel_part(len(found))) != ffi.NULL:
        lib.host_accel_fastest(len(found), values)
        rate_mhz, bandwidth_hz, range_mg, noise, lsb_nano, fifo, watermark = values
        text = ffi.string(name)
        info = SensorInfo(
            name=text.decode(),
            rate_hz=rate_mhz / 1000,
            bandwidth_hz=bandwidth_hz,
            range_milli=range_mg,
            noise_ug_rthz=noise,
            lsb_nano=lsb_nano,
            unit=1,
            channels=3,
        )
        found.append(Accelerometer(info, fifo, watermark))
    return found
