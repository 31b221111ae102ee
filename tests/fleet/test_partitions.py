"""Telemetry by days on PostgreSQL: made ahead, found by their bounds, and made of the table that was there before."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator

import alembic.command
import alembic.config
import pytest
from sqlalchemy import func, select, text

from whir_fleet import db, devices, partitions, retention
from whir_fleet.clock import now_ms
from whir_fleet.db import Database
from whir_fleet.messages import Inbound
from whir_fleet.models import Telemetry
from whir_fleet.partitions import AHEAD, DAY_MS, DEFAULT
from whir_fleet.store import store
from whir_tools.bench.fleet.postgres import Postgres

Says = Callable[..., Inbound]
DAY = 1_600_000_000_000 // DAY_MS * DAY_MS  # before the days that a new database has
_names = itertools.count()


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.create(f"days_{next(_names)}", template="migrated")


@pytest.fixture
def days(url: str) -> Iterator[Database]:
    """A migrated database on PostgreSQL."""
    made = Database(url)
    yield made
    made.close()


def keep(database: Database, at_ms: int) -> None:
    more = True
    while more:
        with database.write() as session:
            more = partitions.keep(session.connection(), at_ms)


def put(database: Database, *messages: Inbound) -> int:
    with database.write() as session:
        return store(session, list(messages), 100).new


def where(database: Database) -> dict[str, int]:
    """Rows by part."""
    with database.read() as session:
        return dict(session.execute(text("SELECT tableoid::regclass::text, count(*) FROM telemetry GROUP BY 1")).all())


def own(database: Database) -> list[int]:
    """The days that are there, by their distance from `DAY`; not those of today."""
    with database.read() as session:
        starts = [part.from_ms for part in partitions.parts(session.connection())]
    return sorted((start - DAY) // DAY_MS for start in starts if start is not None and start < DAY + 30 * DAY_MS)


def test_days_are_there_from_yesterday_until_some_ahead_and_come_with_time(days: Database) -> None:
    keep(days, DAY + 5)
    assert own(days) == list(range(-1, AHEAD + 1))
    keep(days, DAY + 2 * DAY_MS)
    assert own(days) == list(range(-1, AHEAD + 3))


def test_what_came_before_its_day_was_made_moves_there_and_a_clock_that_is_off_does_no_harm(days: Database, says: Says) -> None:
    said = [says("telemetry", seq=seq, ts=at) for seq, at in enumerate((0, 2**63 - 1, DAY, DAY + DAY_MS - 1, DAY + 9 * DAY_MS))]
    assert put(days, *said) == 5
    assert where(days) == {DEFAULT: 5}
    keep(days, DAY)
    assert sorted(where(days).values()) == [2, 3]
    assert put(days, *said) == 0


def test_a_day_with_much_in_the_default_partition_stays_there(
    days: Database, says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "_MOVE_MAX", 2)
    put(days, *(says("telemetry", seq=seq, ts=DAY + seq) for seq in range(3)))
    keep(days, DAY)
    assert (own(days), where(days)) == ([-1, *range(1, AHEAD + 1)], {DEFAULT: 3})


def test_a_chart_reads_its_days_only(days: Database) -> None:
    keep(days, DAY)
    t = Telemetry
    for query in (
        select(t.verdict).where(t.node_id == 1, t.at_ms >= DAY, t.at_ms < DAY + DAY_MS),
        select(t.verdict).where(t.at_ms >= DAY, t.at_ms < DAY + DAY_MS).order_by(t.at_ms.desc()).limit(10),
    ):
        asked = query.compile(days.engine, compile_kwargs={"literal_binds": True})
        with days.read() as session:
            plan = "\n".join(session.scalars(text(f"EXPLAIN {asked}")))
        assert len(set(re.findall(r"telemetry_\w+ on (\w+)|Scan on (\w+)", plan))) == 1 and DEFAULT not in plan, plan


def test_the_table_of_the_version_before_becomes_the_days_before_this_one(postgres: Postgres, says: Says) -> None:
    database = Database(postgres.create(f"days_{next(_names)}"))
    config = alembic.config.Config()
    config.set_main_option("script_location", str(db._migrations()))
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "0016")
    now = now_ms()
    times = [0, now - 3 * DAY_MS, now - 60_000, now + 2 * DAY_MS, 2**63 - 1]
    said = [says("telemetry", seq=seq, ts=at) for seq, at in enumerate(times)]
    assert put(database, *said) == 5  # this version's program, as far as it goes, on the schema before
    database.migrate()
    assert sum(where(database).values()) == 5
    assert where(database)["telemetry_before"] == 3
    assert put(database, *said, says("telemetry", seq=5, ts=now - DAY_MS)) == 1
    for later, left in ((7, 3), (12, 1)):
        more = True
        while more:
            with database.write() as session:
                more = retention.prune(session, now + later * DAY_MS, 7, 730)
        with database.read() as session:
            assert session.scalar(select(func.count()).select_from(Telemetry)) == left
            assert ("telemetry_before" in [part.name for part in partitions.parts(session.connection())]) == (later == 7)
            assert devices.boots(session, 1)[0]["lost"] == 0
    database.close()
