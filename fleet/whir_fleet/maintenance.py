"""Maintenance windows: what opens on a machine meanwhile is kept, but told to nobody before the window is over."""

from __future__ import annotations

from sqlalchemy import or_, select
from sqlalchemy.orm import Session
from ulid import ULID

from whir_fleet.errors import ConflictError, NotFoundError, RequestError
from whir_fleet.models import Maintenance
from whir_fleet.said import Said

LONGEST_MS = 90 * 86_400_000  # a window for ever would be a fault that nobody hears of


def plan(session: Session, site: str, machine: str | None, from_ms: int, until_ms: int, why: str, who: str) -> Maintenance:
    """For one machine, or for all of a site (`machine` None)."""
    if not from_ms < until_ms <= from_ms + LONGEST_MS:
        raise RequestError(Said("until_ms: has to lie after from_ms, by at most 90 days"))
    window = Maintenance(
        id=str(ULID()), site=site, machine=machine, from_ms=from_ms, until_ms=until_ms, why=why, planned_by=who
    )
    session.add(window)
    session.flush()
    return window


def find(session: Session, window_id: str) -> Maintenance:
    window = session.get(Maintenance, window_id, with_for_update=True)
    if window is None:
        raise NotFoundError(Said("no maintenance window %(window)s", window=window_id))
    return window


def end(session: Session, window_id: str, now_ms: int) -> Maintenance:
    """Now instead of later; one that has not begun never does."""
    window = find(session, window_id)
    if window.until_ms <= now_ms:
        raise ConflictError(Said("maintenance window %(window)s is over", window=window_id))
    window.until_ms = max(now_ms, window.from_ms)
    return window


def covers(session: Session, site: str, machine: str, at_ms: int) -> bool:
    query = select(Maintenance.id).where(Maintenance.site == site, Maintenance.from_ms <= at_ms, Maintenance.until_ms > at_ms)
    return (
        session.scalars(query.where(or_(Maintenance.machine.is_(None), Maintenance.machine == machine)).limit(1)).first()
        is not None
    )
