"""Telemetry by days on PostgreSQL: age takes whole days away. On SQLite it is one table, and everything here does nothing.

A day is a partition, and what fits no day (a clock that is off) lies in the default one; where TimescaleDB is in the database
the table is its hypertable instead, and a day is a chunk. docs/adr/0009-telemetry-by-days.md has the ways that were measured.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, text

DAY_MS: Final = 86_400_000
AHEAD: Final = 3  # days that are there before their time
DEFAULT: Final = "telemetry_default"
_WAIT: Final = "2s"  # for a lock: whoever comes after one that waits waits with it
_MOVE_MAX: Final = 10_000  # rows: a day with more in the default partition stays there
_BOUNDS: Final = re.compile(r"FROM \((?:'(-?\d+)'|MINVALUE)\) TO \('(-?\d+)'\)")

_PARTITIONS: Final = """SELECT c.oid::regclass::text, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'telemetry'::regclass ORDER BY 1"""
_CHUNKS: Final = """SELECT format('%I.%I', chunk_schema, chunk_name), range_start_integer, range_end_integer
FROM timescaledb_information.chunks WHERE hypertable_schema = current_schema AND hypertable_name = 'telemetry' ORDER BY 2"""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows from `from_ms` (None: however old) to before `until_ms`. Both None: what fits nowhere else."""

    name: str
    from_ms: int | None
    until_ms: int | None


def has_extension(connection: Connection) -> bool:
    """Whether TimescaleDB is in this database."""
    return connection.scalar(text("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'")) is not None


def parts(connection: Connection) -> list[Part]:
    """All that telemetry consists of; on SQLite the table itself."""
    if connection.dialect.name == "sqlite":
        return [Part("telemetry", None, None)]
    if not _native(connection):
        return [Part(*row) for row in connection.execute(text(_CHUNKS))]
    found = []
    for name, bounds in connection.execute(text(_PARTITIONS)):
        match = _BOUNDS.search(bounds)
        found.append(
            Part(name, *((None if v is None else int(v)) for v in match.groups())) if match else Part(name, None, None)
        )
    return found


def keep(connection: Connection, now_ms: int) -> bool:
    """Makes one of the days from yesterday until `AHEAD` days from now that is not there yet; whether it did."""
    if connection.dialect.name == "sqlite" or not _native(connection):
        return False
    there = [part for part in parts(connection) if part.until_ms is not None]
    today_ms = now_ms // DAY_MS * DAY_MS
    for day_ms in range(today_ms - DAY_MS, today_ms + (AHEAD + 1) * DAY_MS, DAY_MS):
        taken = any((part.from_ms is None or part.from_ms <= day_ms) and day_ms < (part.until_ms or 0) for part in there)
        if not taken and make(connection, day_ms):
            return True
    return False


def make(connection: Connection, day_ms: int) -> bool:
    """A partition for the day that begins then, with what the default one has of it; False where that is too much.

    (node, boot, seq) is unique in each. Attached rather than made in place: so writers into other days go on.
    """
    name = f"telemetry_{datetime.fromtimestamp(day_ms / 1000, UTC):%Y%m%d}"
    own = f"at_ms >= {day_ms} AND at_ms < {day_ms + DAY_MS}"
    hold(connection, Part(DEFAULT, None, None), alone=True)  # what comes meanwhile must not go there
    execute = connection.exec_driver_sql
    count = f"SELECT count(*) FROM (SELECT FROM {DEFAULT} WHERE {own} LIMIT {_MOVE_MAX + 1}) AS first"  # noqa: S608 (our own numbers)
    if int(execute(count).scalar_one()) > _MOVE_MAX:
        return False
    execute(f"CREATE TABLE {name} (LIKE telemetry INCLUDING DEFAULTS INCLUDING INDEXES, PRIMARY KEY (node_id, boot, seq))")
    execute(f"WITH gone AS (DELETE FROM {DEFAULT} WHERE {own} RETURNING *) INSERT INTO {name} SELECT * FROM gone")  # noqa: S608
    execute(f"ALTER TABLE {name} ADD CONSTRAINT own CHECK ({own} AND at_ms IS NOT NULL)")
    execute(f"ALTER TABLE telemetry ATTACH PARTITION {name} FOR VALUES FROM ({day_ms}) TO ({day_ms + DAY_MS})")
    execute(f"ALTER TABLE {name} DROP CONSTRAINT own")
    return True


def hold(connection: Connection, part: Part, *, alone: bool = False) -> None:
    """Until the end of the transaction nobody writes into it; `alone`: nor reads it. Gives up after `_WAIT` (DBAPIError)."""
    if connection.dialect.name != "sqlite":  # there the transaction is alone with the file
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_WAIT}'")
        connection.exec_driver_sql(f"LOCK TABLE {part.name} IN {'ACCESS' if alone else 'SHARE ROW'} EXCLUSIVE MODE")


def empty(connection: Connection, part: Part) -> None:
    """All its rows at once."""
    connection.exec_driver_sql(f"TRUNCATE {part.name}")


def drop(connection: Connection, part: Part) -> None:
    connection.exec_driver_sql(f"DROP TABLE {part.name}")


def _native(connection: Connection) -> bool:
    return connection.scalar(text("SELECT relkind = 'p' FROM pg_class WHERE oid = 'telemetry'::regclass")) is True
