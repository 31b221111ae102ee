"""Feature parameters: how samples become a model's input.

One object travels from training to the node: `FeatureParams` is written into the bundle's manifest as TLV bytes, and
`features_hash` is the SHA-256 of exactly those bytes. Limits and tags come from contracts/features.toml.
"""

from __future__ import annotations

import hashlib
import itertools
import struct
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from whir_contracts.contract import FEATURE_BANDS_PER_AXIS_MAX, FEATURE_EXTRACTOR_VERSION, PARAMS, FeatureKind

_FORMATS = {"u8": "B", "u16": "H", "u32": "I", "i32": "i"}
_TLV = struct.Struct("<HH")


class ParamsError(ValueError):
    """A parameter is missing, outside its limits, or does not fit the others; `field` names it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field


@dataclass(frozen=True, kw_only=True)
class FeatureParams:
    """One field per [[param]] of contracts/features.toml; units and limits stand there.

    `offset` and `gain_q16` may be empty while a scaler is not fitted yet: features can then be extracted, not quantized.

    Raises:
        ParamsError: a value outside its limits, or values that do not fit together.
    """

    extractor_version: int = FEATURE_EXTRACTOR_VERSION
    rate_hz: int
    bandwidth_hz: int
    range_mg: int
    noise_ug_rthz_max: int
    channels: int
    axes: int
    unit: int
    lsb_nano: int
    envelope_axes: int = 0
    envelope_low_hz: int = 0
    envelope_high_hz: int = 0
    across_axes: int = 0
    window_samples: int
    hop_samples: int
    verdict_windows: int
    kind: int
    level: int
    stats: int
    band_edges_bins: tuple[int, ...] = ()
    order_edges_q8: tuple[int, ...] = ()
    order_lines_q8: tuple[int, ...] = ()
    offset: tuple[int, ...] = ()
    gain_q16: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name, spec in PARAMS.items():
            value = getattr(self, name)
            if spec["type"].endswith("[]"):
                values = tuple(int(v) for v in value)
                object.__setattr__(self, name, values)
            else:
                object.__setattr__(self, name, int(value))
                values = (int(value),) if value or not spec.get("optional") else ()
            for v in values:
                if not spec["min"] <= v <= spec["max"]:
                    raise ParamsError(name, f"{v} is outside {spec['min']} .. {spec['max']}")
        self._check_fit()

    def _check_fit(self) -> None:
        """What one limit cannot say; the core's whir_params_parse checks the same."""
        if self.axes.bit_count() != self.channels:
            raise ParamsError(
                "axes", f"the mask {self.axes:#05b} has {self.axes.bit_count()} axes, channels says {self.channels}"
            )
        self._check_envelope()
        if self.window_samples.bit_count() != 1:
            raise ParamsError("window_samples", f"{self.window_samples} is not a power of two")
        edges = self.band_edges_bins
        if self.kind == FeatureKind.RAW:
            for name in ("band_edges_bins", "order_edges_q8", "order_lines_q8"):
                if getattr(self, name):
                    raise ParamsError(name, "must be empty for kind raw")
            for name in ("stats", "across_axes"):
                if getattr(self, name):
                    raise ParamsError(name, "must be 0 for kind raw")
        else:
            if not 2 <= len(edges) <= FEATURE_BANDS_PER_AXIS_MAX + 1:
                raise ParamsError("band_edges_bins", f"{len(edges)} edges, needs 2 .. {FEATURE_BANDS_PER_AXIS_MAX + 1}")
            for name in ("band_edges_bins", "order_edges_q8", "order_lines_q8"):
                if any(a >= b for a, b in itertools.pairwise(getattr(self, name))):
                    raise ParamsError(name, "must ascend strictly")
            if len(self.order_edges_q8) == 1:
                raise ParamsError("order_edges_q8", "1 edge, needs none or 2 at least")
            if self.bands_per_axis > FEATURE_BANDS_PER_AXIS_MAX:
                field = "order_lines_q8" if self.order_lines_q8 else "order_edges_q8"
                raise ParamsError(
                    field, f"{self.bands_per_axis} bands and lines with them, at most {FEATURE_BANDS_PER_AXIS_MAX} per axis"
                )
            if edges[-1] > self.window_samples // 2:
                raise ParamsError(
                    "band_edges_bins", f"last edge {edges[-1]} is above half the window of {self.window_samples} samples"
                )
        if len(self.offset) != len(self.gain_q16):
            raise ParamsError("gain_q16", f"{len(self.gain_q16)} entries, offset has {len(self.offset)}")
        if len(self.offset) not in (0, self.scaler_count):
            raise ParamsError("offset", f"{len(self.offset)} entries, needs none or {self.scaler_count}")

    def _check_envelope(self) -> None:
        low, high = self.envelope_low_hz, self.envelope_high_hz
        if self.envelope_axes & ~self.axes:
            raise ParamsError("envelope_axes", f"the mask {self.envelope_axes:#05b} has axes that {self.axes:#05b} has not")
        if not self.envelope_axes:
            for name in ("envelope_low_hz", "envelope_high_hz"):
                if getattr(self, name):
                    raise ParamsError(name, "needs envelope_axes")
        elif low < self.rate_hz:
            raise ParamsError("envelope_low_hz", f"{low} Hz is below rate_hz: no envelope at {self.rate_hz} Hz holds it")
        elif not low < high <= self.bandwidth_hz:
            raise ParamsError(
                "envelope_high_hz", f"{high} Hz: above {low} Hz and at most bandwidth_hz, {self.bandwidth_hz} Hz, is needed"
            )

    @property
    def bands_per_axis(self) -> int:
        """Bands, order bands and order lines together."""
        bands = sum(max(0, len(edges) - 1) for edges in (self.band_edges_bins, self.order_edges_q8))
        return bands + len(self.order_lines_q8)

    @property
    def by_order(self) -> bool:
        """Features follow the shaft's speed, so that it must be known."""
        return bool(self.order_edges_q8 or self.order_lines_q8)

    @property
    def feature_count(self) -> int:
        """Features per window."""
        if self.kind == FeatureKind.RAW:
            return self.window_samples * self.channels
        return (1 if self.across_axes else self.channels) * (self.bands_per_axis + self.stats.bit_count())

    @property
    def scaler_count(self) -> int:
        """Entries that `offset` and `gain_q16` need: one per channel for raw, one per feature for bands."""
        return self.channels if self.kind == FeatureKind.RAW else self.feature_count

    def with_scaler(self, offset: Sequence[int], gain_q16: Sequence[int]) -> FeatureParams:
        """The same parameters with a fitted scaler, `scaler_count` entries each."""
        return replace(self, offset=tuple(offset), gain_q16=tuple(gain_q16))

    def to_tlv(self) -> bytes:
        """The manifest's bytes: ascending tags, each `tag u16, length u16, value`, little-endian."""
        out = bytearray()
        for name, spec in sorted(PARAMS.items(), key=lambda item: int(item[1]["tag"])):
            value = getattr(self, name)
            values = value if isinstance(value, tuple) else (value,)
            if spec.get("optional") and not value:
                continue  # one way to write the same parameters
            data = struct.pack(f"<{len(values)}{_FORMATS[spec['type'].removesuffix('[]')]}", *values)
            out += _TLV.pack(spec["tag"], len(data)) + data
        return bytes(out)

    @classmethod
    def from_tlv(cls, tlv: bytes) -> FeatureParams:
        """The inverse of `to_tlv`.

        Raises:
            ParamsError: unknown, doubled, missing or truncated entries (field `tlv` when no name is known).
        """
        names = {spec["tag"]: name for name, spec in PARAMS.items()}
        values: dict[str, Any] = {}
        at, last = 0, -1
        while at < len(tlv):
            if at + _TLV.size > len(tlv):
                raise ParamsError("tlv", f"truncated at byte {at}")
            tag, length = _TLV.unpack_from(tlv, at)
            at += _TLV.size
            if tag not in names:
                raise ParamsError("tlv", f"unknown tag {tag:#06x}")
            name = names[tag]
            if tag <= last:
                raise ParamsError(name, "tags must ascend, each once")
            if at + length > len(tlv):
                raise ParamsError(name, f"truncated at byte {at}")
            kind = PARAMS[name]["type"]
            item = struct.Struct(f"<{_FORMATS[kind.removesuffix('[]')]}")
            array = kind.endswith("[]")
            if length % item.size or (not array and length != item.size):
                raise ParamsError(name, f"{length} bytes do not hold {kind}")
            items = tuple(v for (v,) in item.iter_unpack(tlv[at : at + length]))
            if PARAMS[name].get("optional") and not any(items):
                raise ParamsError(name, "is left out when it says nothing")
            values[name] = items if array else items[0]
            at, last = at + length, tag
        for field in fields(cls):
            if field.name not in values and not PARAMS[field.name].get("optional"):
                raise ParamsError(field.name, "missing")
        return cls(**values)

    def features_hash(self) -> bytes:
        """SHA-256 of the TLV bytes; the node recomputes it."""
        return hashlib.sha256(self.to_tlv()).digest()
