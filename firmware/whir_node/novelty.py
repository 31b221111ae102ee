"""A machine's baseline and the distance from it, by the core's own code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whir_node.errors import check
from whir_node.library import ffi, lib

ENTRY_BYTES = 4


@dataclass(frozen=True)
class Baseline:
    """Frozen mean and spread of `count` features, as a node keeps them on flash; limit_q8: the distance that is novel."""

    entries: bytes
    limit_q8: int

    @property
    def count(self) -> int:
        return len(self.entries) // ENTRY_BYTES

    def distance(self, features: NDArray[np.int32]) -> NDArray[np.float64]:
        """Distance of each window in spreads, (n,), from int32 features (n, count)."""
        source = _as_features(features)
        if source.shape[1] != self.count:
            raise ValueError(f"features: {source.shape[1]} a window, the baseline has {self.count}")
        out = np.empty(len(source), np.uint16)
        lib.host_novelty_distance(
            self.entries, ffi.from_buffer("int32_t[]", source.data), len(source), self.count,
            ffi.from_buffer("uint16_t[]", out.data),
        )  # fmt: skip
        return out / 256

    def permille(self, features: NDArray[np.int32]) -> NDArray[np.float64]:
        """The same as permille of the distance that is novel."""
        return self.distance(features) * 256_000 / self.limit_q8


def learn(features: NDArray[np.int32]) -> Baseline:
    """The baseline that a node learns from these windows of the healthy machine, in this order: three quarters give mean and
    spread, the last quarter the limit.

    Args:
        features: int32 (n, count) of kind `bands`.

    Raises:
        CoreError: fewer than NOVELTY_WINDOWS_MIN windows.
    """
    source = _as_features(features)
    entries, limit = bytearray(source.shape[1] * ENTRY_BYTES), ffi.new("uint16_t *")
    code = lib.host_novelty_learn(
        ffi.from_buffer("int32_t[]", source.data), len(source), source.shape[1], ffi.from_buffer("uint8_t[]", entries), limit
    )
    check(code, "learning a baseline")
    return Baseline(bytes(entries), int(limit[0]))


def _as_features(features: NDArray[Any]) -> NDArray[np.int32]:
    if features.dtype != np.int32 or features.ndim != 2:
        raise ValueError(f"features: int32 (n, count) is needed, got {features.dtype} {features.shape}")
    return np.ascontiguousarray(features)
