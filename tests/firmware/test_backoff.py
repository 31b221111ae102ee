"""Pauses between attempts to connect."""

from __future__ import annotations

from whir_node.library import lib


def test_the_pause_doubles_to_five_minutes_and_is_spread_to_both_sides() -> None:
    for attempts, middle in ((0, 1000), (1, 1000), (2, 2000), (5, 16000), (9, 256000), (10, 300000), (2**32 - 1, 300000)):
        pauses = [lib.host_backoff_ms(attempts, random) for random in (0, middle - 1, middle, 2**32 - 1)]
        assert pauses[:3] == [middle // 2, middle // 2 + middle - 1, middle // 2]
        assert middle // 2 <= pauses[3] < middle // 2 + middle
