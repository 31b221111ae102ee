"""Rollouts: what people do with them, and what nodes report. Time's part is in `rollout_steps`.

No I/O: time is passed in, commands are rows that the worker sends, and what nodes answer comes in from ingest.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from whir_fleet import commands, desired, rollout_kinds, rollout_plans
from whir_fleet.errors import ConflictError, ForbiddenError, NotFoundError
from whir_fleet.messages import Parsed
from whir_fleet.models import Action, Artifact, Command, Rehearsal, Rollout, RolloutGroup
from whir_fleet.rollout_kinds import EVENTS, FIRMWARE, MODEL, SETTINGS, TRIED, Told
from whir_fleet.rollout_tables import OPEN_ACTIONS, move
from whir_fleet.said import Said


def find(session: Session, rollout_id: str) -> Rollout:
    rollout = session.get(Rollout, rollout_id, with_for_update=True)
    if rollout is None:
        raise NotFoundError(Said("no rollout %(rollout)s", rollout=rollout_id))
    return rollout


def groups_of(session: Session, rollout_id: str) -> list[RolloutGroup]:
    query = select(RolloutGroup).where(RolloutGroup.rollout_id == rollout_id)
    return list(session.scalars(query.order_by(RolloutGroup.number)))


def actions_of(session: Session, rollout_id: str) -> list[Action]:
    return list(session.scalars(select(Action).where(Action.rollout_id == rollout_id).order_by(Action.place)))


# What people do -------------------------------------------------------------------------------------------------------


def approve(session: Session, rollout_id: str, who: str) -> Rollout:
    """By somebody else than who made it."""
    rollout = find(session, rollout_id)
    if rollout.created_by == who:
        raise ForbiddenError(
            Said("rollout %(rollout)s was made by %(who)s: somebody else has to approve it", rollout=rollout.id, who=who)
        )
    _by_hand(rollout, "approve", None)
    rollout.approved_by = who
    return rollout


def start(session: Session, rollout_id: str, now_ms: int) -> Rollout:
    """From now on older rollouts leave its nodes alone. A rehearsal that missed confirmed faults has to be signed for."""
    rollout = find(session, rollout_id)
    rehearsal = session.get(Rehearsal, rollout.sha256)
    if rehearsal is not None and rehearsal.missed and rehearsal.signed_by is None:
        raise ConflictError(
            Said(
                "in its rehearsal the bundle missed %(missed)s confirmed faults: an admin has to sign for it",
                missed=rehearsal.missed,
            )
        )
    _by_hand(rollout, "start", None)
    rollout.started_ms = now_ms
    session.flush()
    rollout_plans.supersede(session, rollout)
    return rollout


def halt(session: Session, rollout_id: str) -> Rollout:
    """Starts no further node. What has been started runs on."""
    return _by_hand(find(session, rollout_id), "halt", Said("halted by hand"))


def resume(session: Session, rollout_id: str) -> Rollout:
    """Goes on, with what went wrong so far acknowledged: failures no longer count, a drift no longer holds its group."""
    rollout = _by_hand(find(session, rollout_id), "resume", None)
    for action in session.scalars(select(Action).where(Action.rollout_id == rollout_id, Action.state == "failed")):
        action.acknowledged = True
    for group in groups_of(session, rollout_id):
        if group.drift is not None and group.state == "observing":
            move(group, "pass")
    return rollout


def abort(session: Session, rollout_id: str) -> Rollout:
    return _by_hand(find(session, rollout_id), "abort", Said("aborted by hand"))


def _by_hand(rollout: Rollout, what: str, reason: str | None) -> Rollout:
    before = rollout.state
    if not move(rollout, what):
        raise ConflictError(
            Said("rollout %(rollout)s is %(state)s: cannot %(what)s it", rollout=rollout.id, state=before, what=what)
        )
    rollout.reason = reason
    return rollout


# What nodes are told --------------------------------------------------------------------------------------------------


def tell(session: Session, rollout: Rollout, action: Action, here: rollout_kinds.Place, now_ms: int) -> None:
    """The first command to a node that is at `here`: of the rollout's artifact, or of one that has to come before it."""
    target = session.get_one(Artifact, rollout.sha256)
    action.sha256 = rollout_kinds.next_one(session, target, here).sha256
    tell_next(session, rollout, action, now_ms)


