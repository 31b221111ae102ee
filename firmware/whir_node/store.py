"""Settings of a node on a computer: texts by key in two sets, in memory. A restart of the node leaves them."""

from __future__ import annotations

from collections.abc import Mapping

KEPT, TRIED = 0, 1


class MemoryStore:
    """As `VirtualNode` takes it.

    Args:
        kept: what is set already.
    """

    def __init__(self, kept: Mapping[str, str] | None = None) -> None:
        self.sets: tuple[dict[str, str], dict[str, str]] = (dict(kept or {}), {})

    def get(self, which: int, key: str) -> str | None:
        return self.sets[which].get(key)

    def put(self, which: int, key: str, text: str) -> None:
        self.sets[which][key] = text

    def clear(self, which: int) -> None:
        self.sets[which].clear()
