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


def as_samples(samples: NDArray[Any], channels: int) -> NDArray[np.int16]:
    """Samples as the core reads them: int16, contiguous, (n, channels).

    Raises:
        TypeError: not int16.
        ValueError: another shape.
    """
    if samples.dtype != np.int16:
        raise TypeError(f"samples: int16 counts are needed, got {samples.dtype}")
    if samples.ndim != 2 or samples.shape[1] != channels:
        raise ValueError(f"samples: shape (n, {channels}) is needed, got {samples.shape}")
    return np.ascontiguousarray(samples)


def sensor_struct(sensor: SensorInfo) -> Any:
    """The sensor's facts as host_sensor_t."""
    return ffi.new(
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
    return condition_with_marks(params, sensor, samples)[0]


def condition_with_marks(
    params: FeatureParams, sensor: SensorInfo, samples: NDArray[np.int16]
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """As `condition`, with a mark per output sample, uint8 (m,): Quality.CLIPPED where it rests on clipped input, else 0."""
    source = as_samples(samples, sensor.channels)
    out = np.empty((len(source), params.channels), np.int16)
    marks = np.empty(len(source), np.uint8)
    tlv = params.to_tlv()
    code = lib.host_condition(
        tlv,
        len(tlv),
        sensor_struct(sensor),
        ffi.from_buffer("int16_t[]", source.data),
        len(source),
        ffi.from_buffer("int16_t[]", out.data),
        ffi.from_buffer("uint8_t[]", marks.data),
    )
    made = check(code, f"sensor {sensor.name}")
    return out[:made].copy(), marks[:made].copy()


def windows(params: FeatureParams, samples: NDArray[np.int16], hop: int | None = None) -> NDArray[np.int16]:
    """Windows of conditioned samples.

    Args:
        samples: int16 counts, (n, params.channels).
        hop: samples between the starts of two windows; None = params.hop_samples.

    Returns:
        int16, (k, window_samples, channels).
    """
    return windows_with_quality(params, samples, hop)[0]


def windows_with_quality(
    params: FeatureParams, samples: NDArray[np.int16], hop: int | None = None, marks: NDArray[np.uint8] | None = None
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """As `windows`, with the quality bits of each (whir_contracts.contract.Quality), uint8 (k,).

    Args:
        marks: uint8 (n,), per sample: Quality.CLIPPED as `condition_with_marks` gives it, Quality.GAP where samples were lost
            before it; None = none.
    """
    step = params.hop_samples if hop is None else hop
    if step < 1:
        raise ValueError(f"hop: {hop} is not positive")
    source = as_samples(samples, params.channels)
    told = np.zeros(len(source), np.uint8) if marks is None else np.ascontiguousarray(marks)
    if told.dtype != np.uint8 or told.shape != (len(source),):
        raise ValueError(f"marks: uint8 ({len(source)},) is needed, got {told.dtype} {told.shape}")
    # a gap makes the next window due at once, however long the hop
    most = max(0, (len(source) - params.window_samples) // min(step, params.window_samples) + 1)
    out = np.empty((most, params.window_samples, params.channels), np.int16)
    quality = np.empty(most, np.uint8)
    tlv = params.to_tlv()
    code = lib.host_windows(
        tlv,
        len(tlv),
        step,
        ffi.from_buffer("int16_t[]", source.data),
        ffi.from_buffer("uint8_t[]", told.data),
        len(source),
        ffi.from_buffer("int16_t[]", out.data),
        ffi.from_buffer("uint8_t[]", quality.data),
        most,
    )
    made = check(code, "windows")
    return out[:made], quality[:made]
