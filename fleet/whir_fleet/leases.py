"""Who does a job that only one process may do: a row with a fencing number, the same on SQLite and PostgreSQL."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from whir_fleet.db import insert
from whir_fleet.errors import LeaseLostError
from whir_fleet.models import Lease, table

TTL_MS = 15_000
RENEW_MS = 5_000


def acquire(session: Session, name: str, holder: str, now_ms: int) -> int | None:
    """Takes the lease and returns its fencing number, or None while another holder's has not expired.

    The same holder takes it over at once (it was killed and came back); its older self is fenced off by the number.
    """
    row = table(Lease)
    session.execute(
        insert(session, row).values(name=name, holder="", fence=0, expires_ms=0).on_conflict_do_nothing(index_elements=["name"])
    )
    lease = session.scalars(select(Lease).where(Lease.name == name).with_for_update()).one()
    if lease.holder != holder and lease.expires_ms > now_ms:
        return None
    lease.holder = holder
    lease.fence += 1
    lease.expires_ms = now_ms + TTL_MS
    return lease.fence


def check(session: Session, name: str, fence: int) -> None:
    """Inside the transaction that writes: LeaseLostError when somebody else has taken over."""
    current = session.scalar(select(Lease.fence).where(Lease.name == name).with_for_update(read=True))
    if current != fence:
        raise LeaseLostError(f"another process has taken the lease {name!r}")


def renew(session: Session, name: str, fence: int, now_ms: int) -> None:
    check(session, name, fence)
    session.execute(update(Lease).where(Lease.name == name).values(expires_ms=now_ms + TTL_MS))


def release(session: Session, name: str, fence: int) -> None:
    """Lets the next one in at once."""
    session.execute(update(Lease).where(Lease.name == name, Lease.fence == fence).values(expires_ms=0))
