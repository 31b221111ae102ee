"""Nodes that say nothing any more: a `sensor_lost` alert for each machine, or one for the site when many go at once.

Silent is who was not heard for 3 × the `next_s` that it announced, whatever the reason: a node whose last will came may be back
within a second. Who took leave (`stopped`) is not missed.
"""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from whir_fleet import alerts, devices, machines, site_alerts
from whir_fleet.models import Alert, Node, Occurrence
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
    by_site: dict[str, list[Node]] = defaultdict(list)
    for node in overdue:
        node.silent_ms = node.last_seen_ms
        by_site[node.site].append(node)
    totals = site_alerts.totals(session, by_site)
    for site, nodes in sorted(by_site.items()):
        made = [_occurrence(node, now_ms) for node in nodes]
        session.add_all(made)
        session.flush()
        whole = alerts.unresolved(session, site, alerts.SITE, SENSOR_LOST)
        if whole is not None or site_alerts.is_common(len(nodes), totals[site]):
            site_alerts.join(session, site, SENSOR_LOST, SEVERITY, made, now_ms)
            continue
        places = machines.places(session, nodes)
        for node, occurrence in zip(nodes, made, strict=True):
            _raise_one(session, node, occurrence, places[node.id], now_ms)


def _occurrence(node: Node, now_ms: int) -> Occurrence:
    name = f"{_PREFIX}{node.last_seen_ms}"
    return Occurrence(node_id=node.id, occurrence=name, boot=node.boot or 0, seq=0, state="active", raised_ms=now_ms)


def _raise_one(session: Session, node: Node, occurrence: Occurrence, place: machines.Place, now_ms: int) -> None:
    alert = alerts.unresolved(session, node.site, place.machine, SENSOR_LOST)
    body = site_alerts.last(SENSOR_LOST, SEVERITY, now_ms) | {"node": node.name, "point": place.point}
    if alert is None:
        alert = Alert(site=node.site, machine=place.machine, verdict=SENSOR_LOST, severity=SEVERITY, opened_ms=now_ms)
        alert.updated_ms, alert.last = now_ms, body
        alert = alerts.make(session, alert, now_ms)
    occurrence.alert_id, alert.last, alert.point = alert.alert_id, body, place.point
    alert.occurrences += 1
    alert.settles_ms = None
    why = Said(
        "node %(node)s has not been heard for %(silent)s s; it had announced its next word within %(next)s s",
        node=node.name,
        silent=(now_ms - node.last_seen_ms) // 1000,
        next=node.next_s,
    )
    alerts.step(session, alert, "open" if alert.state == alerts.NEW else "update", now_ms, alerts.FLEET, why)


def _clear(session: Session, back: list[Node], now_ms: int) -> None:
    for node in back:
        node.silent_ms = None
    session.flush()
    for alert_id in site_alerts.forget(session, [node.id for node in back], _PREFIX):
        alert = alerts.find(session, alert_id, for_update=True)
        if alert.state != alerts.RESOLVED:
            alerts.cleared(session, alert, now_ms, alerts.FLEET)
