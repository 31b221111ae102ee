"""Who is told of what: channels by site and severity, escalation, the end to whoever knew, order and giving up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from whir_fleet import alerts, escalation, maintenance, notify
from whir_fleet.db import Database
from whir_fleet.errors import ConflictError, NotFoundError
from whir_fleet.messages import Inbound
from whir_fleet.models import Alert, AlertChange, Channel, Delivery
from whir_fleet.store import store

Says = Callable[..., Inbound]


def channel(database: Database, name: str, **fields: Any) -> str:
    values = {
        "kind": "webhook",
        "target": "http://h/",
        "sites": None,
        "min_severity": "warning",
        "after_s": 0,
        "created_by": "x",
    }
    with database.write() as session:
        return notify.add_channel(session, Channel(name=name, **values | fields), 1).id


def put(database: Database, *messages: Inbound) -> None:
    for message in messages:
        with database.write() as session:
            store(session, [message], 100)


def told(database: Database) -> list[tuple[str, str]]:
    with database.read() as session:
        query = select(Channel.name, Delivery.what).join(Channel, Channel.id == Delivery.channel_id)
        return [(name, what) for name, what in session.execute(query.order_by(Delivery.id))]


def escalate(database: Database, now_ms: int) -> None:
    with database.write() as session:
        escalation.escalate(session, now_ms)


def test_a_channel_is_told_of_beginnings_of_its_sites_and_severities_and_of_their_end(database: Database, says: Says) -> None:
    channel(database, "all")
    channel(database, "critical", min_severity="critical")
    channel(database, "elsewhere", sites=["plant"])
    put(database, says("alert", seq=5), says("alert", seq=6))
    assert told(database) == [("all", "open")]
    put(database, says("alert", seq=7, severity="critical"), says("alert", seq=8, state="cleared"))
    assert told(database)[1:] == [("all", "worsen"), ("critical", "worsen"), ("all", "clear"), ("critical", "clear")]


def test_a_channel_that_waits_is_told_of_what_nobody_has_acknowledged(database: Database, says: Says) -> None:
    channel(database, "manager", after_s=60)
    put(
        database, says("alert", seq=5, received_ms=1000), says("alert", node="n2", seq=5, occurrence="n2-1-5", received_ms=1000)
    )
    with database.write() as session:
        n2 = session.scalars(select(Alert).where(Alert.machine == "n2")).one()
        alerts.acknowledge(session, n2.alert_id, "anna", 2000)
    escalate(database, 60_999)
    assert told(database) == []
    escalate(database, 61_000)
    escalate(database, 62_000)
    assert told(database) == [("manager", "escalate")]
    with database.read() as session:
        change = session.scalars(select(AlertChange).where(AlertChange.what == "escalate")).one()
        assert (change.who, change.why) == ("fleet", "not acknowledged for 60 s: manager is told")
        assert session.get_one(Alert, change.alert_id).escalations == 1
    put(database, says("alert", seq=9, state="cleared", received_ms=70_000))
    assert told(database)[1:] == [("manager", "clear")]


def test_an_alert_that_opens_again_escalates_again(database: Database, says: Says) -> None:
    channel(database, "manager", after_s=60)
    put(database, says("alert", seq=5, received_ms=1000))
    escalate(database, 61_000)
    with database.write() as session:
        alerts.acknowledge(session, session.scalars(select(Alert.alert_id)).one(), "anna", 70_000)
    put(database, says("alert", seq=6, severity="critical", received_ms=100_000))
    escalate(database, 160_000)
    assert told(database) == [("manager", "escalate")] * 2


def test_nobody_is_told_in_a_maintenance_window(database: Database, says: Says) -> None:
    channel(database, "all")
    channel(database, "manager", after_s=60)
    put(database, says("alert", seq=5, verdict="imbalance", occurrence="n1-1-4", received_ms=50))
    with database.write() as session:
        maintenance.plan(session, "lab", None, 100, 200_000, "x", "anna")
    put(database, says("alert", seq=6, received_ms=150))
    escalate(database, 199_999)
    assert told(database) == [("all", "open")]
    with database.write() as session:
        alerts.announce(session, 200_000)
    assert told(database) == [("all", "open"), ("all", "announce")]


def test_a_delivery_is_tried_by_the_table_then_dead_and_those_behind_it_keep_their_order(
    database: Database, says: Says
) -> None:
    channel(database, "all")
    put(database, says("alert", seq=5, received_ms=1000), says("alert", seq=6, severity="critical", received_ms=1000))
    now = 1000
    for wait_s in notify.BACKOFF_S:
        with database.write() as session:
            (first, _), _ = notify.due(session, now, 10)
            notify.failed(session, first.id, "HTTP 500", now)
        with database.read() as session:
            assert notify.due(session, now + wait_s * 1000 - 1, 10) == []
        now += wait_s * 1000
    with database.write() as session:
        (first, _), _ = notify.due(session, now, 10)
        notify.failed(session, first.id, "HTTP 500", now)
    with database.write() as session:
        dead = session.scalars(select(Delivery).where(Delivery.state == "dead")).one()
        assert (dead.attempts, dead.error, dead.what) == (len(notify.BACKOFF_S) + 1, "HTTP 500", "open")
        assert [delivery.what for delivery, _ in notify.due(session, now, 10)] == ["worsen"]
        assert notify.retry(session, dead.id, now).state == "pending"
        with pytest.raises(ConflictError, match="not dead"):
            notify.retry(session, dead.id, now)


def test_a_removed_channel_is_told_nothing_more(database: Database, says: Says) -> None:
    gone = channel(database, "gone")
    put(database, says("alert", seq=5))
    with database.write() as session:
        notify.remove_channel(session, gone, 9)
        with pytest.raises(NotFoundError):
            notify.find_channel(session, gone)
    put(database, says("alert", seq=6, severity="critical"))
    with database.read() as session:
        assert [(d.state, d.error) for d in session.scalars(select(Delivery))] == [("dead", "the channel was removed")]
