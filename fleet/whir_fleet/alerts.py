"""Alerts: one per machine and fault class until it is resolved. Every change is a row, and most are published by the worker.

The table is the life cycle; docs/ALERTS.md explains it. Time is passed in, nodes' messages come from ingest.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased
from ulid import ULID

from whir_contracts import contract
from whir_fleet import machines, maintenance, notify
from whir_fleet.errors import ConflictError, NotFoundError
from whir_fleet.machines import Place
from whir_fleet.messages import Parsed
from whir_fleet.models import Alert, AlertChange, Artifact, Node, Occurrence
from whir_fleet.said import Said

NEW, OPEN, ACKNOWLEDGED, RESOLVED = "new", "open", "acknowledged", "resolved"

# (state, what happens) → state. Anything else is not possible: for people it is a 409.
TRANSITIONS: Final = {
    (NEW, "open"): OPEN,
    (NEW, "clear"): RESOLVED,
    (OPEN, "update"): OPEN,
    (OPEN, "worsen"): OPEN,
    (OPEN, "damp"): OPEN,
    (OPEN, "announce"): OPEN,
    (OPEN, "escalate"): OPEN,
    (OPEN, "assign"): OPEN,
    (OPEN, "acknowledge"): ACKNOWLEDGED,
    (OPEN, "comment"): OPEN,
    (OPEN, "clear"): RESOLVED,
    (OPEN, "join"): RESOLVED,
    (OPEN, "resolve"): RESOLVED,
    (ACKNOWLEDGED, "update"): ACKNOWLEDGED,
    (ACKNOWLEDGED, "worsen"): OPEN,
    (ACKNOWLEDGED, "damp"): ACKNOWLEDGED,
    (ACKNOWLEDGED, "announce"): ACKNOWLEDGED,
    (ACKNOWLEDGED, "assign"): ACKNOWLEDGED,
    (ACKNOWLEDGED, "comment"): ACKNOWLEDGED,
    (ACKNOWLEDGED, "clear"): RESOLVED,
    (ACKNOWLEDGED, "join"): RESOLVED,
    (ACKNOWLEDGED, "resolve"): RESOLVED,
    (RESOLVED, "comment"): RESOLVED,
    (OPEN, "outcome"): OPEN,
    (ACKNOWLEDGED, "outcome"): ACKNOWLEDGED,
    (RESOLVED, "outcome"): RESOLVED,
}
UNPUBLISHED: Final = ("assign", "comment", "outcome")  # nothing that the message to subscribers says has changed

# A fault that was raised FLAP_RAISES times within FLAP_WINDOW_MS flaps: it is resolved only when it has stayed clear for
# FLAP_HOLD_MS, so that it is one alert instead of one every few minutes.
FLAP_RAISES, FLAP_WINDOW_MS, FLAP_HOLD_MS = 3, 3_600_000, 600_000

FLEET = "fleet"  # who did it, when nobody did
SITE = "_site"  # the machine of an alert that stands for many nodes of a site


# What nodes say ---------------------------------------------------------------------------------------------------------


def apply(session: Session, node: Node, message: Parsed) -> None:
    """One alert message of a node. Within an occurrence the newest (boot, seq) wins, never the order of arrival."""
    body = message.body
    assert message.seq is not None
    occurrence = session.get(Occurrence, (node.id, body["occurrence"]), with_for_update=True)
    if occurrence is None:
        occurrence = Occurrence(node_id=node.id, occurrence=body["occurrence"], raised_ms=message.at_ms)
    elif (message.boot, message.seq) <= (occurrence.boot, occurrence.seq):
        return
    occurrence.boot, occurrence.seq, occurrence.state = message.boot, message.seq, body["state"]
    if body["state"] == "pending":
        session.add(occurrence)
        return  # not yet an alert: the node's on-delay is still running
    place = machines.place_at(session, node.site, node.name, message.at_ms)
    place = place or Place(body.get("machine") or node.name, body.get("point"))
    alert = _alert_of(session, occurrence, node.site, place.machine, body["verdict"])
    if alert is None:
        alert = _make(session, node, place, message)
    if occurrence.alert_id != alert.alert_id:
        occurrence.alert_id, occurrence.raised_ms = alert.alert_id, message.at_ms
        alert.occurrences += 1
    session.add(occurrence)  # after its alert, which its row refers to
    if alert.state == RESOLVED:
        return  # resolved by hand before the node cleared it: nothing to tell
    if alert.machine != SITE:
        _describe(alert, node, place, body)
    if body["state"] == "cleared":
        cleared(session, alert, message.received_ms, _who(node), message.at_ms)
    elif alert.machine != SITE:  # many nodes' messages would drown what the site's alert says
        _active(session, alert, body["severity"], message.received_ms, _who(node))


def _alert_of(session: Session, occurrence: Occurrence, site: str, machine: str, verdict: str) -> Alert | None:
    """The alert of this message: the occurrence's own while it is unresolved, else the machine's for this fault."""
    if occurrence.alert_id is not None:
        alert = session.get_one(Alert, occurrence.alert_id, with_for_update=True)
        if alert.state != RESOLVED or occurrence.state == "cleared":
            return alert
    return unresolved(session, site, machine, verdict)


def _make(session: Session, node: Node, place: Place, message: Parsed) -> Alert:
    body = message.body
    alert = Alert(
        site=node.site,
        machine=place.machine,
        verdict=body["verdict"],
        severity=body["severity"],
        opened_ms=message.at_ms,
        updated_ms=message.received_ms,
        model=body.get("model"),
        counter=body.get("counter"),
        model_version=_model_version(session, node, body),
        last={**body, "node": node.name},
    )
    return make(session, alert, message.received_ms)


def _model_version(session: Session, node: Node, body: dict[str, Any]) -> str | None:
    """The message names model and counter; the version is the node's, or that of the bundle that has this counter."""
    model, counter = body.get("model"), body.get("counter")
    if model is None or counter is None:
        return None
    if (node.model, node.counter) == (model, counter):
        return node.model_version
    query = select(Artifact.model_version).where(Artifact.model == model, Artifact.counter == counter)
    return session.scalars(query.limit(1)).first()


