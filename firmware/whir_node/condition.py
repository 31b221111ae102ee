"""From a sensor's samples to a model's windows, by the core's own code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whir_contracts.params import FeatureParams
from whir_node.errors import check
from whir_node.library import ffi, lib


@dataclass(frozen=True)
class SensorInfo:
    """What the core knows of a sensor.

    Args:
        name: e.g. `lsm6dsox` or `replay`.
        rate_hz: measured output rate; kept to a thousandth of a hertz.
        bandwidth_hz: -3 dB.
        range_milli: full scale, thousandths of `unit`.
        noise_ug_rthz: noise density, millionths of `unit` per root hertz.
        lsb_nano: one count, in 1e-9 `unit`.
        unit: whir_contracts.contract.Unit.
        channels: 1 to 3.
    """

    name: str
    rate_hz: float
    bandwidth_hz: int
    range_milli: int
    noise_ug_rthz: int
    lsb_nano: int
    unit: int
    channels: int

    @property
    def rate_mhz(self) -> int:
        """The rate in thousandths of a hertz, as the core counts."""
        return round(self.rate_hz * 1000)


def _as_samples(samples: NDArray[Any], channels: int) -> NDArray[np.int16]:
    if samples.dtype != np.int16:
        raise TypeError(f"samples: int16 counts are needed, got {samples.dtype}")
    if samples.ndim != 2 or samples.shape[1] != channels:
        raise ValueError(f"samples: shape (n, {channels}) is needed, got {samples.shape}")
    return np.ascontiguousarray(samples)


def condition(params: FeatureParams, sensor: SensorInfo, samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """One recording at the sensor's rate and counts, brought to the parameters' rate, axes, unit and counts.

    The filters' start is left out, so that every output sample rests on real input alone.

    Args:
        samples: int16 counts, (n, sensor.channels).

    Returns:
        int16 counts of params.lsb_nano, (m, params.channels).

    Raises:
        SensorError: the sensor hears less than the parameters ask for.
        FeaturesError: the rates are too far apart, or the parameters are not supported.
    """
    source = _as_samples(samples, sensor.channels)
    out = np.empty((len(source) + 1, params.channels), np.int16)
    tlv = params.to_tlv()
    info = ffi.new(
        "host_sensor_t *",
        {
            "rate_mhz": sensor.rate_mhz,
            "bandwidth_hz": int(sensor.bandwidth_hz),
            "range_milli": int(sensor.range_milli),
            "noise_ug_rthz": int(sensor.noise_ug_rthz),
            "lsb_nano": int(sensor.lsb_nano),
            "unit": int(sensor.unit),
            "channels": int(sensor.channels),
        },
    )
    clipped = ffi.new("uint32_t *")
    made = lib.host_condition(
        tlv,
        len(tlv),
        info,
        ffi.from_buffer("int16_t[]", source.data),
        len(source),
        ffi.from_buffer("int16_t[]", out.data),
        clipped,
    )
    return out[: check(made, f"sensor {sensor.name}")].copy()


def windows_with_quality(
    params: FeatureParams, samples: NDArray[np.int16], hop: int | None = None
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """Windows as `windows` gives them, with the quality bits of each (whir_contracts.contract.Quality), uint8 (k,)."""
    if hop is not None and hop < 1:
        raise ValueError(f"hop: {hop} is not positive")
    step = params.hop_samples if hop is None else hop
    source = _as_samples(samples, params.channels)
    most = max(0, (len(source) - params.window_samples) // step + 1)
    out = np.empty((most, params.window_samples, params.channels), np.int16)
    quality = np.empty(most, np.uint8)
    tlv = params.to_tlv()
    made = lib.host_windows(
        tlv,
        len(tlv),
        step,
        ffi.from_buffer("int16_t[]", source.data),
        len(source),
        ffi.from_buffer("int16_t[]", out.data),
        ffi.from_buffer("uint8_t[]", quality.data),
        most,
    )
    made = check(made, "windows")
    return out[:made], quality[:made]


def windows(params: FeatureParams, samples: NDArray[np.int16], hop: int | None = None) -> NDArray[np.int16]:
    """Windows of conditioned samples.

    Args:
        samples: int16 counts, (n, params.channels).
        hop: samples between the starts of two windows; None = params.hop_samples.

    Returns:
        int16, (k, window_samples, channels).
    """
    return windows_with_quality(params, samples, hop)[0]
