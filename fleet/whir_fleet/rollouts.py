"""Rollouts: what people do with them, and what nodes report. Time's part is in `rollout_steps`.

No I/O: time is passed in, commands are rows that the worker sends, and what nodes answer comes in from ingest.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from whir_fleet import commands, desired, rollout_plans
from whir_fleet.errors import ConflictError, ForbiddenError, NotFoundError
from whir_fleet.messages import Parsed
from whir_fleet.models import Action, Artifact, Command, Rehearsal, Rollout, RolloutGroup
from whir_fleet.rollout_tables import move
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
        if group.drift is not None:
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


def tell_update(session: Session, rollout: Rollout, action: Action, now_ms: int, counter: int | None) -> None:
    """The next bundle for a node whose model has this security counter: the rollout's, or one that has to come before it."""
    artifact = _next_bundle(session, session.get_one(Artifact, rollout.sha256), counter)
    action.sha256 = artifact.sha256
    args = {"sha256": artifact.sha256, "bytes": artifact.bytes, "deadline_s": rollout.trial_s}
    _tell(session, rollout, action, "update", args, f"{action.id}-{artifact.counter}", now_ms)


def tell_rollback(session: Session, rollout: Rollout, action: Action, now_ms: int) -> None:
    _tell(session, rollout, action, "rollback", {}, f"{action.id}-r", now_ms)
    action.finished_ms = None


def _tell(session: Session, rollout: Rollout, action: Action, c: str, args: dict[str, object], id: str, now_ms: int) -> None:
    action.command_id, action.started_ms = id, now_ms
    commands.create(session, action.node_id, c, args, id, now_ms // 1000 + rollout.silence_s, now_ms)


def _next_bundle(session: Session, target: Artifact, counter: int | None) -> Artifact:
    between = select(Artifact).where(Artifact.hardware == target.hardware, Artifact.pass_through)
    between = between.where(Artifact.counter < target.counter, Artifact.counter > (-1 if counter is None else counter))
    return session.scalars(between.order_by(Artifact.counter).limit(1)).first() or target


# What nodes report ----------------------------------------------------------------------------------------------------


def on_event(session: Session, node_id: int, message: Parsed) -> None:
    """`update_…` and `rollback_done` events carry the id of the command that caused them."""
    body, now_ms = message.body, message.received_ms
    desired.on_event(session, node_id, body)
    action = _action_of(session, body.get("action"), node_id)
    if action is None:
        return
    rolling_back = action.state == "rolling_back"
    match body["kind"]:
        case "update_started" | "update_trial":
            move(action, "accept")
        case "update_confirmed":
            _confirmed(session, action, message)
        case "update_refused":
            code = body.get("code")
            if code != "busy":
                finish(session, action, "fail", now_ms, code or "refused", body.get("text"))
        case "update_reverted" if not rolling_back:
            what = "undone" if action.state == "succeeded" else "fail"
            finish(session, action, what, now_ms, body.get("code") or "reverted", body.get("text"))
            desired.forget(session, node_id)
        case "rollback_done" | "update_reverted":
            finish(session, action, "rolled_back", now_ms)


def _confirmed(session: Session, action: Action, message: Parsed) -> None:
    body, now_ms = message.body, message.received_ms
    artifact = session.get_one(Artifact, action.sha256)
    reported = (body.get("model"), body.get("model_version"), body.get("counter"))
    if not _is_the_model(reported, artifact):
        finish(
            session, action, "fail", now_ms, "wrong_model", Said("confirmed %(model)s, not the bundle's", model=str(reported))
        )
        return
    desired.put(session, action.node_id, artifact.sha256, now_ms)
    rollout = session.get_one(Rollout, action.rollout_id)
    if artifact.sha256 == rollout.sha256:
        finish(session, action, "confirm", now_ms)
    elif rollout.state != "aborting" and move(action, "step"):
        commands.close(session, str(action.command_id))
        tell_update(session, rollout, action, now_ms, artifact.counter)
    else:
        finish(session, action, "fail", now_ms, "pass_through", _stopped(artifact))


def _stopped(artifact: Artifact) -> Said:
    return Said("stopped at %(model)s", model=f"{artifact.model} {artifact.model_version}")


def on_answer(session: Session, command: Command, now_ms: int) -> None:
    """A node's `ack` to one of our commands."""
    action = _action_of(session, command.id, command.node_id)
    if action is None:
        return
    if command.state == commands.ACCEPTED:
        if command.c == "update":
            move(action, "accept")
        elif command.result == "ok":
            finish(session, action, "rolled_back", now_ms)
    else:
        finish(session, action, "fail", now_ms, command.code or command.result or "refused")


def _action_of(session: Session, command_id: str | None, node_id: int) -> Action | None:
    """The action whose newest command this is: what a node says about an older one is no news."""
    if not command_id:
        return None
    query = select(Action).where(Action.command_id == command_id, Action.node_id == node_id)
    return session.scalars(query.with_for_update()).first()


def _is_the_model(reported: tuple[str | None, str | None, int | None], artifact: Artifact) -> bool:
    """What the node names must be the bundle's; what it leaves out is not held against it, but it must name something."""
    wanted = (artifact.model, artifact.model_version, artifact.counter)
    return any(r is not None for r in reported) and all(r is None or r == w for r, w in zip(reported, wanted, strict=True))


def finish(session: Session, action: Action, what: str, now_ms: int, code: str | None = None, text: str | None = None) -> None:
    if not move(action, what):
        return
    action.code, action.text, action.finished_ms = code, text, now_ms
    if action.command_id is not None:
        commands.close(session, action.command_id)
    if what == "rolled_back":
        desired.forget(session, action.node_id)
