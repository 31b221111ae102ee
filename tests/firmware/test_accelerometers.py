"""The list of parts, and the table of FIFO against erase that firmware/README.md gives."""

from __future__ import annotations

import re
from pathlib import Path

from whir_node.accel import accelerometers

README = (Path(__file__).resolve().parents[2] / "firmware" / "README.md").read_text()
ERASES_MS = (45, 400)  # of a 4 KB sector: typical, and the most of common parts


def test_the_readme_lists_every_part_with_what_an_erase_costs() -> None:
    for part in accelerometers():
        rate = f"{part.info.rate_hz:,.0f}"
        outlives = " | ".join("nothing" if part.outlives(ms) else "a gap" for ms in ERASES_MS)
        spare_ms = (part.fifo_samples - part.watermark) / part.info.rate_hz * 1000
        fifo = f"{part.fifo_samples} | {part.fifo_ms:.1f} | {spare_ms:.1f}"
        row = f"| {part.info.name} | {rate} | {part.info.bandwidth_hz:,} | {fifo} | {outlives} |"
        assert row in README, row


def test_the_readme_says_how_to_wire_every_part() -> None:
    wiring = README[README.index("## Wiring") :]
    for part in accelerometers():
        assert re.search(rf"^\| {part.info.name} ", wiring, re.MULTILINE), part.info.name
