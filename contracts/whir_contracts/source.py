"""Reads the contract's TOML files. They are the source of truth; nothing else restates them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent
NAMES = ("errors", "limits", "features", "bundle", "messages", "factory", "zones", "firmware")


def load(folder: Path = FOLDER) -> dict[str, dict[str, Any]]:
    """Return every contract file by its stem, as parsed TOML."""
    return {name: tomllib.loads((folder / f"{name}.toml").read_text()) for name in NAMES}
