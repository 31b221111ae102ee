"""docs/THREATS.md names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/THREATS.md"


def test_every_threat_names_a_test_that_exists() -> None:
    rows = [row for row in PAGE.read_text().splitlines() if row.startswith("| ") and not row.startswith(("| **", "| Threat"))]
    assert len(rows) > 20
    for row in rows:
        named = re.findall(r"`((?:tests/\w+/)?test_\w+\.py)(?:::(\w+))?`", row.split("|")[3])
        assert named, row
        for file, test in named:
            text = (PAGE.parents[1] / (file if "/" in file else f"tests/fleet/{file}")).read_text()
            assert not test or f"def {test}(" in text, f"{file}::{test}"
