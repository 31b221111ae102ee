"""Leases: one holder at a time, and who lost it writes no more."""

from __future__ import annotations

import pytest

from whir_fleet import leases
from whir_fleet.db import Database
from whir_fleet.errors import LeaseLostError


def test_a_second_holder_waits_until_the_first_one_expires(database: Database) -> None:
    with database.write() as session:
        assert leases.acquire(session, "ingest", "a", 0) == 1
        assert leases.acquire(session, "ingest", "b", leases.TTL_MS - 1) is None
        assert leases.acquire(session, "ingest", "b", leases.TTL_MS) == 2


def test_renewing_keeps_it_and_releasing_lets_the_next_one_in(database: Database) -> None:
    with database.write() as session:
        fence = leases.acquire(session, "ingest", "a", 0)
        assert fence is not None
        leases.renew(session, "ingest", fence, 10_000)
        assert leases.acquire(session, "ingest", "b", leases.TTL_MS + 1) is None
        leases.release(session, "ingest", fence)
        assert leases.acquire(session, "ingest", "b", leases.TTL_MS + 1) == 2


def test_a_restarted_holder_takes_over_at_once_and_its_older_self_is_fenced_off(database: Database) -> None:
    with database.write() as session:
        old = leases.acquire(session, "ingest", "a", 0)
        new = leases.acquire(session, "ingest", "a", 1)
        assert old is not None and new is not None
        leases.check(session, "ingest", new)
        with pytest.raises(LeaseLostError):
            leases.check(session, "ingest", old)
        with pytest.raises(LeaseLostError):
            leases.renew(session, "ingest", old, 2)
        leases.release(session, "ingest", old)  # too late: it must not end the new one's
        assert leases.acquire(session, "ingest", "b", 2) is None
