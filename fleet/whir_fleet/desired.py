"""Reconciliation: the bundle that a node confirmed is the one that it is to run. Where it reports another, it is sent again.

A node whose flash was replaced or erased comes back to its bundle by itself. What a person or the node itself took back is not
sent again, and neither is a bundle older than the one that the node runs: it would refuse it.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session
from ulid import ULID

from whir_fleet import commands
from whir_fleet.db import insert
from whir_fleet.models import Action, Artifact, Command, Desired, Node, table
from whir_fleet.rollout_tables import OPEN_ACTIONS

GRACE_MS: Final = 10 * 60_000  # the status that shows the change comes later than the event
RETRY_MS, RETRY_MAX_MS = 3_600_000, 24 * 3_600_000  # twice as long after each try
_EXPIRES_S: Final = 1800
_AT_ONCE: Final = 50  # many nodes may have lost their bundle by the same cause


def put(session: Session, node_id: int, sha256: str, now_ms: int) -> None:
    values = {"sha256": sha256, "since_ms": now_ms, "next_ms": now_ms + GRACE_MS, "tries": 0, "command_id": None}
    row = insert(session, table(Desired)).values(node_id=node_id, **values)
    session.execute(row.on_conflict_do_update(index_elements=["node_id"], set_=values))


def forget(session: Session, node_id: int) -> None:
    session.execute(delete(Desired).where(Desired.node_id == node_id))


def of(session: Session, node_id: int) -> dict[str, Any] | None:
    """What the node is to run; None where no rollout has brought it anything."""
    row = session.execute(
        select(Desired, Artifact).join(Artifact, Artifact.sha256 == Desired.sha256).where(Desired.node_id == node_id)
    )
    found = row.one_or_none()
    if found is None:
        return None
    wanted, artifact = found
    bundle = {name: getattr(artifact, name) for name in ("sha256", "model", "model_version", "counter")}
    return bundle | {"since_ms": wanted.since_ms, "tries": wanted.tries}


def on_event(session: Session, node_id: int, body: dict[str, Any]) -> None:
    """The end of a command of ours; and a rollback, which somebody wanted."""
    if body["kind"] == "rollback_done":
        forget(session, node_id)
    elif body["kind"] in ("update_confirmed", "update_refused", "update_reverted") and body.get("code") != "busy":
        mine = select(Desired.command_id).where(Desired.node_id == node_id, Desired.command_id == body.get("action"))
        if (command_id := session.scalar(mine)) is not None:
            commands.close(session, command_id)


def reconcile(session: Session, now_ms: int) -> list[Command]:
    """Sends to nodes that report another bundle than theirs, and are in no rollout at present."""
    busy = select(Action.id).where(Action.node_id == Node.id, Action.state.in_(OPEN_ACTIONS))
    same = (Node.model == Artifact.model, Node.model_version == Artifact.model_version, Node.counter == Artifact.counter)
    due = select(Desired, Node, Artifact).join(Node, Node.id == Desired.node_id)
    due = due.join(Artifact, Artifact.sha256 == Desired.sha256).where(Desired.next_ms <= now_ms, ~busy.exists())
    back = session.scalars(select(Desired.node_id).where(Desired.tries > 0, Desired.node_id.in_(_settled(same)))).all()
    if back:
        session.execute(update(Desired).where(Desired.node_id.in_(back)).values(tries=0))
    differs = or_(*(column.is_not(True) for column in same))
    due = due.where(differs, Node.boot.is_not(None), or_(Node.trial.is_(None), ~Node.trial))
    due = due.where(or_(Node.counter.is_(None), Node.counter <= Artifact.counter)).order_by(Desired.next_ms, Desired.node_id)
    return [_send(session, *row, now_ms) for row in session.execute(due.limit(_AT_ONCE).with_for_update(of=Desired)).all()]


def _settled(same: tuple[Any, ...]) -> Any:
    return (
        select(Node.id).join(Desired, Desired.node_id == Node.id).join(Artifact, Artifact.sha256 == Desired.sha256).where(*same)
    )


def _send(session: Session, wanted: Desired, node: Node, artifact: Artifact, now_ms: int) -> Command:
    if wanted.command_id is not None:
        commands.close(session, wanted.command_id)
    wanted.command_id = str(ULID())
    wanted.next_ms = now_ms + min(RETRY_MAX_MS, RETRY_MS * 2**wanted.tries)
    wanted.tries = min(wanted.tries + 1, 20)
    args = {"sha256": artifact.sha256, "bytes": artifact.bytes}
    return commands.create(session, node.id, "update", args, wanted.command_id, now_ms // 1000 + _EXPIRES_S, now_ms)
