"""Captures: the raw signal of a node at an alert, on command and once a day; put together from chunks in any order.

They lie in the database beside the alerts that they belong to: one commit covers the samples and the node's receipt, every
process sees them, and a backup has them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Select, delete, func, select
from sqlalchemy.orm import Session
from ulid import ULID

from whir_contracts.capture import Chunk
from whir_fleet import machines
from whir_fleet.errors import ConflictError, NotFoundError
from whir_fleet.machines import Place
from whir_fleet.messages import Parsed
from whir_fleet.models import Alert, Capture, CaptureChunk, Node, Occurrence
from whir_fleet.said import Said

UNITS = ("g", "mps2", "volt")  # by the contract's enum, from 1 on
BASELINE_MAX = 5  # captures that the point's own state is taken from
_DAY_MS = 24 * 3_600_000


def _of(session: Session, node_id: int, chunk: Chunk) -> Capture | None:
    key = (Capture.node_id == node_id, Capture.capture_boot == chunk.capture_boot, Capture.number == chunk.capture)
    return session.scalar(select(Capture).where(*key))


def take(session: Session, node_id: int, message: Parsed) -> None:
    """One chunk. With the last one that was missing the capture is whole."""
    chunk: Chunk = message.body["chunk"]
    capture = _of(session, node_id, chunk) or _make(session, node_id, message, chunk)
    if capture.whole_ms is not None or session.get(CaptureChunk, (capture.id, chunk.chunk)) is not None:
        return
    session.add(CaptureChunk(capture_id=capture.id, chunk=chunk.chunk, counts=chunk.frames.astype("<i2").tobytes()))
    session.flush()
    mine = CaptureChunk.capture_id == capture.id
    if session.scalar(select(func.count()).where(mine)) == chunk.chunks:
        capture.counts = b"".join(session.scalars(select(CaptureChunk.counts).where(mine).order_by(CaptureChunk.chunk)))
        capture.whole_ms = message.received_ms
        session.execute(delete(CaptureChunk).where(mine))


def _make(session: Session, node_id: int, message: Parsed, chunk: Chunk) -> Capture:
    place = machines.place_at(session, message.site, message.node, message.at_ms) or Place(message.node, None)
    raised = None if chunk.occurrence is None else f"{message.node}-{chunk.capture_boot}-{chunk.occurrence}"
    capture = Capture(
        id=str(ULID()),
        node_id=node_id,
        capture_boot=chunk.capture_boot,
        number=chunk.capture,
        machine=place.machine,
        point=place.point,
        at_ms=message.at_ms,
        received_ms=message.received_ms,
        trigger=chunk.trigger.name.lower(),
        occurrence=raised,
        action=chunk.action,
        unit=UNITS[chunk.unit - 1],
        rate_mhz=chunk.rate_mhz,
        lsb_nano=chunk.lsb_nano,
        channels=chunk.frames.shape[1],
        samples=chunk.samples,
        pre=chunk.pre,
    )
    session.add(capture)
    session.flush()
    return capture


def whole(session: Session, node_id: int, chunk: Chunk) -> bool:
    """The capture of this chunk is safe: now the node may forget it."""
    session.flush()
    found = _of(session, node_id, chunk)
    return found is not None and found.whole_ms is not None


def listed() -> Select[*tuple[Any, ...]]:
    """(Capture, site, node, alert id) of all that are whole."""
    query = select(Capture, Node.site, Node.name, Occurrence.alert_id).join(Node, Node.id == Capture.node_id)
    same = (Occurrence.node_id == Capture.node_id) & (Occurrence.occurrence == Capture.occurrence)
    return query.outerjoin(Occurrence, same).where(Capture.whole_ms.is_not(None))


def find(session: Session, id: str) -> tuple[Capture, str, str, str | None]:
    """As `listed`, of one. NotFoundError while it is not whole."""
    found = session.execute(listed().where(Capture.id == id)).one_or_none()
    if found is None:
        raise NotFoundError(Said("no capture %(capture)s", capture=id))
    return found[0], found[1], found[2], found[3]


def of_alert(session: Session, alert: Alert) -> Capture:
    """The newest one of the alert's occurrences. ConflictError: none has come yet."""
    query = select(Capture).join(
        Occurrence, (Occurrence.node_id == Capture.node_id) & (Occurrence.occurrence == Capture.occurrence)
    )
    mine = query.where(Occurrence.alert_id == alert.alert_id, Capture.whole_ms.is_not(None))
    found = session.scalars(mine.order_by(Capture.at_ms.desc(), Capture.id.desc()).limit(1)).first()
    if found is None:
        raise ConflictError(
            Said("alert %(alert)s: no capture of it has come; ask for one with the command `capture`", alert=alert.alert_id)
        )
    return found


def baseline(session: Session, capture: Capture) -> list[Capture]:
    """The newest ones of the same point before this one that no alert has taken: how the machine is when it is well."""
    query = select(Capture).where(
        Capture.node_id == capture.node_id,
        Capture.machine == capture.machine,
        Capture.at_ms < capture.at_ms,
        Capture.whole_ms.is_not(None),
        Capture.trigger != "alert",
        Capture.unit == capture.unit,
        Capture.channels == capture.channels,
    )
    query = query.where(Capture.point == capture.point if capture.point is not None else Capture.point.is_(None))
    return list(session.scalars(query.order_by(Capture.at_ms.desc()).limit(BASELINE_MAX)))


def counts(capture: Capture) -> npt.NDArray[np.int16]:
    """(samples, channels), as the sensor gave them."""
    return np.frombuffer(capture.counts or b"", "<i2").reshape(-1, capture.channels).astype(np.int16)


def values(capture: Capture) -> npt.NDArray[np.float64]:
    """(samples, channels) in the capture's unit."""
    scaled: npt.NDArray[np.float64] = counts(capture).astype(np.float64)
    scaled *= capture.lsb_nano * 1e-9
    return scaled


def prune(session: Session, now_ms: int, days: int) -> None:
    """What belongs to no alert goes by age; what never became whole after a day: the node has long given up."""
    old = (Capture.occurrence.is_(None) & (Capture.at_ms < now_ms - days * _DAY_MS)) | (
        Capture.whole_ms.is_(None) & (Capture.received_ms < now_ms - _DAY_MS)
    )
    gone = select(Capture.id).where(old)
    session.execute(delete(CaptureChunk).where(CaptureChunk.capture_id.in_(gone)))
    session.execute(delete(Capture).where(old))
