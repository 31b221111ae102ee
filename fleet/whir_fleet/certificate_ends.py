"""Certificates of nodes that are about to end, or are not renewed: an alert of the node's machine, or of the site when many.

A node tells in its status until when its certificate lasts, and is asked for a new one from the last third of its life on, see
`renewal`. Alerted are nodes of which half of that third is gone, however that came (nobody renews, nobody hears the node), and
at once those that were asked `TRIES` times running and still are due. It ends with the status that tells of a new certificate,
and when the node takes leave or is retired.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Final

from sqlalchemy import BigInteger, and_, cast, func, or_, select
from sqlalchemy.orm import Session

from whir_fleet import node_alerts, site_alerts
from whir_fleet.models import Command, Device, Node, Occurrence
from whir_fleet.renewal import EXPIRES_S, RENEW, again_s, is_due
from whir_fleet.said import Number, Said

CERTIFICATE_ENDS: Final = "certificate_ends"
SEVERITY: Final = "warning"
TRIES: Final = 3
SOON_PART: Final = 6  # of its life
_PREFIX: Final = "certificate-"  # of the occurrence's name
_DAY_S: Final = 86_400


def check(session: Session, now_ms: int, lifetime: timedelta) -> None:
    """Raises and clears. `lifetime`: of the certificates that the fleet issues."""
    failing = _failing(session, now_ms, lifetime)
    found = {node.id: node for node in _ending(session, now_ms, lifetime, failing)}
    raised = (Occurrence.state == "active", Occurrence.occurrence.startswith(_PREFIX))
    sites = select(Occurrence.node_id, Node.site).join(Node, Node.id == Occurrence.node_id).where(*raised)
    known: dict[int, str] = {node_id: site for node_id, site in session.execute(sites)}
    if over := known.keys() - found.keys():
        node_alerts.clear(session, over, _PREFIX, now_ms)
    if fresh := [found[node_id] for node_id in sorted(found.keys() - known.keys())]:
        more = Counter(site for node_id, site in known.items() if node_id in found)

        def why(node: Node) -> str:
            return _why(node, failing.get(node.id), now_ms)

        node_alerts.raise_all(
            session, CERTIFICATE_ENDS, SEVERITY, fresh, lambda _: f"{_PREFIX}{now_ms}", why, now_ms, already=more
        )
        site_alerts.gather(session, now_ms, CERTIFICATE_ENDS)


def _failing(session: Session, now_ms: int, lifetime: timedelta) -> dict[int, int]:
    """Who was asked how many times running, with enough time to answer each."""
    tries = select(Command.node_id, func.count()).where(
        Command.c == RENEW,
        Command.created_ms > now_ms - 1000 * (TRIES + 1) * again_s(lifetime),
        Command.created_ms <= now_ms - 1000 * EXPIRES_S,
    )
    rows = session.execute(tries.group_by(Command.node_id).having(func.count() >= TRIES))
    return {node_id: count for node_id, count in rows}


def _ending(session: Session, now_ms: int, lifetime: timedelta, failing: dict[int, int]) -> list[Node]:
    soon_s = now_ms // 1000 + int(lifetime.total_seconds()) // SOON_PART
    end_s = cast(Node.health["cert_end"].as_string(), BigInteger)
    query = select(Node).outerjoin(Device, and_(Device.site == Node.site, Device.node == Node.name))
    query = query.where(
        Node.health.is_not(None), Device.retired_ms.is_(None), or_(Node.state.is_(None), Node.state != "stopped")
    )
    nodes = session.scalars(query.where(or_(end_s < soon_s, Node.id.in_(failing))))
    return [n for n in nodes if _end_s(n) < soon_s or is_due(n.health or {}, now_ms // 1000, lifetime)]


def _end_s(node: Node) -> float:
    end_s = (node.health or {}).get("cert_end")
    return float("inf") if end_s is None else end_s


def _why(node: Node, tries: int | None, now_ms: int) -> Said:
    end_s = _end_s(node) - now_ms // 1000
    days = Number(f"{end_s / _DAY_S:.1f}")
    if end_s <= 0:
        return Said("the certificate of node %(node)s has ended", node=node.name)
    if tries is None:
        return Said("the certificate of node %(node)s ends in %(days)s days", node=node.name, days=days)
    return Said(
        "the certificate of node %(node)s was not renewed, %(tries)s tries; it ends in %(days)s days",
        node=node.name,
        tries=tries,
        days=days,
    )
