"""How often a wrong token may be tried: by address and token, so that a stranger's guesses lock out nobody else."""

from __future__ import annotations

import threading
from collections import OrderedDict

from whir_fleet.errors import TooManyTriesError

_WINDOW_MS = 60_000
_KEPT = 10_000  # pairs of address and token; the oldest are forgotten


class FailureLimit:
    """At most `per_minute` failures in a minute; after that not even the right token is looked at until the minute is over."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._lock = threading.Lock()
        self._failures: OrderedDict[tuple[str, str], tuple[int, int]] = OrderedDict()  # (began, count)

    def check(self, address: str, token: str, now_ms: int) -> None:
        """TooManyTriesError with the seconds to wait."""
        with self._lock:
            began, count = self._failures.get((address, token), (now_ms, 0))
        left_ms = began + _WINDOW_MS - now_ms
        if count >= self._per_minute and left_ms > 0:
            raise TooManyTriesError(-(-left_ms // 1000))

    def failed(self, address: str, token: str, now_ms: int) -> None:
        key = (address, token)
        with self._lock:
            began, count = self._failures.pop(key, (now_ms, 0))
            if now_ms - began >= _WINDOW_MS:
                began, count = now_ms, 0
            self._failures[key] = (began, count + 1)
            if len(self._failures) > _KEPT:
                self._failures.popitem(last=False)
