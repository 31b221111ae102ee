"""Alerts: one per machine and fault class until it is resolved. Every change is a row that the worker publishes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session
from ulid import ULID

from whir_contracts import contract
from whir_fleet import machines
from whir_fleet.errors import ConflictError, NotFoundError
from whir_fleet.machines import Place
from whir_fleet.messages import Parsed
from whir_fleet.models import Alert, AlertChange, Node, Occurrence

OPEN, ACKNOWLEDGED, RESOLVED = "open", "acknowledged", "resolved"

# (state, what happens) → state. Anything else is not possible.
TRANSITIONS = {
    (OPEN, "update"): OPEN,
    (OPEN, "acknowledge"): ACKNOWLEDGED,
    (OPEN, "resolve"): RESOLVED,
    (ACKNOWLEDGED, "update"): ACKNOWLEDGED,
    (ACKNOWLEDGED, "escalate"): OPEN,
    (OPEN, "escalate"): OPEN,
    (ACKNOWLEDGED, "resolve"): RESOLVED,
}


def apply(session: Session, node_id: int, message: Parsed) -> None:
    """One alert message of a node. Within an occurrence the newest (boot, seq) wins, never the order of arrival."""
    body = message.body
    assert message.seq is not None
    node = session.get_one(Node, node_id)
    occurrence = session.get(Occurrence, (node_id, body["occurrence"]), with_for_update=True)
    if occurrence is None:
        occurrence = Occurrence(node_id=node_id, occurrence=body["occurrence"], alert_id=None)
        occurrence.boot, occurrence.seq, occurrence.state = message.boot, message.seq, body["state"]
        session.add(occurrence)
    elif (message.boot, message.seq) <= (occurrence.boot, occurrence.seq):
        return
    else:
        occurrence.boot, occurrence.seq, occurrence.state = message.boot, message.seq, body["state"]
    if body["state"] == "pending":
        return  # not yet an alert: the node's on-delay is still running
    place = machines.place_at(session, node.site, node.name, message.at_ms) or Place(body.get("machine") or node.name, None)
    alert = _alert_of(session, occurrence, node.site, place.machine, body["verdict"])
    if alert is None:
        alert = _open(node.site, place.machine, message)
        session.add(alert)
        session.flush()
    if occurrence.alert_id != alert.alert_id:
        occurrence.alert_id = alert.alert_id
        alert.occurrences += 1
    _step(session, alert, node, occurrence, message)


def _alert_of(session: Session, occurrence: Occurrence, site: str, machine: str, verdict: str) -> Alert | None:
    """The alert of this message: the occurrence's own while it is unresolved, else the machine's for this fault."""
    if occurrence.alert_id is not None:
        alert = session.get_one(Alert, occurrence.alert_id, with_for_update=True)
        if alert.state != RESOLVED or occurrence.state == "cleared":
            return alert
    return session.scalar(
        select(Alert)
        .where(Alert.site == site, Alert.machine == machine, Alert.verdict == verdict, Alert.state != RESOLVED)
        .with_for_update()
    )


def _open(site: str, machine: str, message: Parsed) -> Alert:
    body = message.body
    return Alert(
        alert_id=str(ULID()),
        site=site,
        machine=machine,
        verdict=body["verdict"],
        state=OPEN,
        severity=body["severity"],
        occurrences=0,
        opened_ms=message.at_ms,
        updated_ms=message.received_ms,
        last=body,
    )


def _step(session: Session, alert: Alert, node: Node, occurrence: Occurrence, message: Parsed) -> None:
    body = message.body
    if alert.state == RESOLVED:
        return  # resolved by hand before the node cleared it: nothing to tell
    cleared = body["state"] == "cleared"
    if cleared:
        # A node that was switched off never clears what it had raised in an earlier boot, so those do not hold the alert open.
        still = session.scalar(
            select(func.count())
            .select_from(Occurrence)
            .where(Occurrence.alert_id == alert.alert_id, Occurrence.state == "active")
            .where(
                (Occurrence.node_id != node.id) | (Occurrence.boot >= message.boot),
                Occurrence.occurrence != occurrence.occurrence,
            )
        )
        what = "update" if still else "resolve"
    else:
        what = "escalate" if _rank(body["severity"]) > _rank(alert.severity) else "update"
    alert.state = TRANSITIONS[alert.state, what]
    if not cleared:
        alert.severity = body["severity"]
    alert.last = {**body, "node": node.name}
    alert.updated_ms = message.received_ms
    if alert.state == RESOLVED:
        alert.resolved_ms = message.at_ms
    _record(session, alert, message.received_ms)


def _rank(severity: str) -> int:
    return contract.Severity[severity.upper()].value


def _record(session: Session, alert: Alert, now_ms: int) -> None:
    session.add(AlertChange(alert_id=alert.alert_id, at_ms=now_ms, message=message_of(alert)))


def message_of(alert: Alert) -> dict[str, Any]:
    """What goes out on `…/_fleet/alert/<alert_id>`, by the contract's fields."""
    own = {
        "alert_id": alert.alert_id,
        "site": alert.site,
        "machine": alert.machine,
        "state": alert.state,
        "severity": alert.severity,
        "verdict": alert.verdict,
    }
    values = alert.last | own
    return {name: values[name] for name in contract.FLEET_TOPICS["alert"]["fields"] if name in values}


def topic_of(message: dict[str, Any]) -> str:
    return f"{contract.TOPIC_PREFIX}/{message['site']}/_fleet/alert/{message['alert_id']}"


def find(session: Session, alert_id: str, for_update: bool = False) -> Alert:
    alert = session.get(Alert, alert_id, with_for_update=for_update or None)
    if alert is None:
        raise NotFoundError(f"no alert {alert_id}")
    return alert


def acknowledge(session: Session, alert_id: str, who: str, now_ms: int) -> Alert:
    alert = _by_hand(session, alert_id, "acknowledge")
    alert.acknowledged_ms, alert.acknowledged_by, alert.updated_ms = now_ms, who, now_ms
    _record(session, alert, now_ms)
    return alert


def resolve(session: Session, alert_id: str, now_ms: int) -> Alert:
    """By hand. When the node goes on hearing the fault, its next message opens a new alert."""
    alert = _by_hand(session, alert_id, "resolve")
    alert.resolved_ms = alert.updated_ms = now_ms
    _record(session, alert, now_ms)
    return alert


def _by_hand(session: Session, alert_id: str, what: str) -> Alert:
    alert = find(session, alert_id, for_update=True)
    state = TRANSITIONS.get((alert.state, what))
    if state is None:
        raise ConflictError(f"alert {alert_id} is {alert.state}: cannot {what} it")
    alert.state = state
    return alert


def unpublished(session: Session, limit: int) -> list[AlertChange]:
    """Oldest first: the outbox."""
    return list(
        session.scalars(select(AlertChange).where(AlertChange.published_ms.is_(None)).order_by(AlertChange.id).limit(limit))
    )


def published(session: Session, ids: list[int], now_ms: int) -> None:
    session.execute(update(AlertChange).where(AlertChange.id.in_(ids)).values(published_ms=now_ms))


def changes_after(session: Session, last_id: int, limit: int) -> list[AlertChange]:
    """For the alert stream: everything recorded after `last_id`."""
    return list(session.scalars(select(AlertChange).where(AlertChange.id > last_id).order_by(AlertChange.id).limit(limit)))


def newest_change(session: Session) -> int:
    return session.scalar(select(func.max(AlertChange.id))) or 0
