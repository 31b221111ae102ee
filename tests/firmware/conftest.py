"""Parameters that the signal path's tests start from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rig import Rig, bundle

from whir_contracts.contract import FeatureKind, Level, Unit
from whir_contracts.params import FeatureParams

BASE: dict[str, Any] = {
    "rate_hz": 1000,
    "bandwidth_hz": 400,
    "range_mg": 2000,
    "noise_ug_rthz_max": 1000,
    "channels": 3,
    "axes": 0b111,
    "unit": Unit.G,
    "lsb_nano": 61_035,
    "window_samples": 256,
    "hop_samples": 128,
    "verdict_windows": 8,
    "kind": FeatureKind.BANDS,
    "level": Level.ABSOLUTE,
    "stats": 0b1111,
    "band_edges_bins": tuple(range(0, 129, 4)),
}


@pytest.fixture(scope="session")
def make_params() -> Callable[..., FeatureParams]:
    """Feature parameters: 32 bands and four statistics of three axes at 1 kHz, but for what is given."""

    def make(**changes: Any) -> FeatureParams:
        return FeatureParams(**{**BASE, **changes})

    return make


@pytest.fixture
def rig() -> Rig:
    """A connected node with the rig's model."""
    return Rig(bundle()).connect()