def _describe(alert: Alert, node: Node, place: Place, body: dict[str, Any]) -> None:
    alert.point = place.point
    alert.last = {**body, "node": node.name, "point": place.point}


def _active(session: Session, alert: Alert, severity: str, now_ms: int, who: str) -> None:
    alert.settles_ms = None
    worse = _rank(severity) > _rank(alert.severity)
    what = "open" if alert.state == NEW else "worsen" if worse else "update"
    alert.severity = severity
    step(session, alert, what, now_ms, who)


def _who(node: Node) -> str:
    return f"node {node.name}"


def _rank(severity: str) -> int:
    return contract.Severity[severity.upper()].value


# What nodes' messages and the fleet's own watch have in common -----------------------------------------------------------


def unresolved(session: Session, site: str, machine: str, verdict: str) -> Alert | None:
    """The machine's alert for this fault."""
    return session.scalar(
        select(Alert)
        .where(Alert.site == site, Alert.machine == machine, Alert.verdict == verdict, Alert.state != RESOLVED)
        .with_for_update()
    )


def make(session: Session, alert: Alert, now_ms: int) -> Alert:
    """Enters a new alert, which is not open yet. When another process was faster, its alert is returned instead."""
    alert.alert_id, alert.state = str(ULID()), NEW
    alert.occurrences, alert.escalations = 0, 0
    alert.open_ms = now_ms
    alert.muted = maintenance.covers(session, alert.site, alert.machine, now_ms)
    try:
        with session.begin_nested():
            session.add(alert)
    except IntegrityError:
        other = unresolved(session, alert.site, alert.machine, alert.verdict)
        if other is None:
            raise
        return other
    return alert


def step(session: Session, alert: Alert, what: str, now_ms: int, who: str, why: str | None = None) -> None:
    """What happens to an alert, by the table. ConflictError: not in its present state."""
    state = TRANSITIONS.get((alert.state, what))
    if state is None:
        raise ConflictError(
            Said("alert %(alert)s is %(state)s: cannot %(what)s it", alert=alert.alert_id, state=alert.state, what=what)
        )
    if state == OPEN and alert.state != OPEN:
        alert.open_ms = now_ms
    if state == RESOLVED and alert.state != RESOLVED:
        alert.resolved_ms, alert.settles_ms = now_ms, None
    alert.state, alert.updated_ms = state, now_ms
    told = not alert.muted and what not in UNPUBLISHED
    change = AlertChange(alert_id=alert.alert_id, at_ms=now_ms, what=what, who=who, why=why, told=told)
    change.message = message_of(alert)
    session.add(change)
    if told:
        notify.queue(session, alert, what, why, now_ms)


def cleared(session: Session, alert: Alert, now_ms: int, who: str, at_ms: int | None = None) -> None:
    """One of its occurrences has ended. Resolves the alert with the last one, at once unless the fault flaps."""
    if session.scalar(select(func.count()).select_from(Occurrence).where(*_holds(alert))):
        if alert.machine != SITE:
            step(session, alert, "update", now_ms, who)
        return
    at_ms = now_ms if at_ms is None else at_ms
    raises = _raises(session, alert, at_ms - FLAP_WINDOW_MS)
    if raises >= FLAP_RAISES and alert.state != NEW and alert.machine != SITE:
        alert.settles_ms = now_ms + FLAP_HOLD_MS
        step(
            session,
            alert,
            "damp",
            now_ms,
            who,
            Said("raised %(times)s times within an hour: has to stay clear first", times=raises),
        )
        return
    step(session, alert, "clear", now_ms, who)
    alert.resolved_ms = at_ms


