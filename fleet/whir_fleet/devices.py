"""The node registry: a node is there from its first message on, and is what its newest status says."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, func, or_, select
from sqlalchemy.orm import Session

from whir_fleet.db import among, insert
from whir_fleet.errors import NotFoundError
from whir_fleet.messages import Parsed
from whir_fleet.models import BootCount, Node, NodeTag, table
from whir_fleet.said import Said

_STATUS_FIELDS = (
    "state", "next_s", "fw", "hardware", "engine", "model", "model_version", "counter", "slot", "trial", "sensor", "rate_mhz",
    "dropped", "reset", "fw_trial", "settings",
)  # fmt: skip
_HEALTH_FIELDS = (
    "power", "brownouts", "crashes", "heap_min", "stack_min", "stack_task", "overruns", "reopens", "captures_dropped",
    "fw_counter", "fw_trial", "cert", "cert_end",
)  # fmt: skip


# A node that said `next_s` counts as silent after this many times that.
SILENT_FACTOR = 3


def register(session: Session, seen_ms: dict[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    """Ids by (site, name), of nodes seen at these times; rows that are not there are made."""
    row = table(Node)
    ids = _ids(session, list(seen_ms))
    new = [
        {"site": site, "name": name, "first_seen_ms": at_ms, "last_seen_ms": at_ms}
        for (site, name), at_ms in seen_ms.items()
        if (site, name) not in ids
    ]
    if new:
        session.execute(insert(session, row).on_conflict_do_nothing(index_elements=["site", "name"]), new)
        ids = _ids(session, list(seen_ms))
    return ids


def lock(session: Session, node_ids: set[int]) -> None:
    """Until the end of the transaction nobody else locks them. In the order of their ids, as every process does."""
    session.execute(select(Node.id).where(among(session, Node.id, node_ids)).order_by(Node.id).with_for_update(key_share=True))


def _ids(session: Session, names: list[tuple[str, str]]) -> dict[tuple[str, str], int]:
    row = table(Node)
    sites, own = {site for site, _ in names}, {name for _, name in names}  # pairs would be planned one by one
    mine = among(session, row.c.site, sites), among(session, row.c.name, own)
    found = session.execute(select(row.c.id, row.c.site, row.c.name).where(*mine))
    return {(site, name): node_id for node_id, site, name in found}


def apply_status(session: Session, node_id: int, message: Parsed) -> None:
    """Newest wins by (boot, conn) and (boot, seq), never by arrival.

    A last will marks its connection as lost. A status of that same connection that arrives later still fills in the
    fields, but the connection stays lost; one of a newer connection brings the node back.
    """
    node = session.get_one(Node, node_id, with_for_update={"key_share": True})
    body = message.body
    if message.seq is None:
        will = (message.boot, int(body["conn"]))
        if node.lost_boot is None or will > (node.lost_boot, node.lost_conn or 0):
            node.lost_boot, node.lost_conn = will
        return
    if node.boot is not None and (message.boot, message.seq) <= (node.boot, node.status_seq or 0):
        return
    node.boot, node.conn, node.status_seq = message.boot, int(body["conn"]), message.seq
    node.status_ms = message.received_ms
    for name in _STATUS_FIELDS:
        if name in body:
            setattr(node, name, body[name])
    node.health = {name: body[name] for name in _HEALTH_FIELDS if name in body}


def is_lost(node: Node) -> bool:
    """Whether the last will of the node's newest connection has come. A will of an older connection says nothing."""
    if node.lost_boot is None:
        return False
    return node.boot is None or (node.lost_boot, node.lost_conn or 0) >= (node.boot, node.conn or 0)


def presence(node: Node, now_ms: int) -> str:
    """`online`, `stopped` (took leave), `lost` (last will came), `silent` (missed the time that it announced), `unknown`."""
    if is_lost(node):
        return "lost"
    if node.boot is None:
        return "unknown"
    if node.state == "stopped":
        return "stopped"
    if node.next_s is not None and now_ms > node.last_seen_ms + SILENT_FACTOR * node.next_s * 1000:
        return "silent"
    return "online"


def presence_column(now_ms: int) -> ColumnElement[str]:
    """`presence` in a query."""
    conn, lost_conn = func.coalesce(Node.conn, 0), func.coalesce(Node.lost_conn, 0)
    newer = or_(Node.boot.is_(None), Node.lost_boot > Node.boot, and_(Node.lost_boot == Node.boot, lost_conn >= conn))
    return case(
        (and_(Node.lost_boot.is_not(None), newer), "lost"),
        (Node.boot.is_(None), "unknown"),
        (Node.state == "stopped", "stopped"),
        (now_ms > Node.last_seen_ms + SILENT_FACTOR * 1000 * Node.next_s, "silent"),
        else_="online",
    )


def find(session: Session, site: str, name: str) -> Node:
    node = session.scalar(select(Node).where(Node.site == site, Node.name == name))
    if node is None:
        raise NotFoundError(Said("no node %(node)s", node=f"{site}/{name}"))
    return node


def counts(session: Session, node_ids: list[int]) -> dict[int, dict[str, int]]:
    """Messages received and lost by node, over all its boots."""
    lost = BootCount.last_seq - BootCount.first_seq + 1 - BootCount.received
    rows = session.execute(
        select(BootCount.node_id, func.sum(BootCount.received), func.sum(lost))
        .where(BootCount.node_id.in_(node_ids))
        .group_by(BootCount.node_id)
    )
    return {node_id: {"received": int(received), "lost": int(missing)} for node_id, received, missing in rows}


def boots(session: Session, node_id: int) -> list[dict[str, Any]]:
    """Per boot what came and what did not."""
    rows = session.scalars(select(BootCount).where(BootCount.node_id == node_id).order_by(BootCount.boot))
    return [
        {"boot": r.boot, "first_seq": r.first_seq, "last_seq": r.last_seq, "received": r.received, "lost": r.lost} for r in rows
    ]


def tags(session: Session, node_ids: list[int]) -> dict[int, list[str]]:
    """By node, sorted."""
    found: dict[int, list[str]] = {}
    for row in session.scalars(select(NodeTag).where(NodeTag.node_id.in_(node_ids)).order_by(NodeTag.tag)):
        found.setdefault(row.node_id, []).append(row.tag)
    return found


def set_tags(session: Session, node: Node, wanted: list[str]) -> None:
    """These and no others."""
    session.execute(delete(NodeTag).where(NodeTag.node_id == node.id))
    session.add_all(NodeTag(node_id=node.id, tag=tag) for tag in sorted(set(wanted)))
