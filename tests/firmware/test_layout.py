"""Where the parts of a node lie on its flash, in the partitions of the ESP32."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from whir_node.library import ffi, lib

SECTOR = 4096
TABLE = Path(__file__).resolve().parents[2] / "firmware" / "partitions.csv"


def partition(name: str) -> tuple[int, int]:
    """Address and bytes."""
    for line in TABLE.read_text().splitlines():
        fields = [field.strip() for field in line.split(",")]
        if fields[0] == name:
            return int(fields[3], 0), int(fields[4], 0)
    raise KeyError(name)


def test_everything_lies_in_its_partition_and_fills_the_spool() -> None:
    (state, state_bytes), (spool, spool_bytes) = partition("state"), partition("spool")
    found = ffi.new("uint32_t[10]")
    lib.host_layout(SECTOR, state, spool, spool_bytes, found)
    parts = [(found[i], found[i + 1] * SECTOR) for i in range(0, 10, 2)]
    own, shared = parts[:2], parts[2:]
    assert own[0][0] == state and own[1][0] == sum(own[0]) and sum(own[1]) <= state + state_bytes
    assert shared[0][0] == spool and sum(shared[-1]) == spool + spool_bytes
    assert all(sum(before) == after[0] for before, after in pairwise(shared)), "captures, alerts, telemetry, without a hole"
    alerts, telemetry = shared[1][1], shared[2][1]
    assert telemetry / 2 - SECTOR <= alerts <= telemetry / 2
