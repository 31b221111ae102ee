"""Rollouts: Rollout → Group → Action. The three tables below are the state machines; docs/ROLLOUTS.md explains them.

No I/O: time is passed in, commands are rows that the worker sends, and what nodes answer comes in from ingest.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from whir_fleet import commands
from whir_fleet.errors import ConflictError, NotFoundError
from whir_fleet.messages import Parsed
from whir_fleet.models import Action, Artifact, Command, Node, Rollout, RolloutGroup

# (state, what happens) → state. What is not here is not possible; for nodes' reports it is ignored, for people it is a 409.
ROLLOUT: Final = {
    ("ready", "start"): "running",
    ("running", "halt"): "halted",
    ("running", "gate_failed"): "halted",
    ("halted", "resume"): "running",
    ("ready", "abort"): "aborting",
    ("running", "abort"): "aborting",
    ("halted", "abort"): "aborting",
    ("running", "complete"): "finished",
    ("aborting", "settled"): "aborted",
}
GROUP: Final = {
    ("waiting", "start"): "running",
    ("running", "complete"): "finished",
    ("waiting", "cancel"): "cancelled",
}
ACTION: Final = {
    ("waiting", "start"): "started",
    ("waiting", "already"): "succeeded",
    ("waiting", "cancel"): "cancelled",
    ("started", "accept"): "accepted",
    ("accepted", "accept"): "accepted",
    ("started", "confirm"): "succeeded",
    ("accepted", "confirm"): "succeeded",
    ("started", "fail"): "failed",
    ("accepted", "fail"): "failed",
    ("succeeded", "undone"): "failed",
    ("succeeded", "roll_back"): "rolling_back",
    ("rolling_back", "rolled_back"): "rolled_back",
    ("rolling_back", "fail"): "failed",
}
OPEN_ACTIONS: Final = ("started", "accepted", "rolling_back")
LIVE_ROLLOUTS: Final = ("running", "halted", "aborting")


def find(session: Session, rollout_id: str) -> Rollout:
    rollout = session.get(Rollout, rollout_id, with_for_update=True)
    if rollout is None:
        raise NotFoundError(f"no rollout {rollout_id}")
    return rollout


def groups_of(session: Session, rollout_id: str) -> list[RolloutGroup]:
    query = select(RolloutGroup).where(RolloutGroup.rollout_id == rollout_id)
    return list(session.scalars(query.order_by(RolloutGroup.number)))


def actions_of(session: Session, rollout_id: str) -> list[Action]:
    return list(session.scalars(select(Action).where(Action.rollout_id == rollout_id).order_by(Action.place)))


# What people do -------------------------------------------------------------------------------------------------------


def start(session: Session, rollout_id: str) -> Rollout:
    rollout = find(session, rollout_id)
    other = session.scalar(select(Rollout).where(Rollout.state.in_(LIVE_ROLLOUTS), Rollout.id != rollout_id))
    if other is not None:
        raise ConflictError(f"rollout {other.id} ({other.name}) is {other.state}; one at a time")
    return _by_hand(rollout, "start", None)


def halt(session: Session, rollout_id: str) -> Rollout:
    """Starts no further node. What has been started runs on."""
    return _by_hand(find(session, rollout_id), "halt", "halted by hand")


def resume(session: Session, rollout_id: str) -> Rollout:
    """Goes on, with the failures so far acknowledged: they no longer count at any gate."""
    rollout = _by_hand(find(session, rollout_id), "resume", None)
    for action in actions_of(session, rollout_id):
        if action.state == "failed":
            action.acknowledged = True
    return rollout


def abort(session: Session, rollout_id: str) -> Rollout:
    return _by_hand(find(session, rollout_id), "abort", "aborted by hand")


def _by_hand(rollout: Rollout, what: str, reason: str | None) -> Rollout:
    state = ROLLOUT.get((rollout.state, what))
    if state is None:
        raise ConflictError(f"rollout {rollout.id} is {rollout.state}: cannot {what} it")
    rollout.state, rollout.reason = state, reason
    return rollout


# What nodes report ----------------------------------------------------------------------------------------------------


def on_event(session: Session, node_id: int, message: Parsed) -> None:
    """`update_…` and `rollback_done` events carry the id of the command that caused them."""
    body = message.body
    action = _action_of(session, body.get("action"), node_id)
    if action is None:
        return
    rolling_back = action.state == "rolling_back"
    match body["kind"]:
        case "update_started" | "update_trial":
            _move(action, "accept")
        case "update_confirmed":
            artifact = _artifact_of(session, action)
            reported = (body.get("model"), body.get("model_version"), body.get("counter"))
            if _is_the_model(reported, artifact):
                _finish(session, action, "confirm", message.received_ms)
            else:
                _finish(session, action, "fail", message.received_ms, "wrong_model", f"confirmed {reported}, not the bundle's")
        case "update_refused":
            code = body.get("code")
            if code != "busy":
                _finish(session, action, "fail", message.received_ms, code or "refused", body.get("text"))
        case "update_reverted" if not rolling_back:
            what = "undone" if action.state == "succeeded" else "fail"
            _finish(session, action, what, message.received_ms, body.get("code") or "reverted", body.get("text"))
        case "rollback_done" | "update_reverted":
            _finish(session, action, "rolled_back", message.received_ms)


def on_answer(session: Session, command: Command, now_ms: int) -> None:
    """A node's `ack` to one of our commands."""
    action = _action_of(session, command.id, command.node_id)
    if action is None:
        return
    if command.state == commands.ACCEPTED:
        if command.c == "update":
            _move(action, "accept")
        elif command.result == "ok":
            _finish(session, action, "rolled_back", now_ms)
    else:
        _finish(session, action, "fail", now_ms, command.code or command.result or "refused")


