"""Nodes that say nothing any more: a `sensor_lost` alert for each machine, or one for the site when many go at once.

Silent is who was not heard for 3 × the `next_s` that it announced, whatever the reason: a node whose last will came may be back
within a second. Who took leave (`stopped`) is not missed.
"""

from __future__ import annotations

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from whir_fleet import devices, node_alerts
from whir_fleet.models import Node
from whir_fleet.said import Said
from whir_fleet.site_alerts import SENSOR_LOST

SEVERITY = "warning"
_PREFIX = "silent-"  # of the occurrence's name; a node's own begin with its name and number


def check(session: Session, now_ms: int, watching_ms: int) -> bool:
    """Raises and clears; whether anything changed. `watching_ms`: since when this fleet listens. What nodes said before it did
    was lost, so nobody counts as silent for that time."""
    back = _back(session)
    if back:
        _clear(session, back, now_ms)
    overdue = _overdue(session, now_ms, watching_ms)
    if overdue:
        _raise(session, overdue, now_ms)
    return bool(back or overdue)


def _back(session: Session) -> list[Node]:
    query = select(Node).where(Node.silent_ms.is_not(None), or_(Node.last_seen_ms > Node.silent_ms, Node.state == "stopped"))
    return list(session.scalars(query.order_by(Node.id).with_for_update()))


def _overdue(session: Session, now_ms: int, watching_ms: int) -> list[Node]:
    limit = devices.SILENT_FACTOR * 1000 * Node.next_s
    query = select(Node).where(Node.silent_ms.is_(None), Node.next_s.is_not(None), Node.state != "stopped")
    query = query.where(Node.last_seen_ms + limit < now_ms, watching_ms + limit < now_ms)
    return list(session.scalars(query.order_by(Node.id).with_for_update()))


def _raise(session: Session, overdue: list[Node], now_ms: int) -> None:
    for node in overdue:
        node.silent_ms = node.last_seen_ms

    def why(node: Node) -> str:
        return Said(
            "node %(node)s has not been heard for %(silent)s s; it had announced its next word within %(next)s s",
            node=node.name,
            silent=(now_ms - node.last_seen_ms) // 1000,
            next=node.next_s,
        )

    node_alerts.raise_all(session, SENSOR_LOST, SEVERITY, overdue, lambda node: f"{_PREFIX}{node.last_seen_ms}", why, now_ms)


def _clear(session: Session, back: list[Node], now_ms: int) -> None:
    for node in back:
        node.silent_ms = None
    session.flush()
    node_alerts.clear(session, [node.id for node in back], _PREFIX, now_ms)
