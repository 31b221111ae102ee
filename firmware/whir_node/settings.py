"""What the core says of a board's settings (`whir/settings.h`)."""

from __future__ import annotations

from whir_node.library import ffi, lib


def keys() -> list[str]:
    """All that there are, in their order."""
    found: list[str] = []
    while (key := lib.host_settings_key(len(found))) != ffi.NULL:
        text = ffi.string(key)
        found.append(text.decode() if isinstance(text, bytes) else text)
    return found


def is_valid(key: str, value: str) -> bool:
    """Whether a board would take it."""
    text, number = ffi.new("char[33]"), ffi.new("uint32_t *")
    return bool(lib.host_settings_set(key.encode(), value.encode(), text, number) == 0)


def is_link(key: str) -> bool:
    """Of the link: it is tried, and taken back when no receipt comes through."""
    return bool(lib.host_settings_is_link(key.encode()))
