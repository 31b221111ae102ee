"""Bins in which training and fleet count how far features are from the machine's baseline, permille of the limit."""

from __future__ import annotations

from typing import Final

NOVELTY_EDGES: Final = (250, 500, 750, 1000)
