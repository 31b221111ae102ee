"""The audit log: in the transaction of the change, and append-only by the database itself."""

from __future__ import annotations

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from whir_fleet import audit
from whir_fleet.db import Database
from whir_fleet.models import AuditEntry


def test_what_was_noted_is_entered_with_the_change(database: Database) -> None:
    with database.write() as session:
        audit.note(session, site="lab", object="x", why="because", nothing=None)
        audit.record(session, 5, "anna", "alerts.resolve", token_id="t", address="10.0.0.7")
        audit.record(session, 6, "ben", "alerts.assign")
    with database.read() as session:
        first, second = session.scalars(select(AuditEntry).order_by(AuditEntry.id))
    assert (first.who, first.action, first.site, first.object, first.address) == (
        "anna",
        "alerts.resolve",
        "lab",
        "x",
        "10.0.0.7",
    )
    assert (first.detail, second.detail, second.object) == ({"why": "because"}, {}, None)


@pytest.mark.parametrize("statement", ["UPDATE audit_entry SET who = 'nobody'", "DELETE FROM audit_entry"])
def test_the_database_refuses_to_change_or_delete_an_entry(database: Database, statement: str) -> None:
    with database.write() as session:
        audit.record(session, 5, "anna", "alerts.resolve")
    with pytest.raises(DBAPIError, match="append-only"), database.write() as session:
        session.execute(text(statement))
    with database.read() as session:
        assert session.scalars(select(AuditEntry.who)).one() == "anna"
