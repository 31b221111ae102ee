"""Age: raw telemetry becomes one row per node, hour and verdict, and that goes too in the end. Alerts and events stay.

A row is in the raw table or in its hour, never in both: it is taken out of the one and added to the other in one transaction.
So what comes late is added to its hour as well, and hours that are still raw are computed when somebody asks.
What is a day of its own (`partitions`) goes as a whole once its last hour is too old, everything else hour by hour.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, FromClause, Select, case, cast, column, delete, func, literal, or_, select
from sqlalchemy import table as lightweight
from sqlalchemy.orm import Session
from sqlalchemy.sql import quoted_name

from whir_fleet import partitions
from whir_fleet.db import insert
from whir_fleet.models import BootCount, Telemetry, TelemetryHour, table
from whir_fleet.partitions import Part

HOUR_MS: Final = 3_600_000
DAY_MS: Final = partitions.DAY_MS
SLICE = 10_000  # rows in one transaction: ingest waits for it

_KEY: Final = ("node_id", "hour_ms", "verdict")
_SUMS: Final = ("messages", "windows", "p_sum", "rms_sum", "rms_count", "velocity_sum", "velocity_count")
_HIGHEST: Final = ("rms_max", "velocity_max", "novelty_max")
_COLUMNS: Final = (*_KEY, *_SUMS, *_HIGHEST)
_COUNTS: Final = ("node_id", "boot", "first_seq", "last_seq", "received", "pruned_seq")


def prune(session: Session, now_ms: int, raw_days: int, hourly_days: int) -> bool:
    """One slice of what is too old, or a whole day; whether there may be more."""
    session.execute(delete(TelemetryHour).where(TelemetryHour.hour_ms < now_ms - hourly_days * DAY_MS))
    horizon_ms = (now_ms - raw_days * DAY_MS) // HOUR_MS * HOUR_MS
    for part in partitions.parts(session.connection()):
        if part.until_ms is not None and part.until_ms <= horizon_ms:
            _take_day(session, part)
            return True
        if part.from_ms is None and _take_slice(session, part, horizon_ms):
            return True
    return False


def _take_day(session: Session, part: Part) -> None:
    """A day that has been emptied goes the next time: that takes a lock on all of telemetry, if only for a moment."""
    connection, source = session.connection(), _rows(part)
    partitions.hold(connection, part)
    if session.scalar(select(source.c.at_ms).limit(1)) is None:
        partitions.drop(connection, part)
        return
    _add_hours(session, _hours(source))
    partitions.hold(connection, part, alone=True)  # before rows of counts are locked: ingest needs those at once
    _note_pruned(session, _pruned(source))
    partitions.empty(connection, part)


def _take_slice(session: Session, part: Part, horizon_ms: int) -> bool:
    """The oldest `SLICE` rows, and those of the same moment; whether there are more."""
    source = _rows(part)
    oldest = select(source.c.at_ms).where(source.c.at_ms < horizon_ms).order_by(source.c.at_ms)
    first_ms = session.scalar(oldest.limit(1))
    if first_ms is None:
        return False
    partitions.hold(session.connection(), part)
    last_ms = session.scalar(oldest.offset(SLICE).limit(1))
    until_ms = horizon_ms if last_ms is None else last_ms + 1
    taken = source.c.at_ms.between(first_ms, until_ms - 1)  # from where: else the planner reckons with what has gone already
    _add_hours(session, _hours(source).where(taken))
    _note_pruned(session, _pruned(source).where(taken))
    session.execute(delete(source).where(taken))
    return last_ms is not None


def _rows(part: Part) -> Any:
    """The part as a table of a query."""
    return lightweight(quoted_name(part.name, quote=False), *(column(c.name, c.type) for c in table(Telemetry).c))


def _hours(source: FromClause) -> Select[*tuple[Any, ...]]:
    """Rows of telemetry as rows of `telemetry_hour`, columns in the order of `_COLUMNS`."""
    t = source.c
    key = t.node_id, t.at_ms // HOUR_MS * HOUR_MS, t.verdict
    sums = [_sum(t.windows), _sum(t.p), *(of(c) for c in (t.rms, t.velocity) for of in (_sum, func.count))]
    return select(*key, func.count(), *sums, *map(func.max, (t.rms, t.velocity, t.novelty))).group_by(*key)


def _sum(of: ColumnElement[int]) -> ColumnElement[int]:
    return cast(func.coalesce(func.sum(of), 0), BigInteger)


def _add_hours(session: Session, hours: Select[*tuple[Any, ...]]) -> None:
    row = table(TelemetryHour)
    new = insert(session, row).from_select(_COLUMNS, hours)
    changed = {name: row.c[name] + new.excluded[name] for name in _SUMS}
    changed |= {name: _higher(row.c[name], new.excluded[name]) for name in _HIGHEST}
    session.execute(new.on_conflict_do_update(index_elements=_KEY, set_=changed))


def _pruned(source: FromClause) -> Select[*tuple[Any, ...]]:
    """The highest seq by (node, boot), as rows of `boot_count` in the order of `_COUNTS`."""
    t, seq = source.c, func.max(source.c.seq)
    return select(t.node_id, t.boot, seq, seq, literal(0), seq).group_by(t.node_id, t.boot).order_by(t.node_id, t.boot)


def _note_pruned(session: Session, counts: Select[*tuple[Any, ...]]) -> None:
    """What comes again of these is known by its number. Rows are locked in their order."""
    row = table(BootCount)
    new = insert(session, row).from_select(_COUNTS, counts)
    changed = {"pruned_seq": _higher(row.c.pruned_seq, new.excluded.pruned_seq)}
    session.execute(new.on_conflict_do_update(index_elements=("node_id", "boot"), set_=changed))


def _higher(here: ColumnElement[int], new: ColumnElement[int]) -> ColumnElement[int]:
    return case((or_(here >= new, new.is_(None)), here), else_=new)


def hourly(session: Session, node_id: int, since_ms: int, until_ms: int) -> list[dict[str, Any]]:
    """By hour and verdict, oldest first: what has been rolled up, and the raw rows of younger hours."""
    old = select(*(getattr(TelemetryHour, name) for name in _COLUMNS)).where(TelemetryHour.node_id == node_id)
    old = old.where(TelemetryHour.hour_ms >= since_ms, TelemetryHour.hour_ms < until_ms)
    row = table(Telemetry)
    young = _hours(row).where(row.c.node_id == node_id, row.c.at_ms >= since_ms, row.c.at_ms < until_ms)
    rows = [*session.execute(old), *session.execute(young)]
    merged: dict[tuple[int, str], dict[str, Any]] = {}
    for found in rows:
        new = dict(zip(_COLUMNS[1:], found[1:], strict=True))
        before = merged.setdefault((new["hour_ms"], new["verdict"]), new)
        if before is not new:  # some of this hour came after the rest of it had been rolled up
            before |= {name: before[name] + new[name] for name in _SUMS}
            before |= {name: max((v for v in (before[name], new[name]) if v is not None), default=None) for name in _HIGHEST}
    return [hour for _, hour in sorted(merged.items())]
