"""Golden vectors: what a node runs on a new model before it commits to it (layout: contracts/bundle.toml).

Tensors prove the engine: several windows per class, and inputs that saturate. Windows prove the whole way: samples, features
and permille, one window per class.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whir_contracts.params import FeatureParams
from whir_ml.errors import ExportError
from whir_node.features import extract, quantize, shaft_mhz

TENSORS_PER_CLASS = 4


def saturating(input_bytes: int) -> NDArray[np.int8]:
    """Inputs at the ends of int8 (4, in): all low, all high, and both alternations."""
    alternating = np.where(np.arange(input_bytes) % 2 == 0, -128, 127).astype(np.int8)
    low, high = np.full(input_bytes, -128, np.int8), np.full(input_bytes, 127, np.int8)
    return np.stack([low, high, alternating, ~alternating])


def tensors(inputs: NDArray[np.int8], outputs: NDArray[np.int8]) -> bytes:
    """Part golden_tensors of inputs (n, in) and the outputs (n, out) that every engine must give."""
    head = struct.pack("<IHH", len(inputs), inputs.shape[1], outputs.shape[1])
    return head + b"".join(i.tobytes() + o.tobytes() for i, o in zip(inputs, outputs, strict=True))


def read_tensors(part: bytes) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Inputs (n, in) and outputs (n, out) of a part golden_tensors."""
    count, wide, narrow = struct.unpack_from("<IHH", part)
    rows = np.frombuffer(part, np.int8, count * (wide + narrow), 8).reshape(count, wide + narrow)
    return rows[:, :wide].copy(), rows[:, wide:].copy()


def windows(
    params: FeatureParams, raw: NDArray[np.int16], permille: NDArray[np.int64], rpm: Sequence[float] | None = None
) -> bytes:
    """Part golden_windows of raw windows (n, samples, channels) and the permille (n, classes) that a node must arrive at. Order
    bands ask for the speed of the shaft in each."""
    speeds = [math.nan] * len(raw) if rpm is None else rpm
    inputs = quantize(params, extract(params, raw, speeds))
    told = [struct.pack("<I", shaft_mhz(one)) if params.by_order else b"" for one in speeds]
    head = struct.pack("<IIHH", len(raw), raw[0].size * 2, inputs.shape[1], permille.shape[1])
    rows = zip(raw, told, inputs, permille, strict=True)
    return head + b"".join(w.astype("<i2").tobytes() + s + i.tobytes() + p.astype("<u2").tobytes() for w, s, i, p in rows)


def choose(target: NDArray[np.int64], permille: NDArray[np.int64], classes: Sequence[str], per_class: int) -> NDArray[Any]:
    """Indices of windows, `per_class` of each class: spread over those that the model gets right, else over all."""
    chosen: list[NDArray[Any]] = []
    for number, name in enumerate(classes):
        own = np.flatnonzero(target == number)
        right = own[permille[own].argmax(axis=1) == number]
        pool = right if len(right) >= per_class else own
        if len(pool) == 0:
            raise ExportError(f"no window of class {name} for the golden vectors")
        chosen.append(pool[np.linspace(0, len(pool) - 1, min(per_class, len(pool))).astype(int)])
    return np.concatenate(chosen)
