"""Alerts: one per machine and fault, newest message of an occurrence wins, every change is published once."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from whir_contracts import contract
from whir_fleet import alerts
from whir_fleet.db import Database
from whir_fleet.errors import ConflictError, NotFoundError
from whir_fleet.messages import Inbound
from whir_fleet.models import Alert, AlertChange
from whir_fleet.store import store

Says = Callable[..., Inbound]


def put(database: Database, *messages: Inbound) -> None:
    for message in messages:
        with database.write() as session:
            store(session, [message], 100)


def all_alerts(database: Database) -> list[Alert]:
    with database.read() as session:
        return list(session.scalars(select(Alert).order_by(Alert.alert_id)))


def told(database: Database) -> list[str]:
    with database.read() as session:
        return [change.message["state"] for change in session.scalars(select(AlertChange).order_by(AlertChange.id))]


def test_raise_update_clear_is_one_alert_with_three_messages(database: Database, says: Says) -> None:
    put(database, says("alert", seq=5), says("alert", seq=6, severity="critical"), says("alert", seq=7, state="cleared"))
    (alert,) = all_alerts(database)
    assert (alert.state, alert.severity, alert.occurrences, alert.machine) == ("resolved", "critical", 1, "n1")
    assert told(database) == ["open", "open", "resolved"]


def test_messages_carry_the_contracts_fields_and_the_fleets_state(database: Database, says: Says) -> None:
    put(database, says("alert", seq=5, novelty=None, zone=None, quality=0, model="m", counter=2, point=None))
    with database.read() as session:
        message = session.scalars(select(AlertChange)).one().message
    spec = contract.FLEET_TOPICS["alert"]
    assert set(spec["required"]) <= message.keys() <= set(spec["fields"])
    assert (message["state"], message["machine"], message["node"], message["occurrence"]) == ("open", "n1", "n1", "n1-1-5")
    assert alerts.topic_of(message) == f"whir/v1/lab/_fleet/alert/{message['alert_id']}"


def test_every_order_of_arrival_ends_resolved(database: Database, says: Says) -> None:
    for number, order in enumerate(itertools.permutations([(5, "active"), (6, "active"), (7, "cleared")])):
        node = f"m{number}"
        put(database, *(says("alert", node=node, seq=seq, state=state, occurrence=f"{node}-1-5") for seq, state in order))
    assert [alert.state for alert in all_alerts(database)] == ["resolved"] * 6


def test_two_faults_of_a_machine_are_two_alerts_and_two_occurrences_of_a_fault_are_one(database: Database, says: Says) -> None:
    put(
        database,
        says("alert", seq=5, verdict="bearing", occurrence="n1-1-5"),
        says("alert", seq=6, verdict="imbalance", occurrence="n1-1-6"),
        says("alert", seq=7, verdict="bearing", occurrence="n1-1-7"),
    )
    assert sorted((alert.verdict, alert.occurrences) for alert in all_alerts(database)) == [("bearing", 2), ("imbalance", 1)]


def test_an_alert_stays_open_until_its_last_occurrence_is_cleared(database: Database, says: Says) -> None:
    two = [says("alert", seq=5, machine="mill"), says("alert", node="n2", seq=5, machine="mill", occurrence="n2-1-5")]
    put(database, *two, says("alert", seq=6, machine="mill", state="cleared"))
    assert all_alerts(database)[0].state == "open"
    put(database, says("alert", node="n2", seq=6, machine="mill", state="cleared", occurrence="n2-1-5"))
    assert all_alerts(database)[0].state == "resolved"


def test_what_a_node_raised_before_it_was_switched_off_does_not_hold_the_alert_open(database: Database, says: Says) -> None:
    put(
        database,
        says("alert", boot=1, seq=5, occurrence="n1-1-5"),
        says("alert", boot=2, seq=3, occurrence="n1-2-3"),
        says("alert", boot=2, seq=4, occurrence="n1-2-3", state="cleared"),
    )
    assert [alert.state for alert in all_alerts(database)] == ["resolved"]


def test_after_it_was_resolved_the_same_fault_is_a_new_alert(database: Database, says: Says) -> None:
    put(database, says("alert", seq=5), says("alert", seq=6, state="cleared"), says("alert", seq=7, occurrence="n1-1-7"))
    first, second = all_alerts(database)
    assert (first.state, second.state) == ("resolved", "open")


def test_pending_is_not_yet_an_alert(database: Database, says: Says) -> None:
    put(database, says("alert", seq=5, state="pending"))
    assert all_alerts(database) == []
    put(database, says("alert", seq=6))
    assert [alert.occurrences for alert in all_alerts(database)] == [1]


def test_an_acknowledged_alert_stays_so_until_its_severity_rises(database: Database, says: Says) -> None:
    put(database, says("alert", seq=5))
    with database.write() as session:
        alert = alerts.acknowledge(session, session.scalars(select(Alert.alert_id)).one(), "anna", 77)
        assert (alert.state, alert.acknowledged_by, alert.acknowledged_ms) == ("acknowledged", "anna", 77)
    put(database, says("alert", seq=6))
    assert all_alerts(database)[0].state == "acknowledged"
    put(database, says("alert", seq=7, severity="critical"))
    assert told(database) == ["open", "acknowledged", "acknowledged", "open"]


def test_resolved_by_hand_it_opens_anew_when_the_node_goes_on_and_not_when_it_clears(database: Database, says: Says) -> None:
    put(database, says("alert", seq=5))
    with database.write() as session:
        alert_id = alerts.resolve(session, session.scalars(select(Alert.alert_id)).one(), "anna", 77).alert_id
        with pytest.raises(ConflictError, match="resolved"):
            alerts.acknowledge(session, alert_id, "anna", 78)
    put(database, says("alert", seq=6))
    assert sorted(alert.state for alert in all_alerts(database)) == ["open", "resolved"]
    with database.write() as session:
        alerts.resolve(session, next(a.alert_id for a in all_alerts(database) if a.state == "open"), "anna", 79)
    put(database, says("alert", seq=7, state="cleared"))
    assert [alert.state for alert in all_alerts(database)] == ["resolved", "resolved"]
    assert told(database) == ["open", "resolved", "open", "resolved"]


def test_an_alert_that_is_not_there_is_not_found(database: Database) -> None:
    with database.write() as session, pytest.raises(NotFoundError):
        alerts.acknowledge(session, "nope", "anna", 0)


def test_the_history_says_who_did_what_when_and_why(database: Database, says: Says) -> None:
    put(database, says("alert", seq=5, received_ms=10))
    with database.write() as session:
        alert_id = session.scalars(select(Alert.alert_id)).one()
        alerts.acknowledge(session, alert_id, "anna", 20, "seen")
        alerts.assign(session, alert_id, "ben", "anna", 30)
        alerts.resolve(session, alert_id, "ben", 40, "replaced")
    with database.read() as session:
        rows = session.scalars(select(AlertChange).order_by(AlertChange.id)).all()
    assert [(c.at_ms, c.what, c.who, c.why) for c in rows] == [
        (10, "open", "node n1", None),
        (20, "acknowledge", "anna", "seen"),
        (30, "assign", "anna", "ben"),
        (40, "resolve", "ben", "replaced"),
    ]
    assert [c.told for c in rows] == [True, True, False, True]
    assert all_alerts(database)[0].assigned_to == "ben"


def test_what_is_not_in_the_table_is_a_conflict(database: Database, says: Says) -> None:
    put(database, says("alert", seq=5))
    with database.write() as session:
        alert = session.scalars(select(Alert)).one()
        for state in (alerts.OPEN, alerts.ACKNOWLEDGED, alerts.RESOLVED):
            for what in {what for _, what in alerts.TRANSITIONS} - {w for s, w in alerts.TRANSITIONS if s == state}:
                alert.state = state
                with pytest.raises(ConflictError):
                    alerts.step(session, alert, what, 9, "anna")


def test_the_page_has_the_table_as_it_is() -> None:
    page = (Path(__file__).parents[2] / "docs/ALERTS.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| `(\w+)` \|", page, re.MULTILINE)
    assert {(state, what): then for state, what, then in rows} == alerts.TRANSITIONS


def flap(database: Database, says: Says, times: int, step_ms: int = 60_000) -> int:
    """Raises and clears so many times; returns when it was cleared last."""
    at = 1_000_000
    for i in range(times):
        name = f"n1-1-{10 * i}"
        put(database, says("alert", seq=10 * i + 1, occurrence=name, received_ms=at))
        at += step_ms
        put(database, says("alert", seq=10 * i + 2, occurrence=name, state="cleared", received_ms=at))
    return at


def test_a_fault_that_flaps_is_one_alert_until_it_has_stayed_clear(database: Database, says: Says) -> None:
    at = flap(database, says, 6)
    assert [(a.state, a.occurrences) for a in all_alerts(database)] == [("resolved", 1), ("resolved", 1), ("open", 4)]
    with database.write() as session:
        alerts.settle(session, at + alerts.FLAP_HOLD_MS - 1)
    assert all_alerts(database)[-1].state == "open"
    with database.write() as session:
        alerts.settle(session, at + alerts.FLAP_HOLD_MS)
    assert all_alerts(database)[-1].state == "resolved"


def test_raises_that_lie_far_apart_do_not_flap(database: Database, says: Says) -> None:
    flap(database, says, 4, step_ms=alerts.FLAP_WINDOW_MS // 2)
    assert [a.state for a in all_alerts(database)] == ["resolved"] * 4


def test_a_flapping_fault_that_comes_back_in_time_is_not_resolved(database: Database, says: Says) -> None:
    at = flap(database, says, 3)
    put(database, says("alert", seq=99, occurrence="n1-1-99", received_ms=at + 1))
    with database.write() as session:
        alerts.settle(session, at + 10 * alerts.FLAP_HOLD_MS)
    assert [a.state for a in all_alerts(database)] == ["resolved", "resolved", "open"]


def test_the_model_that_raised_it_is_kept_with_its_version(database: Database, says: Says, artifact: str) -> None:
    put(database, says("status", seq=1, model="old", model_version="1", counter=1))
    put(
        database,
        says("alert", seq=5, model="old", counter=1),
        says("alert", seq=6, verdict="other", occurrence="n1-1-6", model="new", counter=2),
    )
    assert [(a.model, a.model_version, a.counter) for a in all_alerts(database)] == [("old", "1", 1), ("new", "2", 2)]