def tell_back(session: Session, rollout: Rollout, action: Action, now_ms: int) -> None:
    action.finished_ms, action.step = None, 0
    tell_next(session, rollout, action, now_ms)


def _way(session: Session, rollout: Rollout, action: Action) -> list[Told]:
    """The commands to the action's artifact; while it is rolling back those to what was before."""
    artifact = session.get_one(Artifact, str(action.sha256))
    if action.state != "rolling_back":
        return rollout_kinds.way(artifact)
    if rollout.kind == MODEL:
        return [Told("rollback", {})]
    before = action.before or {}
    return rollout_kinds.way(session.get_one(Artifact, before["sha256"]) if rollout.kind == FIRMWARE else artifact, before)


def tell_next(session: Session, rollout: Rollout, action: Action, now_ms: int) -> None:
    """The command of the action's step."""
    way = _way(session, rollout, action)
    told, args = way[min(action.step, len(way) - 1)], {}
    back, wait_s = "r" if action.state == "rolling_back" else "", rollout.silence_s
    if told.c in ("update", "firmware"):
        args["deadline_s"] = rollout.trial_s
    if told.c == "update" and shadows(rollout, action):
        args["shadow_s"], wait_s = rollout.shadow_s, wait_s + rollout.shadow_s
    action.command_id, action.started_ms = f"{action.id}-{back}{action.step}", now_ms
    commands.create(session, action.node_id, told.c, told.args | args, action.command_id, now_ms // 1000 + wait_s, now_ms)


def shadows(rollout: Rollout, action: Action) -> bool:
    """The candidate runs beside the old model first: on the nodes of the first group."""
    return rollout.shadow_s > 0 and action.number == 0 and action.shadow is None and action.sha256 == rollout.sha256


def _next_step(session: Session, rollout: Rollout, action: Action, now_ms: int) -> None:
    if move(action, "step"):
        commands.close(session, str(action.command_id))
        action.step += 1
        tell_next(session, rollout, action, now_ms)


# What nodes report ----------------------------------------------------------------------------------------------------


def on_event(session: Session, node_id: int, message: Parsed) -> None:
    """Events of a bundle or a firmware carry the id of the command that caused them; of settings they are the node's."""
    body, now_ms = message.body, message.received_ms
    desired.on_event(session, node_id, message)
    kinds, means = EVENTS.get(body["kind"], ((), ""))
    action = _restarted(session, node_id, message) if SETTINGS in kinds else _action_of(session, body.get("action"), node_id)
    if action is None:
        return
    rollout = session.get_one(Rollout, action.rollout_id)
    if rollout.kind not in kinds:
        return
    rolling_back = action.state == "rolling_back"
    match means:
        case "accept":
            move(action, "accept")
        case "shadow":
            _shadowed(session, action, body)
        case "boot" if not rollout_kinds.is_tried(_content(session, rollout, action)):
            confirm(session, rollout, action, body, now_ms)
        case "confirm":
            confirm(session, rollout, action, body, now_ms)
        case "fail":
            code = body.get("code")
            if code != "busy":
                finish(session, action, "fail", now_ms, code or "refused", body.get("text"))
        case "revert" if not rolling_back or rollout.kind != MODEL:
            what = "undone" if action.state == "succeeded" else "fail"
            finish(session, action, what, now_ms, body.get("code") or "reverted", body.get("text"))
            desired.forget(session, node_id, rollout.kind)
        case "rolled_back" | "revert":
            finish(session, action, "rolled_back", now_ms)


def _content(session: Session, rollout: Rollout, action: Action) -> dict[str, object]:
    """The settings that are on their way to the node."""
    if action.state == "rolling_back":
        return action.before or {}
    return session.get_one(Artifact, rollout.sha256).content or {}


def confirm(session: Session, rollout: Rollout, action: Action, body: dict[str, Any], now_ms: int) -> None:
    """The node has the artifact that was sent last, as it says, or what was before."""
    if action.state == "rolling_back":
        if rollout.kind != FIRMWARE or body.get("fw") == (action.before or {}).get("fw"):
            finish(session, action, "rolled_back", now_ms)
        return
    artifact = session.get_one(Artifact, str(action.sha256))
    if (other := rollout_kinds.confirms(body, artifact)) is not None:
        finish(
            session, action, "fail", now_ms, f"wrong_{rollout.kind}", Said("confirmed %(what)s, not what was sent", what=other)
        )
        return
    desired.put(session, action.node_id, artifact, now_ms)
    if artifact.sha256 == rollout.sha256:
        finish(session, action, "confirm", now_ms)
    elif rollout.state == "aborting":
        finish(
            session,
            action,
            "fail",
            now_ms,
            "pass_through",
            Said("stopped at %(model)s", model=f"{artifact.model} {artifact.model_version}"),
        )
    else:
        action.sha256 = rollout_kinds.next_one(
            session, session.get_one(Artifact, rollout.sha256), rollout_kinds.place(artifact)
        ).sha256
        _next_step(session, rollout, action, now_ms)


def _shadowed(session: Session, action: Action, body: dict[str, Any]) -> None:
    """The candidate has run beside the old model for its time; it waits for the judgement on its group."""
    if move(action, "shadow"):
        action.shadow = {name: body.get(name) for name in rollout_kinds.SHADOW_FIELDS}
        commands.close(session, str(action.command_id))


def on_answer(session: Session, command: Command, now_ms: int) -> None:
    """A node's `ack` to one of our commands."""
    action = _action_of(session, command.id, command.node_id)
    if action is None:
        return
    if command.result not in ("ok", "accepted"):
        finish(session, action, "fail", now_ms, command.code or command.result or "refused")
    elif command.c == "rollback":
        if command.result == "ok":
            finish(session, action, "rolled_back", now_ms)
    elif command.c == "setting":
        _next_step(session, session.get_one(Rollout, action.rollout_id), action, now_ms)
    else:
        move(action, "accept")


def _action_of(session: Session, command_id: str | None, node_id: int) -> Action | None:
    """The action whose newest command this is: what a node says about an older one is no news."""
    if not command_id:
        return None
    query = select(Action).where(Action.command_id == command_id, Action.node_id == node_id)
    return session.scalars(query.with_for_update()).first()


def _restarted(session: Session, node_id: int, message: Parsed) -> Action | None:
    """The action whose settings, or certificate, the node has begun to run with: it was to restart for them, and has."""
    query = select(Action, Command).join(Command, Command.id == Action.command_id)
    query = query.join(Rollout, Rollout.id == Action.rollout_id)
    query = query.where(Action.node_id == node_id, Rollout.kind.in_(TRIED), Action.state.in_(OPEN_ACTIONS))
    for action, command in session.execute(query.order_by(Action.started_ms.desc()).with_for_update(of=Action)):
        if command.c in ("restart", "renew") and command.sent_boot is not None and message.boot > command.sent_boot:
            return action
    return None


def finish(session: Session, action: Action, what: str, now_ms: int, code: str | None = None, text: str | None = None) -> None:
    if not move(action, what):
        return
    action.code, action.text, action.finished_ms = code, text, now_ms
    if action.command_id is not None:
        commands.close(session, action.command_id)
    if what == "rolled_back":
        rollout = session.get_one(Rollout, action.rollout_id)
        desired.take_back(session, action.node_id, rollout.kind, action.before, now_ms)