def _action_of(session: Session, command_id: str | None, node_id: int) -> Action | None:
    if not command_id:
        return None
    action = session.get(Action, command_id.removesuffix("-r"), with_for_update=True)
    if action is None or action.node_id != node_id:
        return None
    # An answer to the update that comes while the rollback runs says nothing about the rollback, and the other way round.
    return action if (action.state == "rolling_back") == command_id.endswith("-r") else None


def _artifact_of(session: Session, action: Action) -> Artifact:
    rollout = session.get_one(Rollout, action.rollout_id)
    return session.get_one(Artifact, rollout.sha256)


def _is_the_model(reported: tuple[str | None, str | None, int | None], artifact: Artifact) -> bool:
    """What the node names must be the bundle's; what it leaves out is not held against it, but it must name something."""
    wanted = (artifact.model, artifact.model_version, artifact.counter)
    return any(r is not None for r in reported) and all(r is None or r == w for r, w in zip(reported, wanted, strict=True))


def _runs(node: Node, artifact: Artifact) -> bool:
    reported = (node.model, node.model_version, node.counter)
    return reported == (artifact.model, artifact.model_version, artifact.counter) and not node.trial


def _move(action: Action, what: str) -> bool:
    state = ACTION.get((action.state, what))
    if state is None:
        return False
    action.state = state
    return True


def _finish(session: Session, action: Action, what: str, now_ms: int, code: str | None = None, text: str | None = None) -> None:
    command_id = f"{action.id}-r" if action.state == "rolling_back" else action.id
    if _move(action, what):
        action.code, action.text, action.finished_ms = code, text, now_ms
        commands.close(session, command_id)


# What time does -------------------------------------------------------------------------------------------------------


def any_live(session: Session) -> bool:
    return session.scalar(select(Rollout.id).where(Rollout.state.in_(LIVE_ROLLOUTS)).limit(1)) is not None


def advance(session: Session, now_ms: int) -> list[Rollout]:
    """One step of every live rollout; called by the worker again and again. Returns those whose state changed."""
    changed = []
    for rollout in session.scalars(select(Rollout).where(Rollout.state.in_(LIVE_ROLLOUTS)).with_for_update()).all():
        before = rollout.state
        _advance(session, rollout, now_ms)
        if rollout.state != before:
            changed.append(rollout)
    return changed


