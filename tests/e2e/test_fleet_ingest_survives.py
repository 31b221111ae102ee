"""Ingest as a process of its own on a real mosquitto, killed with SIGKILL on the way: what was promised arrives, once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from whir_fleet import devices
from whir_fleet.db import Database
from whir_fleet.models import Alert, AlertChange, BootCount, Message, Node, Occurrence, Telemetry
from whir_tools.bench.fleet.processes import FleetProcess, FloodProcess

USERS = {"fleet": "fleet-password", "nodes": "nodes-password"}


@pytest.fixture
def ingest(tmp_path: Path) -> Iterator[Callable[[int], FleetProcess]]:
    started: list[FleetProcess] = []

    def make(port: int) -> FleetProcess:
        started.append(FleetProcess("ingest", tmp_path / "fleet", port, USERS["fleet"]))
        return started[-1]

    yield make
    for one in started:
        one.kill()


def _settle(database: Database) -> None:
    """Until nothing new is stored any more."""
    before = -1
    while True:
        with database.read() as session:
            now = session.scalar(select(func.sum(BootCount.received))) or 0
        if now == before:
            return
        before = now
        time.sleep(1.0)


def _count(database: Database, model: type[Any]) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def _stored(database: Database) -> Counter[int]:
    """Rows by node: telemetry has its own table, all else is in the ledger."""
    found: Counter[int] = Counter()
    with database.read() as session:
        for model in (Telemetry, Message):
            found.update({node: n for node, n in session.execute(select(model.node_id, func.count()).group_by(model.node_id))})
    return found


def test_100000_telemetry_and_1000_alerts_arrive_once_though_ingest_is_killed_twice(
    mosquitto: Callable[..., Any], ingest: Callable[[int], FleetProcess]
) -> None:
    broker = mosquitto(users=USERS, persistence=True)
    consumer = ingest(broker.port)
    consumer.start()
    consumer.wait_connected(1)
    flood = FloodProcess(broker.port, USERS["nodes"], nodes=100, telemetry=1000, alerts=10)
    flood.start()
    for share in (0.3, 0.6):
        flood.wait_sent(share)
        consumer.kill()
        consumer.start()
    result = flood.join()
    database = Database(consumer.database_url)
    _settle(database)
    print(f"{result['messages'] / result['seconds']:.0f} messages/s from node to database, two kills included")

    assert result["unreceipted"] == 0
    assert result["messages"] == 100 * (1000 + 10 + 2)
    assert sum(_stored(database).values()) == result["messages"]
    assert _count(database, Telemetry) == 100_000
    assert _count(database, Occurrence) == 1000
    assert _count(database, Alert) == 1000
    assert _count(database, AlertChange) == 1000  # a message that came twice changed nothing
    with database.read() as session:
        counts = devices.counts(session, list(session.scalars(select(Node.id))))
    assert {c["lost"] for c in counts.values()} == {0}
    assert sum(c["received"] for c in counts.values()) == result["messages"]
    database.close()


def test_no_alert_is_lost_and_lost_telemetry_is_counted_exactly_though_the_broker_is_killed_too(
    mosquitto: Callable[..., Any], ingest: Callable[[int], FleetProcess]
) -> None:
    broker = mosquitto(users=USERS, persistence=True)
    consumer = ingest(broker.port)
    consumer.start()
    consumer.wait_connected(1)
    flood = FloodProcess(broker.port, USERS["nodes"], nodes=50, telemetry=600, alerts=10)
    flood.start()
    flood.wait_sent(0.3)
    consumer.kill()  # so that the broker has something to lose
    flood.wait_sent(0.5)
    broker.kill()
    time.sleep(0.3)
    broker.start()
    consumer.start()
    result = flood.join()
    database = Database(consumer.database_url)
    _settle(database)

    assert result["unreceipted"] == 0
    assert _count(database, Alert) == 500
    assert _count(database, Occurrence) == 500
    with database.read() as session:
        ids = {node.name: node.id for node in session.scalars(select(Node))}
        counted = devices.counts(session, list(ids.values()))
    stored = _stored(database)
    for number, sent in enumerate(result["by_node"]):
        node_id = ids[f"n{number:03d}"]
        assert counted[node_id] == {"received": stored[node_id], "lost": sent - stored[node_id]}
    lost = sum(count["lost"] for count in counted.values())
    print(f"{lost} telemetry messages lost with the broker, all counted; {result['resent']} alerts sent again")
    database.close()
