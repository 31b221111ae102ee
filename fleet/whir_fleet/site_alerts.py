"""One alert for a site instead of one for each machine, when many of its nodes change the same way at the same time.

The same way: they fell silent, or raise the same verdict with a model that they have got lately. That speaks of the network,
the power or the model, not of so many machines.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session

from whir_contracts import contract
from whir_fleet import alerts
from whir_fleet.models import Alert, Event, Node, Occurrence
from whir_fleet.said import Said

SENSOR_LOST = "sensor_lost"
WINDOW_MS = 5 * 60_000
PERCENT, AT_LEAST = 10, 3  # more than so many percent of the site's nodes, and so many
LATELY_MS = 24 * 3_600_000  # what counts as after a model change
_MODEL_CHANGES: Final = ("update_trial", "update_confirmed", "update_reverted", "rollback_done")
_OF_ALERT: Final = (Occurrence, Occurrence.alert_id == Alert.alert_id)


def is_common(count: int, total: int) -> bool:
    return count >= AT_LEAST and count * 100 > PERCENT * total


def totals(session: Session, sites: Iterable[str]) -> dict[str, int]:
    """Nodes of each site, without those that took leave."""
    query = select(Node.site, func.count()).where(Node.site.in_(sites), or_(Node.state.is_(None), Node.state != "stopped"))
    return {site: count for site, count in session.execute(query.group_by(Node.site))}


def gather(session: Session, now_ms: int, verdict: str | None = None) -> list[Alert]:
    """Moves what machines' alerts have in common into their site's, and resolves them by that. Returns the sites' alerts.

    Args:
        verdict: only this one, and whenever it was raised.
    """
    since_ms = now_ms - WINDOW_MS if verdict is None else 0
    joint = (*_active_singly(since_ms), _speaks_of_more(now_ms) if verdict is None else Alert.verdict == verdict)
    counts = select(Alert.site, Alert.verdict, func.count(Occurrence.node_id.distinct())).join(*_OF_ALERT)
    rows = session.execute(counts.where(*joint).group_by(Alert.site, Alert.verdict).order_by(Alert.site, Alert.verdict)).all()
    known = totals(session, {site for site, _, _ in rows}) if rows else {}
    found = []
    for site, verdict, fresh in rows:  # every second, with thousands open: members are read only where there is a case
        whole = alerts.unresolved(session, site, alerts.SITE, verdict)
        count = fresh + (_active_since(session, whole, since_ms) if whole else 0)
        if is_common(count, known.get(site, 0)):
            of = select(Alert, Occurrence).join(*_OF_ALERT).where(*joint, Alert.site == site, Alert.verdict == verdict)
            members = [(alert, occurrence) for alert, occurrence in session.execute(of)]
            found.append(_fold(session, site, verdict, members, now_ms))
    return found


def _active_singly(since_ms: int) -> tuple[ColumnElement[bool], ...]:
    """Raised since then, still active, and not of a site's alert yet."""
    return (
        Occurrence.raised_ms > since_ms,
        Occurrence.state == "active",
        Alert.state != alerts.RESOLVED,
        Alert.machine != alerts.SITE,
    )


def _speaks_of_more(now_ms: int) -> ColumnElement[bool]:
    """Of silence, or after a change of the model."""
    changed = select(Event.node_id).where(Event.node_id == Occurrence.node_id, Event.kind.in_(_MODEL_CHANGES))
    return or_(Alert.verdict == SENSOR_LOST, changed.where(Event.at_ms > now_ms - LATELY_MS).exists())


def _active_since(session: Session, alert: Alert, since_ms: int) -> int:
    query = select(func.count(Occurrence.node_id.distinct())).where(Occurrence.alert_id == alert.alert_id)
    return session.scalar(query.where(Occurrence.state == "active", Occurrence.raised_ms > since_ms)) or 0


def _fold(session: Session, site: str, verdict: str, members: list[tuple[Alert, Occurrence]], now_ms: int) -> Alert:
    single = {alert.alert_id: alert for alert, _ in members}
    severity = max((alert.severity for alert in single.values()), key=lambda name: contract.Severity[name.upper()].value)
    first = next(iter(single.values()))
    model = (first.model, first.model_version, first.counter)
    whole = join(session, site, verdict, severity, [o for _, o in members], now_ms, model)
    session.flush()
    for alert in single.values():
        session.refresh(alert, with_for_update=True)
        left = select(func.count()).select_from(Occurrence)
        if not session.scalar(left.where(Occurrence.alert_id == alert.alert_id, Occurrence.state == "active")):
            alerts.step(session, alert, "join", now_ms, alerts.FLEET, Said("part of alert %(alert)s", alert=whole.alert_id))
    return whole


def join(
    session: Session,
    site: str,
    verdict: str,
    severity: str,
    occurrences: list[Occurrence],
    now_ms: int,
    model: tuple[str | None, str | None, int | None] = (None, None, None),
) -> Alert:
    """Puts these occurrences under the site's alert, which is opened by the first."""
    whole = alerts.unresolved(session, site, alerts.SITE, verdict)
    if whole is None:
        whole = Alert(site=site, machine=alerts.SITE, verdict=verdict, severity=severity, opened_ms=now_ms, updated_ms=now_ms)
        whole.model, whole.model_version, whole.counter = model
        whole.last = {}
        whole = alerts.make(session, whole, now_ms)
    for occurrence in occurrences:
        occurrence.alert_id = whole.alert_id
    session.flush()
    whole.occurrences += len(occurrences)
    whole.settles_ms = None
    nodes = session.scalar(
        select(func.count(Occurrence.node_id.distinct())).where(
            Occurrence.alert_id == whole.alert_id, Occurrence.state == "active"
        )
    )
    whole.last = last(verdict, severity, now_ms) | {"node": "_fleet", "nodes": nodes, "model": model[0], "counter": model[2]}
    what = "open" if whole.state == alerts.NEW else "update"
    alerts.step(session, whole, what, now_ms, alerts.FLEET, Said("%(nodes)s nodes", nodes=nodes))
    return whole


def last(verdict: str, severity: str, now_ms: int) -> dict[str, Any]:
    """An alert message that comes from the fleet itself, by the contract's fields."""
    return {
        "v": contract.MESSAGE_VERSION,
        "ts": now_ms,
        "synced": True,
        "state": "active",
        "severity": severity,
        "verdict": verdict,
        "p": 1000,
    }


def members_of(session: Session, alert_id: str) -> list[tuple[Occurrence, str]]:
    """The occurrences of an alert with their nodes' names, newest first."""
    query = select(Occurrence, Node.name).join(Node, Node.id == Occurrence.node_id).where(Occurrence.alert_id == alert_id)
    return [(occurrence, name) for occurrence, name in session.execute(query.order_by(Occurrence.raised_ms.desc(), Node.name))]


def forget(session: Session, node_ids: list[int], prefix: str) -> list[str]:
    """Ends the active occurrences of these nodes whose name begins so; returns the alerts that they belonged to."""
    mine = (Occurrence.node_id.in_(node_ids), Occurrence.state == "active", Occurrence.occurrence.startswith(prefix))
    found = list(session.scalars(select(Occurrence.alert_id).distinct().where(*mine, Occurrence.alert_id.is_not(None))))
    session.execute(update(Occurrence).where(*mine).values(state="cleared"), execution_options={"synchronize_session": False})
    return [alert_id for alert_id in found if alert_id is not None]
