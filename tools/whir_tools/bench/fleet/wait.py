"""Waiting with a limit."""

from __future__ import annotations

import time
from collections.abc import Callable

from whir_tools.bench.fleet.errors import TooLongError


def wait_until(ready: Callable[[], bool], what: str, limit_s: float, poll_s: float = 0.02) -> None:
    """TooLongError after `limit_s`."""
    give_up = time.monotonic() + limit_s
    while not ready():
        if time.monotonic() > give_up:
            raise TooLongError(f"{what}: not within {limit_s:.0f} s")
        time.sleep(poll_s)