def _advance(session: Session, rollout: Rollout, now_ms: int) -> None:
    actions = actions_of(session, rollout.id)
    groups = groups_of(session, rollout.id)
    _silence(session, rollout, actions, now_ms)
    if rollout.state == "aborting":
        _settle(session, rollout, groups, actions, now_ms)
        return
    if rollout.state == "halted":
        return
    for group in groups:
        mine = [action for action in actions if action.number == group.number]
        if group.state == "waiting":
            _start_group(session, rollout, group, mine, now_ms)
        counted = [action for action in mine if not action.acknowledged]
        failed = sum(action.state == "failed" for action in counted)
        succeeded = sum(action.state == "succeeded" for action in counted)
        if failed >= max(1, rollout.abort_min) and failed * 100 >= rollout.abort_percent * len(counted):
            _change(rollout, "abort", f"group {group.number}: {failed} of {len(counted)} failed")
            _settle(session, rollout, groups, actions, now_ms)
            return
        if group.state != "running":
            continue  # past its gate, but a success that was taken back may still have aborted the rollout above
        passed = succeeded * 100 >= rollout.success_percent * len(counted)
        over = all(action.state not in ("waiting", *OPEN_ACTIONS) for action in mine)
        if over and passed:
            group.state = GROUP[group.state, "complete"]
        elif over:
            _change(rollout, "gate_failed", f"group {group.number}: {succeeded} of {len(counted)} confirmed")
            return
        elif not passed:
            return  # the gate is shut: nothing behind this group starts
    if all(group.state == "finished" for group in groups):
        _change(rollout, "complete", None)
        rollout.finished_ms = now_ms


def _start_group(session: Session, rollout: Rollout, group: RolloutGroup, actions: list[Action], now_ms: int) -> None:
    artifact = session.get_one(Artifact, rollout.sha256)
    group.state, group.started_ms = GROUP[group.state, "start"], now_ms
    for action in actions:
        action.started_ms = now_ms
        if _runs(session.get_one(Node, action.node_id), artifact):
            action.already = True
            _finish(session, action, "already", now_ms)
            continue
        _move(action, "start")
        args = {"sha256": artifact.sha256, "bytes": artifact.bytes, "deadline_s": rollout.trial_s}
        exp_s = now_ms // 1000 + rollout.silence_s
        commands.create(session, action.node_id, "update", args, action.id, exp_s, now_ms)


def _silence(session: Session, rollout: Rollout, actions: list[Action], now_ms: int) -> None:
    """A node that has not reported an end by the deadline has failed."""
    for action in actions:
        if action.state in OPEN_ACTIONS and now_ms - (action.started_ms or 0) > rollout.silence_s * 1000:
            _finish(session, action, "fail", now_ms, "silent", f"no result within {rollout.silence_s} s")


def _settle(session: Session, rollout: Rollout, groups: list[RolloutGroup], actions: list[Action], now_ms: int) -> None:
    """After an abort: what waits is cancelled, what runs comes to its end, and with `revert` the new model is taken back."""
    for group in groups:
        if group.state == "waiting":
            group.state = GROUP[group.state, "cancel"]
    for action in actions:
        if action.state == "waiting":
            _move(action, "cancel")
        elif action.state == "succeeded" and rollout.on_abort == "revert" and not action.already:
            _move(action, "roll_back")
            action.started_ms, action.finished_ms = now_ms, None
            exp_s = now_ms // 1000 + rollout.silence_s
            commands.create(session, action.node_id, "rollback", {}, f"{action.id}-r", exp_s, now_ms)
    if not any(action.state in OPEN_ACTIONS for action in actions):
        _change(rollout, "settled", rollout.reason)
        rollout.finished_ms = now_ms


def _change(rollout: Rollout, what: str, reason: str | None) -> None:
    rollout.state, rollout.reason = ROLLOUT[rollout.state, what], reason
