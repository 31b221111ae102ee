"""Features of windows, by the core's own code."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whir_contracts.params import FeatureParams
from whir_node.errors import check
from whir_node.library import ffi, lib


def as_windows(params: FeatureParams, windows: NDArray[Any]) -> NDArray[np.int16]:
    """Windows as the core reads them: int16, contiguous, (n, window_samples, channels).

    Raises:
        TypeError: not int16.
        ValueError: another shape.
    """
    if windows.dtype != np.int16:
        raise TypeError(f"windows: int16 counts are needed, got {windows.dtype}")
    shape = (params.window_samples, params.channels)
    if windows.ndim != 3 or windows.shape[1:] != shape:
        raise ValueError(f"windows: shape (n, {shape[0]}, {shape[1]}) is needed, got {windows.shape}")
    return np.ascontiguousarray(windows)


def shaft_mhz(rpm: float) -> int:
    """The shaft's speed as the core reads it, 1e-3 turns a second; 0 for one that nobody knows (NaN)."""
    return 0 if math.isnan(rpm) else round(rpm * 1000 / 60)


def extract(params: FeatureParams, windows: NDArray[np.int16], rpm: float | Sequence[float] = math.nan) -> NDArray[np.int32]:
    """Features of each window in fixed point, before scaling (formulas and units: docs/SPEC.md).

    Args:
        windows: int16 counts, (n, window_samples, channels).
        rpm: speed of the shaft, of all windows or of each; only order bands ask for it.

    Returns:
        int32, (n, feature_count).

    Raises:
        FeaturesError: parameters that this build of the core does not support, or order bands at a speed for which they are
            not defined.
    """
    source = as_windows(params, windows)
    speeds = np.array([shaft_mhz(one) for one in np.broadcast_to(rpm, len(source))], np.uint32)
    out = np.empty((len(source), params.feature_count), np.int32)
    tlv = params.to_tlv()
    code = lib.host_features_extract(
        tlv, len(tlv), ffi.from_buffer("int16_t[]", source.data), ffi.from_buffer("uint32_t[]", speeds.data), len(source),
        ffi.from_buffer("int32_t[]", out.data),
    )  # fmt: skip
    check(code, f"features at {rpm} r/min" if params.by_order else "features")
    return out


def quantize(params: FeatureParams, features: NDArray[np.int32]) -> NDArray[np.int8]:
    """Features as the model's int8 input: clamp8(((feature - offset) * gain_q16 + 2^15) >> 16).

    Args:
        features: int32, (n, feature_count), from `extract`.

    Returns:
        int8, (n, feature_count).

    Raises:
        FeaturesError: the scaler is missing.
    """
    if features.dtype != np.int32:
        raise TypeError(f"features: int32 is needed, got {features.dtype}")
    if features.ndim != 2 or features.shape[1] != params.feature_count:
        raise ValueError(f"features: shape (n, {params.feature_count}) is needed, got {features.shape}")
    source = np.ascontiguousarray(features)
    out = np.empty(source.shape, np.int8)
    tlv = params.to_tlv()
    code = lib.host_features_quantize(
        tlv, len(tlv), ffi.from_buffer("int32_t[]", source.data), len(source), ffi.from_buffer("int8_t[]", out.data)
    )
    check(code, "scaler (offset, gain_q16)")
    return out


def rms(params: FeatureParams, windows: NDArray[np.int16]) -> NDArray[np.uint32]:
    """AC RMS over all axes of each window, in counts.

    Args:
        windows: int16 counts, (n, window_samples, channels).

    Returns:
        uint32, (n,).
    """
    source = as_windows(params, windows)
    out = np.empty(len(source), np.uint32)
    tlv = params.to_tlv()
    code = lib.host_features_rms(
        tlv, len(tlv), ffi.from_buffer("int16_t[]", source.data), len(source), ffi.from_buffer("uint32_t[]", out.data)
    )
    check(code, "features")
    return out
