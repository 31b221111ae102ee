"""The bytes per row that `whir fleet size` reckons with are those of real rows."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text

from whir_fleet import partitions
from whir_fleet.db import Database
from whir_fleet.messages import Inbound
from whir_fleet.models import Telemetry, TelemetryHour, table
from whir_fleet.retention import DAY_MS, prune
from whir_fleet.settings import Settings
from whir_fleet.size import BYTES, size
from whir_fleet.store import store
from whir_node.swarm_node import ProtocolNode

NODES, HOURS, PER_HOUR = 40, 40, 6
T0 = 1_790_000_000_000 // DAY_MS * DAY_MS


def _bytes(database: Database, name: str) -> int:
    """Of a table and its parts with their indexes. SQLite's own `dbstat` is not in every build: there it is what a DROP would
    set free."""
    if not database.is_sqlite:
        tree = "SELECT relid FROM pg_partition_tree(:name) UNION SELECT CAST(:name AS regclass)"
        sizes = f"SELECT sum(pg_total_relation_size(relid)) FROM ({tree}) AS part"
        with database.read() as session:
            return int(session.scalar(text(sizes), {"name": name}) or 0)
    with database.engine.connect() as connection:  # its transaction is never committed

        def number(pragma: str) -> int:
            return int(connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one())

        free = number("freelist_count")
        connection.exec_driver_sql(f"DROP TABLE {name}")
        return (number("freelist_count") - free) * number("page_size")


def _with_velocity(payload: bytes) -> bytes:
    return json.dumps(json.loads(payload) | {"zone_reason": "machine_unset", "velocity": 910, "velocity_hz": 1000}).encode()


def test_a_row_takes_as_many_bytes_as_is_said(database: Database) -> None:
    if not database.is_sqlite:
        with database.write() as session:
            assert all(partitions.make(session.connection(), T0 + day * DAY_MS) for day in range(2))
    nodes = [ProtocolNode("plant", f"pump-{i}") for i in range(NODES)]
    for place in range(HOURS * PER_HOUR):
        now_ms = T0 + place * 3_600_000 // PER_HOUR
        said = [node.telemetry((now_ms + i * 61) / 1000) for i, node in enumerate(nodes)]
        with database.write() as session:
            store(session, [Inbound(message.topic, _with_velocity(message.payload), now_ms) for message in said], 100)
    rows = NODES * HOURS * PER_HOUR
    measured = {"raw": _bytes(database, table(Telemetry).name) / rows}
    more = True
    while more:
        with database.write() as session:
            more = prune(session, T0 + 20 * DAY_MS, 7, 730)
    measured["hour"] = _bytes(database, table(TelemetryHour).name) / (NODES * HOURS)
    assert measured == pytest.approx(BYTES["sqlite" if database.is_sqlite else "postgresql"], rel=0.2)


def test_rows_and_bytes_follow_from_nodes_interval_and_settings() -> None:
    found = size(10_000, 60, Settings.load())
    assert (found["rows_a_day"], found["messages_a_second"]) == (14_400_000, 166.7)
    assert found["rows_after_a_year"] == {"raw": 7 * 14_400_000, "hour": 358 * 240_000}
    own = found["engines"]["postgresql"]
    assert own["disk_after_a_year"] == (7 + 1) * own["bytes_a_day"] + 358 * 240_000 * own["hour_row_bytes"]
    assert json.dumps(found)