def _holds(alert: Alert) -> tuple[ColumnElement[bool], ...]:
    """Occurrences that keep an alert from being resolved. A node that was switched off never clears what it had raised in an
    earlier boot, so those do not."""
    newer = aliased(Occurrence)
    latest = select(func.max(newer.boot)).where(newer.alert_id == alert.alert_id, newer.node_id == Occurrence.node_id)
    return (Occurrence.alert_id == alert.alert_id, Occurrence.state == "active", Occurrence.boot >= latest.scalar_subquery())


def _raises(session: Session, alert: Alert, since_ms: int) -> int:
    """How often this fault of this machine was raised since then, over all its alerts."""
    query = select(func.count()).select_from(Occurrence).join(Alert, Alert.alert_id == Occurrence.alert_id)
    same = (Alert.site == alert.site, Alert.machine == alert.machine, Alert.verdict == alert.verdict)
    return session.scalar(query.where(*same, Occurrence.raised_ms > since_ms)) or 0


def settle(session: Session, now_ms: int) -> None:
    """Resolves what has flapped and has stayed clear since."""
    query = select(Alert).where(Alert.state != RESOLVED, Alert.settles_ms <= now_ms).with_for_update()
    for alert in session.scalars(query).all():
        step(session, alert, "clear", now_ms, FLEET, Said("stayed clear"))


def announce(session: Session, now_ms: int) -> None:
    """Tells what was opened in a maintenance window that is over, and is still there."""
    query = select(Alert).where(Alert.state != RESOLVED, Alert.muted.is_(True)).with_for_update()
    for alert in session.scalars(query).all():
        if not maintenance.covers(session, alert.site, alert.machine, now_ms):
            alert.muted, alert.open_ms = False, now_ms
            step(session, alert, "announce", now_ms, FLEET, Said("the maintenance window is over"))


# What people do ---------------------------------------------------------------------------------------------------------


def find(session: Session, alert_id: str, for_update: bool = False) -> Alert:
    alert = session.get(Alert, alert_id, with_for_update=for_update or None)
    if alert is None:
        raise NotFoundError(Said("no alert %(alert)s", alert=alert_id))
    return alert


def acknowledge(session: Session, alert_id: str, who: str, now_ms: int, why: str | None = None) -> Alert:
    """Somebody has seen it. A rise in severity opens it again."""
    alert = find(session, alert_id, for_update=True)
    step(session, alert, "acknowledge", now_ms, who, why)
    alert.acknowledged_ms, alert.acknowledged_by = now_ms, who
    return alert


def comment(session: Session, alert_id: str, text: str, who: str, now_ms: int) -> Alert:
    """Something to remember, in any state."""
    alert = find(session, alert_id, for_update=True)
    step(session, alert, "comment", now_ms, who, text)
    return alert


def resolve(session: Session, alert_id: str, who: str, now_ms: int, why: str | None = None) -> Alert:
    """By hand. When the node goes on hearing the fault, its next message opens a new alert."""
    alert = find(session, alert_id, for_update=True)
    step(session, alert, "resolve", now_ms, who, why)
    return alert


def assign(session: Session, alert_id: str, to: str | None, who: str, now_ms: int, why: str | None = None) -> Alert:
    """Whose it is from now on; None gives it back."""
    alert = find(session, alert_id, for_update=True)
    alert.assigned_to = to
    whom = to or Said("nobody")
    step(session, alert, "assign", now_ms, who, Said("%(what)s: %(why)s", what=whom, why=why) if why else whom)
    return alert


# What goes out ----------------------------------------------------------------------------------------------------------


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


def unpublished(session: Session, limit: int) -> list[AlertChange]:
    """Oldest first: the outbox."""
    query = select(AlertChange).where(AlertChange.published_ms.is_(None), AlertChange.told.is_(True))
    return list(session.scalars(query.order_by(AlertChange.id).limit(limit)))


def published(session: Session, ids: list[int], now_ms: int) -> None:
    session.execute(update(AlertChange).where(AlertChange.id.in_(ids)).values(published_ms=now_ms))


def changes_after(session: Session, last_id: int, limit: int) -> list[AlertChange]:
    """For the alert stream: everything told after `last_id`."""
    query = select(AlertChange).where(AlertChange.id > last_id, AlertChange.told.is_(True))
    return list(session.scalars(query.order_by(AlertChange.id).limit(limit)))


def newest_change(session: Session) -> int:
    return session.scalar(select(func.max(AlertChange.id))) or 0
