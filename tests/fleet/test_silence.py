"""Silence: lost sensors one by one, a whole site as one alert, and what the fleet itself has missed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from whir_fleet import alerts, silence, site_alerts
from whir_fleet.db import Database
from whir_fleet.messages import Inbound
from whir_fleet.models import Alert, AlertChange, Node
from whir_fleet.store import store

Says = Callable[..., Inbound]
NEXT_S = 60
LIMIT = 3 * NEXT_S * 1000


@pytest.fixture
def heard(database: Database, says: Says) -> Callable[..., None]:
    """`heard(10, at=5)`: the first ten nodes say something at that time."""
    seqs = iter(range(1, 10_000))

    def hear(*nodes: int, at: int, **fields: object) -> None:
        with database.write() as session:
            messages = [says("status", node=f"n{i}", seq=next(seqs), next_s=NEXT_S, received_ms=at, **fields) for i in nodes]
            store(session, messages, 100)

    return hear


def check(database: Database, at: int, watching_ms: int = -(10**9)) -> None:
    with database.write() as session:
        silence.check(session, at, watching_ms)
        site_alerts.gather(session, at)


def found(database: Database) -> list[tuple[str, str, str]]:
    with database.read() as session:
        return [(a.machine, a.verdict, a.state) for a in session.scalars(select(Alert).order_by(Alert.machine, Alert.alert_id))]


def test_a_node_is_lost_after_three_times_what_it_announced_and_its_alert_ends_when_it_is_back(
    database: Database, heard: Callable[..., None]
) -> None:
    heard(*range(50), at=0)
    heard(*range(1, 50), at=LIMIT)
    check(database, LIMIT)
    assert found(database) == []
    check(database, LIMIT + 1)
    check(database, LIMIT + 1000)
    assert found(database) == [("n0", "sensor_lost", "open")]
    heard(0, at=LIMIT + 2000)
    check(database, LIMIT + 3000)
    assert found(database) == [("n0", "sensor_lost", "resolved")]
    with database.read() as session:
        assert [c.what for c in session.scalars(select(AlertChange).order_by(AlertChange.id))] == ["open", "clear"]


def test_who_took_leave_is_not_missed(database: Database, heard: Callable[..., None]) -> None:
    heard(0, at=0, state="stopped")
    check(database, 100 * LIMIT)
    assert found(database) == []


def test_silence_counts_from_when_the_fleet_listens(database: Database, heard: Callable[..., None]) -> None:
    heard(0, at=0)
    check(database, 10 * LIMIT, watching_ms=9 * LIMIT)
    assert found(database) == []
    check(database, 10 * LIMIT + 1, watching_ms=9 * LIMIT)
    assert [machine for machine, _, _ in found(database)] == ["n0"]


def test_more_than_a_tenth_at_once_is_one_alert_of_the_site_with_a_list(database: Database, heard: Callable[..., None]) -> None:
    heard(*range(40), at=0)
    heard(*range(5, 40), at=LIMIT)
    check(database, LIMIT + 1)  # 5 of 40
    assert found(database) == [("_site", "sensor_lost", "open")]
    with database.read() as session:
        alert = session.scalars(select(Alert)).one()
        assert sorted(name for _, name in site_alerts.members_of(session, alert.alert_id)) == [f"n{i}" for i in range(5)]
        message = alerts.message_of(alert)
    assert (message["node"], message["machine"], message["nodes"]) == ("_fleet", "_site", 5)
    heard(*range(4), *range(5, 40), at=LIMIT + 2)
    check(database, LIMIT + 3)
    assert found(database) == [("_site", "sensor_lost", "open")]
    heard(4, at=LIMIT + 4)
    check(database, LIMIT + 5)
    assert found(database) == [("_site", "sensor_lost", "resolved")]


def test_exactly_a_tenth_is_not_more(database: Database, heard: Callable[..., None]) -> None:
    heard(*range(40), at=0)
    heard(*range(4, 40), at=LIMIT)
    check(database, LIMIT + 1)
    assert [machine for machine, _, _ in found(database)] == ["n0", "n1", "n2", "n3"]


def test_those_that_went_first_are_taken_into_the_sites_alert_and_later_ones_join_it(
    database: Database, heard: Callable[..., None]
) -> None:
    for i in range(30):
        heard(i, at=i * 10)
    heard(*range(6, 30), at=1000)
    for i in range(6):
        check(database, LIMIT + i * 10 + 1)
    states = found(database)
    assert states[0] == ("_site", "sensor_lost", "open")
    assert states[1:] == [(f"n{i}", "sensor_lost", "resolved") for i in range(4)]
    with database.read() as session:
        whole = session.scalars(select(Alert).where(Alert.machine == "_site")).one()
        assert len(site_alerts.members_of(session, whole.alert_id)) == 6
        joined = session.scalars(select(AlertChange).where(AlertChange.what == "join")).all()
        assert {change.why for change in joined} == {f"part of alert {whole.alert_id}"}


def test_those_that_went_longer_ago_than_five_minutes_do_not_count(database: Database, heard: Callable[..., None]) -> None:
    for i in range(6):
        heard(*range(i, 30), at=i * site_alerts.WINDOW_MS)
        check(database, i * site_alerts.WINDOW_MS)
    assert {machine for machine, _, _ in found(database)} == {f"n{i}" for i in range(5)}


@pytest.mark.parametrize("changed", [True, False])
def test_the_same_verdict_of_many_is_one_alert_when_they_have_a_new_model(
    database: Database, heard: Callable[..., None], says: Says, changed: bool
) -> None:
    heard(*range(20), at=0)
    with database.write() as session:
        for i in range(4):
            if changed:
                store(session, [says("event", node=f"n{i}", seq=50000, kind="update_confirmed", received_ms=10)], 100)
            name = f"n{i}-1-5"
            store(session, [says("alert", node=f"n{i}", seq=50001, occurrence=name, severity="advisory", received_ms=20)], 100)
    with database.write() as session:
        site_alerts.gather(session, 30)
    if changed:
        assert found(database)[0] == ("_site", "bearing", "open")
        assert {state for machine, _, state in found(database) if machine != "_site"} == {"resolved"}
    else:
        assert found(database) == [(f"n{i}", "bearing", "open") for i in range(4)]


def test_thousands_of_nodes_that_go_at_once_are_one_change(database: Database) -> None:
    with database.write() as session:
        for i in range(4000):
            session.add(Node(site="lab", name=f"n{i}", first_seen_ms=0, last_seen_ms=0, state="ok", next_s=NEXT_S, boot=1))
    check(database, LIMIT + 1)
    with database.read() as session:
        (change,) = session.scalars(select(AlertChange))
    assert (change.message["nodes"], change.why) == (4000, "4000 nodes")
