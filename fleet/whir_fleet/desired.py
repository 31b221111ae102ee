"""Reconciliation: what a node confirmed, of each kind, is what it is to run. Where it reports another, it is sent again.

A node whose flash was replaced or erased comes back to its bundle, its firmware and its settings by itself. What a person or
the node itself took back is not sent again, and neither is a bundle older than the one that the node runs: it would refuse it.
Settings are told apart by their CRC-32 in the status: the one that the node reported after they were kept is the one to be.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import and_, delete, or_, select
from sqlalchemy.orm import Session
from ulid import ULID

from whir_fleet import commands, rollout_kinds
from whir_fleet.db import insert
from whir_fleet.messages import Parsed
from whir_fleet.models import Action, Artifact, Command, Desired, Node, table
from whir_fleet.rollout_kinds import CERTIFICATES, EVENTS, FIRMWARE, MODEL, SETTINGS
from whir_fleet.rollout_tables import OPEN_ACTIONS

GRACE_MS: Final = 10 * 60_000  # the status that shows the change comes later than the event
RETRY_MS, RETRY_MAX_MS = 3_600_000, 24 * 3_600_000  # twice as long after each try
_EXPIRES_S: Final = 1800
_AT_ONCE: Final = 50  # many nodes may have lost their bundle by the same cause


_SAME: Final = or_(
    and_(
        Desired.kind == MODEL,
        Node.model == Artifact.model,
        Node.model_version == Artifact.model_version,
        Node.counter == Artifact.counter,
    ),
    and_(Desired.kind == FIRMWARE, Node.fw == Artifact.model_version),
    and_(Desired.kind == SETTINGS, or_(Node.settings == Desired.seen, Desired.seen.is_(None))),
)
# Not while it is on trial, and no bundle that it would refuse for its counter.
_MAY: Final = or_(
    and_(Desired.kind == MODEL, Node.trial.is_not(True), or_(Node.counter.is_(None), Node.counter <= Artifact.counter)),
    and_(Desired.kind == FIRMWARE, Node.fw_trial.is_not(True)),
    Desired.kind == SETTINGS,
)


def put(session: Session, node_id: int, artifact: Artifact, now_ms: int) -> None:
    content = artifact.content
    if artifact.kind == CERTIFICATES:
        return  # they end by themselves, and `renewal` looks after that
    if content is not None and (known := session.get(Desired, (node_id, artifact.kind))) is not None:
        content = (known.content or {}) | content
    _put(session, node_id, artifact.kind, artifact.sha256, content, now_ms)


def _put(session: Session, node_id: int, kind: str, sha256: str, content: dict[str, Any] | None, now_ms: int) -> None:
    values = {"sha256": sha256, "content": content, "seen": None, "since_ms": now_ms, "next_ms": now_ms + GRACE_MS}
    values |= {"tries": 0, "command_id": None}
    row = insert(session, table(Desired)).values(node_id=node_id, kind=kind, **values)
    session.execute(row.on_conflict_do_update(index_elements=["node_id", "kind"], set_=values))
    if (known := session.get(Desired, (node_id, kind))) is not None:
        session.refresh(known)


def forget(session: Session, node_id: int, kind: str) -> None:
    session.execute(delete(Desired).where(Desired.node_id == node_id, Desired.kind == kind))


def take_back(session: Session, node_id: int, kind: str, before: dict[str, Any] | None, now_ms: int) -> None:
    """The node has gone back to what was before, as far as that is known."""
    known = session.get(Desired, (node_id, kind))
    if known is None or before is None:
        forget(session, node_id, kind)
    elif kind == FIRMWARE:
        _put(session, node_id, kind, before["sha256"], None, now_ms)
    else:
        _put(session, node_id, kind, known.sha256, (known.content or {}) | before, now_ms)


def before(session: Session, node: Node, artifact: Artifact) -> dict[str, Any] | None:
    """What to go back to from this artifact, as far as the fleet knows it; a model goes back by itself."""
    if artifact.kind == FIRMWARE:
        query = select(Artifact).where(Artifact.kind == FIRMWARE, Artifact.hardware == artifact.hardware)
        old = session.scalars(query.where(Artifact.model_version == node.fw).order_by(Artifact.uploaded_ms.desc())).first()
        return None if old is None else {"sha256": old.sha256, "fw": old.model_version}
    if artifact.kind == SETTINGS and (known := session.get(Desired, (node.id, SETTINGS))) is not None:
        old_values, wanted = known.content or {}, artifact.content or {}
        return {key: old_values[key] for key in wanted} if wanted.keys() <= old_values.keys() else None
    return None


def holds(session: Session, node: Node, artifact: Artifact) -> bool:
    """Whether the node runs with these settings, as far as it has told."""
    known = session.get(Desired, (node.id, SETTINGS))
    if artifact.kind != SETTINGS or known is None or known.seen is None or known.seen != node.settings:
        return False
    return (artifact.content or {}).items() <= (known.content or {}).items()


def of(session: Session, node_id: int) -> list[dict[str, Any]]:
    """What the node is to run, by kind; nothing where no rollout has brought it anything."""
    query = select(Desired, Artifact).join(Artifact, Artifact.sha256 == Desired.sha256).where(Desired.node_id == node_id)
    return [
        {name: getattr(artifact, name) for name in ("kind", "sha256", "model", "model_version", "counter")}
        | {"since_ms": wanted.since_ms, "tries": wanted.tries, "keys": sorted(wanted.content or {})}
        for wanted, artifact in session.execute(query.order_by(Desired.kind)).all()
    ]


def on_event(session: Session, node_id: int, message: Parsed) -> None:
    """The end of a command of ours; and a rollback, which somebody wanted."""
    body = message.body
    kinds, means = EVENTS.get(body["kind"], ((), ""))
    if means == "rolled_back":
        forget(session, node_id, MODEL)
    elif means in ("confirm", "fail", "revert", "boot") and body.get("code") != "busy":
        query = select(Desired).where(Desired.node_id == node_id, Desired.kind.in_(kinds), Desired.command_id.is_not(None))
        for wanted in session.scalars(query):
            command = session.get_one(Command, wanted.command_id)
            if wanted.kind == SETTINGS and message.boot > (command.sent_boot or message.boot):
                wanted.seen, wanted.command_id = None, None
                commands.close(session, command.id)
            elif command.id == body.get("action"):
                commands.close(session, command.id)


def reconcile(session: Session, now_ms: int) -> list[Command]:
    """Sends to nodes that report something else than theirs, and are in no rollout at present."""
    busy = select(Action.id).where(Action.node_id == Node.id, Action.state.in_(OPEN_ACTIONS))
    found = select(Desired, Node, Artifact).join(Node, Node.id == Desired.node_id)
    found = found.join(Artifact, Artifact.sha256 == Desired.sha256)
    for wanted, node, _ in session.execute(
        found.where(Desired.kind == SETTINGS, Desired.seen.is_(None), Desired.next_ms <= now_ms)
    ).all():
        wanted.seen = node.settings  # its first status since it keeps them
    for wanted, _, _ in session.execute(found.where(Desired.tries > 0, _SAME)).all():
        wanted.tries = 0
    session.flush()
    due = found.where(Desired.next_ms <= now_ms, _SAME.is_not(True), _MAY, Node.boot.is_not(None), ~busy.exists())
    due = due.order_by(Desired.next_ms, Desired.node_id).limit(_AT_ONCE).with_for_update(of=Desired)
    return [command for row in session.execute(due).all() for command in _send(session, *row, now_ms)]


def _send(session: Session, wanted: Desired, node: Node, artifact: Artifact, now_ms: int) -> list[Command]:
    if wanted.command_id is not None:
        commands.close(session, wanted.command_id)
    if artifact.kind == FIRMWARE and rollout_kinds.place(artifact) < rollout_kinds.place_of(node, FIRMWARE):
        wanted.next_ms = now_ms + RETRY_MAX_MS  # somebody has put a newer one there
        return []
    wanted.next_ms = now_ms + min(RETRY_MAX_MS, RETRY_MS * 2**wanted.tries)
    wanted.tries = min(wanted.tries + 1, 20)
    first, made = str(ULID()), []
    for number, told in enumerate(rollout_kinds.way(artifact, wanted.content)):
        wanted.command_id = f"{first}-{number:02}"  # commands of one time go out by their ids
        expires_s = now_ms // 1000 + _EXPIRES_S
        made.append(commands.create(session, node.id, told.c, told.args, wanted.command_id, expires_s, now_ms))
    return made
