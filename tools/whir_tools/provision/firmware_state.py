"""The first record of the slots' state (docs/SPEC.md, Slots and state on flash): slot a in service, nothing on trial."""

from __future__ import annotations

import struct
import zlib

_RECORD = struct.Struct("<IHHI4BII40s28x")
_MAGIC, _VERSION, _BYTES = 0x544F4C53, 1, 96
_NONE = 0xFF
SECTOR_BYTES = 4096


def first_state(security_counter: int) -> bytes:
    """The partition `state` as it leaves the factory: its second sector holds the record, as the core itself would write it."""
    head = _RECORD.pack(_MAGIC, _VERSION, _BYTES, 1, 0, _NONE, 0, 0, security_counter, 0, b"")
    record = head + struct.pack("<I", zlib.crc32(head))
    return b"\xff" * SECTOR_BYTES + record.ljust(SECTOR_BYTES, b"\xff")
