"""Tries with a wrong token are counted by address and token, within a minute."""

from __future__ import annotations

import pytest

from whir_fleet import sign_in
from whir_fleet.errors import TooManyTriesError
from whir_fleet.sign_in import FailureLimit


def test_after_so_many_failures_nothing_is_looked_at_until_the_minute_is_over() -> None:
    limit = FailureLimit(3)
    for at in (0, 1000, 2000):
        limit.check("a", "t", at)
        limit.failed("a", "t", at)
    with pytest.raises(TooManyTriesError, match="in 58 s") as caught:
        limit.check("a", "t", 2001)
    assert (caught.value.status, caught.value.wait_s) == (429, 58)
    limit.check("a", "t", 60_000)
    limit.failed("a", "t", 60_000)
    limit.check("a", "t", 60_001)


def test_a_strangers_guesses_lock_out_nobody_else() -> None:
    limit = FailureLimit(1)
    limit.failed("a", "t", 0)
    limit.check("b", "t", 1)
    limit.check("a", "other", 1)
    with pytest.raises(TooManyTriesError):
        limit.check("a", "t", 1)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "_KEPT", 10)
    limit = FailureLimit(1)
    for number in range(100):
        limit.failed("a", str(number), 0)
    assert len(limit._failures) == 10
