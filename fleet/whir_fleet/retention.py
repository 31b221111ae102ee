"""Age: raw telemetry becomes one row per node, hour and verdict, and that goes too in the end. Alerts and events stay.

A row is in the raw table or in its hour, never in both: it is taken out of the one and added to the other in one transaction.
So what comes late is added to its hour as well, and hours that are still raw are computed when somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from whir_fleet.db import upsert_rows
from whir_fleet.models import BootCount, Telemetry, TelemetryHour, table

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
SLICE = 10_000  # rows in one transaction: ingest waits for it on SQLite

_SUMS: Final = ("messages", "windows", "p_sum", "rms_sum", "rms_count", "velocity_sum", "velocity_count")
_HIGHEST: Final = ("rms_max", "velocity_max", "novelty_max")
_READ: Final = ("node_id", "at_ms", "verdict", "windows", "p", "rms", "velocity", "novelty")
_SUM = "{n} = telemetry_hour.{n} + excluded.{n}"
_MAX = (
    "{n} = CASE WHEN telemetry_hour.{n} >= excluded.{n} OR excluded.{n} IS NULL THEN telemetry_hour.{n} ELSE excluded.{n} END"
)
_ADD: Final = "ON CONFLICT (node_id, hour_ms, verdict) DO UPDATE SET " + ", ".join(
    [_SUM.format(n=name) for name in _SUMS] + [_MAX.format(n=name) for name in _HIGHEST]
)
_PRUNED: Final = (
    "ON CONFLICT (node_id, boot) DO UPDATE SET pruned_seq = "
    "CASE WHEN excluded.pruned_seq > boot_count.pruned_seq THEN excluded.pruned_seq ELSE boot_count.pruned_seq END"
)


def prune(session: Session, now_ms: int, raw_days: int, hourly_days: int) -> bool:
    """One slice of what is too old; whether there may be more."""
    session.execute(delete(TelemetryHour).where(TelemetryHour.hour_ms < now_ms - hourly_days * DAY_MS))
    horizon_ms = (now_ms - raw_days * DAY_MS) // HOUR_MS * HOUR_MS
    oldest = select(Telemetry.at_ms).where(Telemetry.at_ms < horizon_ms).order_by(Telemetry.at_ms)
    last_ms = session.scalar(oldest.offset(SLICE).limit(1))
    until_ms = horizon_ms if last_ms is None else last_ms + 1
    row = table(Telemetry)
    taken = [row.c[name] for name in ("boot", "seq", *_READ)]
    gone = session.execute(row.delete().where(row.c.at_ms < until_ms).returning(*taken)).all()
    highest: dict[tuple[int, int], int] = {}
    for boot, seq, node_id, *_ in gone:
        highest[node_id, boot] = max(highest.get((node_id, boot), -1), seq)
    if gone:
        upsert_rows(session, table(TelemetryHour), _COLUMNS, _hours(found[2:] for found in gone), _ADD)
        counts = [(node_id, boot, seq, seq, 0, seq) for (node_id, boot), seq in sorted(highest.items())]
        upsert_rows(session, table(BootCount), _COUNTS, counts, _PRUNED)
    return last_ms is not None


_COLUMNS: Final = ("node_id", "hour_ms", "verdict", *_SUMS, *_HIGHEST)
_COUNTS: Final = ("node_id", "boot", "first_seq", "last_seq", "received", "pruned_seq")


def _hours(rows: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Rows of `_READ` to rows of `telemetry_hour`, sorted by key."""
    found: dict[tuple[int, int, str], list[Any]] = {}
    blank = [0] * len(_SUMS) + [None] * len(_HIGHEST)
    for node_id, at_ms, verdict, windows, p, rms, velocity, novelty in rows:
        hour = found.setdefault((node_id, at_ms // HOUR_MS * HOUR_MS, verdict), blank.copy())
        for place, value in enumerate((1, windows, p, rms or 0, rms is not None, velocity or 0, velocity is not None)):
            hour[place] += value
        for place, value in enumerate((rms, velocity, novelty), len(_SUMS)):
            if value is not None and (hour[place] is None or value > hour[place]):
                hour[place] = value
    return [(*key, *values) for key, values in sorted(found.items())]


def hourly(session: Session, node_id: int, since_ms: int, until_ms: int) -> list[dict[str, Any]]:
    """By hour and verdict, oldest first: what has been rolled up, and the raw rows of younger hours."""
    old = select(*(getattr(TelemetryHour, name) for name in _COLUMNS)).where(TelemetryHour.node_id == node_id)
    old = old.where(TelemetryHour.hour_ms >= since_ms, TelemetryHour.hour_ms < until_ms)
    t = Telemetry
    raw = select(*(getattr(t, name) for name in _READ)).where(t.node_id == node_id)
    young = _hours(session.execute(raw.where(t.at_ms >= since_ms, t.at_ms < until_ms)))
    rows = [*session.execute(old), *young]
    merged: dict[tuple[int, str], dict[str, Any]] = {}
    for found in rows:
        new = dict(zip(_COLUMNS[1:], found[1:], strict=True))
        before = merged.setdefault((new["hour_ms"], new["verdict"]), new)
        if before is not new:  # some of this hour came after the rest of it had been rolled up
            before |= {name: before[name] + new[name] for name in _SUMS}
            before |= {name: max((v for v in (before[name], new[name]) if v is not None), default=None) for name in _HIGHEST}
    return [hour for _, hour in sorted(merged.items())]
