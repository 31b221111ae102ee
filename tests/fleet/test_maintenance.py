"""Maintenance windows: nothing is told meanwhile, what is still there afterwards is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from whir_fleet import alerts, maintenance
from whir_fleet.db import Database
from whir_fleet.errors import ConflictError, NotFoundError, RequestError
from whir_fleet.messages import Inbound
from whir_fleet.models import Alert
from whir_fleet.store import store

Says = Callable[..., Inbound]


def put(database: Database, *messages: Inbound) -> None:
    with database.write() as session:
        store(session, list(messages), 100)


def window(database: Database, machine: str | None, from_ms: int, until_ms: int) -> str:
    with database.write() as session:
        return maintenance.plan(session, "lab", machine, from_ms, until_ms, "new coupling", "anna").id


def told(database: Database) -> list[tuple[str, str]]:
    with database.read() as session:
        return [(change.message["machine"], change.what) for change in alerts.unpublished(session, 100)]


def announce(database: Database, now_ms: int) -> None:
    with database.write() as session:
        alerts.announce(session, now_ms)


def test_what_opens_in_a_window_is_told_when_it_is_over(database: Database, says: Says) -> None:
    window(database, "n1", 100, 200)
    put(database, says("alert", seq=5, received_ms=150), says("alert", node="n2", seq=5, occurrence="n2-1-5", received_ms=150))
    assert told(database) == [("n2", "open")]
    announce(database, 199)
    assert told(database) == [("n2", "open")]
    announce(database, 200)
    assert told(database) == [("n2", "open"), ("n1", "announce")]


def test_what_comes_and_goes_in_a_window_is_never_told_but_kept(database: Database, says: Says) -> None:
    window(database, None, 100, 200)
    put(database, says("alert", seq=5, received_ms=150), says("alert", seq=6, state="cleared", received_ms=160))
    announce(database, 200)
    assert told(database) == []
    with database.read() as session:
        assert session.scalars(select(Alert.state)).one() == "resolved"


def test_what_was_told_before_is_taken_back_in_a_window(database: Database, says: Says) -> None:
    put(database, says("alert", seq=5, received_ms=50))
    window(database, None, 100, 200)
    put(database, says("alert", seq=6, state="cleared", received_ms=160))
    assert told(database) == [("n1", "open"), ("n1", "clear")]


def test_a_window_ends_early_and_only_once(database: Database) -> None:
    early = window(database, "n1", 100, 200)
    with database.write() as session:
        assert maintenance.covers(session, "lab", "n1", 150)
        assert maintenance.end(session, early, 150).until_ms == 150
        assert not maintenance.covers(session, "lab", "n1", 150)
        with pytest.raises(ConflictError, match="is over"):
            maintenance.end(session, early, 151)
        with pytest.raises(NotFoundError):
            maintenance.end(session, "nope", 151)


@pytest.mark.parametrize(("from_ms", "until_ms"), [(5, 5), (5, 4), (0, maintenance.LONGEST_MS + 1)])
def test_a_window_has_a_length_and_it_is_bounded(database: Database, from_ms: int, until_ms: int) -> None:
    with pytest.raises(RequestError, match="until_ms"):
        window(database, None, from_ms, until_ms)
