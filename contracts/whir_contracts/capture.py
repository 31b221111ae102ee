"""A chunk of a capture, as it travels on the topic `capture`: [capture] of contracts/messages.toml.

    chunk = Chunk.read(payload)
    chunk.frames          int16 (count, channels), the sensor's counts; x lsb_nano x 1e-9 is the unit

CaptureError(ValueError)    not a chunk by the contract; the text is the reason
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from whir_contracts.contract import (
    CAPTURE_FORMAT_VERSION,
    CAPTURE_HEADER,
    CAPTURE_HEADER_BYTES,
    CAPTURE_MAGIC,
    CAPTURE_SAMPLES,
    MESSAGE_COMMAND_ID_MAX_BYTES,
    MESSAGE_MESSAGE_MAX_BYTES,
    WINDOW_CHANNELS_MAX,
    CaptureTrigger,
    Unit,
)

_HEADER: Final = struct.Struct(
    "<" + "".join({"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "text40": "40s"}[kind] for _, kind in CAPTURE_HEADER)
)
_CRC_BYTES: Final = 4
NO_OCCURRENCE: Final = 0xFFFFFFFF
assert _HEADER.size == CAPTURE_HEADER_BYTES


class CaptureError(ValueError):
    """Not a chunk of a capture by the contract."""


def frames_max(channels: int) -> int:
    """Samples per axis in a chunk; only the last one of a capture has fewer."""
    return (MESSAGE_MESSAGE_MAX_BYTES - CAPTURE_HEADER_BYTES - _CRC_BYTES) // (2 * channels)


@dataclass(frozen=True, kw_only=True, eq=False)
class Chunk:
    """One message; the fields are those of the contract. (node, capture_boot, capture) names the capture."""

    boot: int
    seq: int
    ts: int
    synced: bool
    trigger: CaptureTrigger
    unit: Unit
    rate_mhz: int
    lsb_nano: int
    capture_boot: int
    capture: int
    samples: int
    pre: int
    chunk: int
    chunks: int
    first: int
    occurrence: int | None
    action: str | None
    frames: npt.NDArray[np.int16]

    @classmethod
    def read(cls, payload: bytes) -> Chunk:
        """Raises CaptureError for anything but a whole chunk whose numbers fit each other."""
        if len(payload) < CAPTURE_HEADER_BYTES + _CRC_BYTES or len(payload) > MESSAGE_MESSAGE_MAX_BYTES:
            raise CaptureError(f"{len(payload)} bytes")
        header = dict(zip((name for name, _ in CAPTURE_HEADER), _HEADER.unpack_from(payload), strict=True))
        if header.pop("magic") != CAPTURE_MAGIC:
            raise CaptureError("magic: not a capture")
        if header.pop("format_version") != CAPTURE_FORMAT_VERSION or header.pop("header_bytes") != CAPTURE_HEADER_BYTES:
            raise CaptureError("a version that this fleet does not read")
        if zlib.crc32(payload[:-_CRC_BYTES]) != int.from_bytes(payload[-_CRC_BYTES:], "little"):
            raise CaptureError("CRC-32 does not match")
        channels, chunk, first = header.pop("channels"), header["chunk"], header["first"]
        if not 1 <= channels <= WINDOW_CHANNELS_MAX:
            raise CaptureError(f"channels: {channels}")
        each = frames_max(channels)
        data = payload[CAPTURE_HEADER_BYTES:-_CRC_BYTES]
        if not 1 <= header["samples"] <= CAPTURE_SAMPLES or header["pre"] > header["samples"]:
            raise CaptureError(f"samples {header['samples']}, pre {header['pre']}")
        if header["chunks"] != -(-header["samples"] // each) or chunk >= header["chunks"] or first != chunk * each:
            raise CaptureError(f"chunk {chunk} of {header['chunks']} at {first}")
        if len(data) != 2 * channels * min(each, header["samples"] - first):
            raise CaptureError(f"{len(data)} bytes of samples")
        if header["rate_mhz"] == 0 or header["lsb_nano"] == 0:
            raise CaptureError("rate or scale is 0")
        try:
            header["trigger"], header["unit"] = CaptureTrigger(header["trigger"]), Unit(header["unit"])
            header["action"] = header["action"].rstrip(b"\0").decode() or None
        except ValueError as error:
            raise CaptureError(str(error)) from error
        header["synced"] = bool(header["synced"])
        if header["occurrence"] == NO_OCCURRENCE:
            header["occurrence"] = None
        return cls(**header, frames=np.frombuffer(data, "<i2").reshape(-1, channels).astype(np.int16))

    def write(self) -> bytes:
        """The message's bytes. ValueError when an id is too long."""
        action = (self.action or "").encode()
        if len(action) > MESSAGE_COMMAND_ID_MAX_BYTES:
            raise ValueError(f"action: longer than {MESSAGE_COMMAND_ID_MAX_BYTES} bytes")
        fixed = {
            "magic": CAPTURE_MAGIC,
            "format_version": CAPTURE_FORMAT_VERSION,
            "header_bytes": CAPTURE_HEADER_BYTES,
            "channels": self.frames.shape[1],
            "occurrence": NO_OCCURRENCE if self.occurrence is None else self.occurrence,
            "action": action,
        }
        values = (fixed[name] if name in fixed else int(getattr(self, name)) for name, _ in CAPTURE_HEADER)
        head = _HEADER.pack(*values) + self.frames.astype("<i2").tobytes()
        return head + zlib.crc32(head).to_bytes(_CRC_BYTES, "little")
