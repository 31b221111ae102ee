"""Vibration velocity and its severity zone, by the core's own code."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whir_contracts.contract import Foundation, MachineGroup, Zone, ZoneReason
from whir_node.condition import SensorInfo, as_samples, sensor_struct
from whir_node.errors import check
from whir_node.library import ffi, lib


@dataclass(frozen=True)
class Machine:
    """The machine that the sensor sits on; what nobody has said is 0, and there is no zone then.

    Attributes:
        power_w: rated power.
        calibrated: the sensor's unit is known to be right.
        rpm: nominal speed of the shaft, for models with order bands; NaN is not stated.
    """

    power_w: int = 0
    group: MachineGroup = MachineGroup.UNSET
    foundation: Foundation = Foundation.UNSET
    calibrated: bool = False
    rpm: float = math.nan

    @property
    def numbers(self) -> tuple[int, int, int, int]:
        """What its zones depend on, as the host port's structs have it."""
        return self.power_w, int(self.group), int(self.foundation), int(self.calibrated)

    @classmethod
    def stated(
        cls, power_kw: float | None, group: str | None, foundation: str | None, calibrated: bool, rpm: float = math.nan
    ) -> Machine:
        """From what a command line says; None and NaN are not stated.

        Raises:
            ValueError: no such group or foundation, no power or no speed.
        """
        kinds: dict[str, MachineGroup | Foundation] = {}
        for name, text, kind in (("group", group, MachineGroup), ("foundation", foundation, Foundation)):
            names = [member.name.lower() for member in kind if member]
            if text is not None and text not in names:
                raise ValueError(f"--{name} {text}: one of {', '.join(names)}")
            kinds[name] = kind.UNSET if text is None else kind[text.upper()]
        if power_kw is not None and not 0 < power_kw < 4_000_000:
            raise ValueError(f"--power-kw {power_kw}: not a rated power")
        if not (math.isnan(rpm) or 0 < rpm < 1_000_000):
            raise ValueError(f"--rpm {rpm}: not a speed of a shaft")
        return cls(
            power_w=round((power_kw or 0) * 1000),
            group=MachineGroup(kinds["group"]),
            foundation=Foundation(kinds["foundation"]),
            calibrated=calibrated,
            rpm=rpm,
        )


@dataclass(frozen=True, eq=False)
class Velocity:
    """RMS velocity over whole seconds: m_s float64 (seconds, channels), in m/s, from 10 Hz to band_hz."""

    m_s: NDArray[np.float64]
    band_hz: int


@dataclass(frozen=True)
class ZoneLimits:
    """Zone of a velocity, or why there is none; limits in m/s, 0 without a zone."""

    zone: Zone
    reason: ZoneReason
    ab: float
    bc: float
    cd: float
    change: float


def velocity(sensor: SensorInfo, samples: NDArray[np.int16]) -> Velocity:
    """Velocity RMS of each whole second of one stream, from the sensor's own samples.

    Args:
        samples: int16 counts, (n, sensor.channels). The first 0.75 s go into the filters.

    Raises:
        SensorError: no acceleration, or under 625 samples a second.
    """
    source = as_samples(samples, sensor.channels)
    most = int(len(source) / sensor.rate_hz) + 1
    out = np.empty((most, sensor.channels), np.uint32)
    band: Any = ffi.new("uint32_t *")
    code = lib.host_velocity(
        sensor_struct(sensor), ffi.from_buffer("int16_t[]", source.data), len(source),
        ffi.from_buffer("uint32_t[]", out.data), most, band,
    )  # fmt: skip
    made = check(code, f"sensor {sensor.name}")
    return Velocity(out[:made] / 1e6, int(band[0]))


def zone(machine: Machine, sensor: SensorInfo, band_hz: int, m_s: float) -> ZoneLimits:
    """The severity zone of a velocity, by contracts/zones.toml, or the reason why there is none."""
    told: Any = ffi.new("host_machine_t *", machine.numbers)
    found, limits = ffi.new("uint8_t *"), ffi.new("uint32_t[4]")
    reason = lib.host_zone(told, sensor_struct(sensor), band_hz, round(m_s * 1e6), found, limits)
    return ZoneLimits(Zone(found[0]), ZoneReason(reason), *(value / 1e6 for value in limits))
