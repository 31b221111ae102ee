"""Commands to nodes. Nodes connect with a clean session, so what is unanswered goes out again after their next status."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from whir_fleet import devices
from whir_fleet.messages import Parsed
from whir_fleet.models import Command, Node

PENDING, ACCEPTED, DONE = "pending", "accepted", "done"
_ONCE = ("restart", "factory_reset", "setting")  # bring a start about: must not come again after it


def create(session: Session, node_id: int, c: str, args: dict[str, Any], id: str, exp_s: int, now_ms: int) -> Command:
    """Queues a command; the worker sends it."""
    command = Command(id=id, node_id=node_id, c=c, args=args, exp_s=exp_s, state=PENDING, created_ms=now_ms)
    session.add(command)
    return command


def due(session: Session, now_ms: int, resend_s: int) -> list[tuple[Command, Node]]:
    """What has to go out now: to nodes that are there, at first, on a new connection, or after `resend_s` without an answer.

    An accepted command goes out again when the node has booted since: it has forgotten. What it has done does not.
    """
    rows = session.execute(
        select(Command, Node)
        .join(Node, Node.id == Command.node_id)
        .where(Command.state != DONE, Node.boot.is_not(None))
        .order_by(Command.created_ms, Command.id)
    ).all()
    there = [(command, node) for command, node in rows if node.state != "stopped" and not devices.is_lost(node)]
    return [(command, node) for command, node in there if _is_due(command, node, now_ms, resend_s)]


def _is_due(command: Command, node: Node, now_ms: int, resend_s: int) -> bool:
    if command.sent_ms is None:
        return True
    if command.result == "ok" or (command.c == "restart" and (node.boot or 0) > (command.sent_boot or 0)):
        return False  # it has been done
    if command.sent_boot != node.boot:
        return True
    if command.state == ACCEPTED:
        return False
    return command.sent_conn != node.conn or now_ms - command.sent_ms >= resend_s * 1000


def sent(command: Command, node: Node, now_ms: int) -> None:
    command.sent_ms, command.sent_boot, command.sent_conn = now_ms, node.boot, node.conn
    if command.state == ACCEPTED:
        command.state = PENDING


def on_ack(session: Session, node_id: int, message: Parsed) -> Command | None:
    """The node's answer; None when it answers nothing that is still open. `busy` is no answer: it goes out again later."""
    body = message.body
    command = session.get(Command, body["id"], with_for_update=True)
    if command is None or command.node_id != node_id or command.state == DONE:
        return None
    command.result, command.code = body["result"], body.get("code")
    if command.result in ("ok", "accepted"):
        command.state = DONE if command.c in _ONCE else ACCEPTED
    elif command.code == "busy":
        return None
    else:
        command.state = DONE
    return command


def expire(session: Session, now_ms: int) -> None:
    """What nobody answered in time does not go out any more: a node would only answer `expired`. What was done is not done
    again after a boot."""
    late = update(Command).where(Command.exp_s * 1000 < now_ms)
    session.execute(late.where(Command.state == PENDING).values(state=DONE, result="expired", code="silent"))
    session.execute(late.where(Command.state == ACCEPTED, Command.result == "ok").values(state=DONE))


def close(session: Session, id: str) -> None:
    """Nothing more is expected of it."""
    command = session.get(Command, id)
    if command is not None:
        command.state = DONE
