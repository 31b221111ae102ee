"""Telemetry where TimescaleDB is in the database: its hypertable, a day a chunk. Where the server has none this is skipped."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import alembic.command
import alembic.config
import pytest
from sqlalchemy import func, select, text

from whir_fleet import db, devices, partitions, retention
from whir_fleet.db import Database
from whir_fleet.messages import Inbound
from whir_fleet.models import Telemetry, TelemetryHour
from whir_fleet.partitions import DAY_MS
from whir_fleet.retention import HOUR_MS
from whir_fleet.store import Stored, store
from whir_tools.bench.fleet.postgres import Postgres

Says = Callable[..., Inbound]
DAY = 1_600_000_000_000 // DAY_MS * DAY_MS
_names = itertools.count()


@pytest.fixture(scope="module")
def timescale(postgres: Postgres) -> Iterator[Postgres]:
    plain = Database(postgres.url("postgres"))
    with plain.read() as session:
        there = session.scalar(text("SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'"))
    plain.close()
    if not there:
        pytest.skip("this PostgreSQL has no TimescaleDB: the hypertable is NOT tested here")
    with Postgres(durable=False, preload="timescaledb") as server:
        yield server


@pytest.fixture
def empty(timescale: Postgres) -> Iterator[Database]:
    """A database with the extension and nothing else."""
    made = Database(timescale.create(f"hyper_{next(_names)}", template="template0"))
    with made.engine.begin() as connection:
        connection.exec_driver_sql("CREATE EXTENSION timescaledb")
    yield made
    made.close()


def put(database: Database, *messages: Inbound) -> Stored:
    with database.write() as session:
        return store(session, list(messages), 100)


def days(database: Database) -> list[int]:
    with database.read() as session:
        starts = [part.from_ms for part in partitions.parts(session.connection())]
    return sorted((start - DAY) // DAY_MS for start in starts if start is not None)


def age(database: Database, now_ms: int) -> None:
    more = True
    while more:
        with database.write() as session:
            assert not partitions.keep(session.connection(), now_ms)  # the extension makes its chunks itself
            more = retention.prune(session, now_ms, 7, 730)


def test_a_day_is_a_chunk_and_goes_as_a_whole(empty: Database, says: Says) -> None:
    empty.migrate()
    put(empty, *(says("telemetry", seq=i, ts=DAY + i * HOUR_MS) for i in range(30)))
    assert days(empty) == [0, 1]
    age(empty, DAY + 8 * DAY_MS - 1)
    assert days(empty) == [0, 1]
    age(empty, DAY + 8 * DAY_MS)
    assert days(empty) == [1]
    with empty.read() as session:
        assert session.scalar(select(func.count()).select_from(Telemetry)) == 6
        assert session.scalar(select(func.sum(TelemetryHour.messages))) == 24
        hours = retention.hourly(session, devices.find(session, "lab", "n1").id, 0, 2**62)
    assert [hour["messages"] for hour in hours] == [1] * 30
    assert put(empty, says("telemetry", seq=3, ts=DAY + 3 * HOUR_MS)).duplicates == 1


def test_what_comes_again_changes_nothing_whatever_its_clock(empty: Database, says: Says) -> None:
    empty.migrate()
    said = [says("telemetry", seq=seq, ts=at) for seq, at in enumerate((DAY, 0, 2**63 - 1))]
    assert put(empty, *said, says("telemetry", seq=3, ts=5, synced=False, received_ms=DAY)).new == 4
    again = put(empty, *said, says("telemetry", seq=3, ts=5, synced=False, received_ms=DAY + 3 * DAY_MS))
    assert (again.new, again.duplicates) == (0, 4)


def test_the_table_of_the_version_before_becomes_the_hypertable(empty: Database, says: Says) -> None:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(db._migrations()))
    with empty.engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "0016")
    said = [says("telemetry", seq=i, ts=DAY + i * DAY_MS) for i in range(3)]
    assert put(empty, *said).new == 3
    empty.migrate()
    assert days(empty) == [0, 1, 2]
    assert (put(empty, *said).new, put(empty, says("telemetry", seq=3, ts=DAY)).new) == (0, 1)
