"""Alerts that the fleet itself raises of nodes: one for each machine, or one for the site when many have the same at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from sqlalchemy.orm import Session

from whir_fleet import alerts, machines, site_alerts
from whir_fleet.models import Alert, Node, Occurrence


def raise_all(
    session: Session,
    verdict: str,
    severity: str,
    nodes: Iterable[Node],
    name: Callable[[Node], str],
    why: Callable[[Node], str],
    now_ms: int,
    already: Mapping[str, int] = MappingProxyType({}),
) -> None:
    """An occurrence for each of these nodes.

    Args:
        name: of its occurrence.
        already: by site, how many more of its nodes have it and count together with these.
    """
    by_site: dict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        by_site[node.site].append(node)
    totals = site_alerts.totals(session, by_site)
    for site, found in sorted(by_site.items()):
        made = [_occurrence(node, name(node), now_ms) for node in found]
        session.add_all(made)
        session.flush()
        whole = alerts.unresolved(session, site, alerts.SITE, verdict)
        if whole is not None or site_alerts.is_common(len(found) + already.get(site, 0), totals[site]):
            site_alerts.join(session, site, verdict, severity, made, now_ms)
            continue
        places = machines.places(session, found)
        for node, occurrence in zip(found, made, strict=True):
            _raise_one(session, verdict, severity, node, occurrence, places[node.id], why(node), now_ms)


def clear(session: Session, node_ids: Iterable[int], prefix: str, now_ms: int) -> None:
    """Ends what was raised of these nodes under names that begin so."""
    for alert_id in site_alerts.forget(session, list(node_ids), prefix):
        alert = alerts.find(session, alert_id, for_update=True)
        if alert.state != alerts.RESOLVED:
            alerts.cleared(session, alert, now_ms, alerts.FLEET)


def _occurrence(node: Node, name: str, now_ms: int) -> Occurrence:
    return Occurrence(node_id=node.id, occurrence=name, boot=node.boot or 0, seq=0, state="active", raised_ms=now_ms)


def _raise_one(
    session: Session,
    verdict: str,
    severity: str,
    node: Node,
    occurrence: Occurrence,
    place: machines.Place,
    why: str,
    now_ms: int,
) -> None:
    alert = alerts.unresolved(session, node.site, place.machine, verdict)
    body = site_alerts.last(verdict, severity, now_ms) | {"node": node.name, "point": place.point}
    if alert is None:
        alert = Alert(site=node.site, machine=place.machine, verdict=verdict, severity=severity, opened_ms=now_ms)
        alert.updated_ms, alert.last = now_ms, body
        alert = alerts.make(session, alert, now_ms)
    occurrence.alert_id, alert.last, alert.point = alert.alert_id, body, place.point
    alert.occurrences += 1
    alert.settles_ms = None
    alerts.step(session, alert, "open" if alert.state == alerts.NEW else "update", now_ms, alerts.FLEET, why)
