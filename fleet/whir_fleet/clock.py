"""The fleet's clock: milliseconds since 1970, passed in wherever a decision depends on it."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]


def now_ms() -> int:
    return time.time_ns() // 1_000_000
