"""What time does to rollouts: groups start and pass their gates, silence becomes failure, an abort settles."""

from __future__ import annotations

from collections import Counter
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from whir_contracts.contract import SETTINGS_TRIAL_MS
from whir_fleet import desired, rollout_gates, rollout_kinds, rollout_plans, rollout_quality, rollout_shadow, rollouts
from whir_fleet.models import Action, Artifact, Command, Event, Rollout, RolloutGroup
from whir_fleet.rollout_kinds import MODEL, SETTINGS
from whir_fleet.rollout_tables import LIVE_ROLLOUTS, NOT_COUNTED, OPEN_ACTIONS, move
from whir_fleet.said import Said

_TRIAL_MS: Final = SETTINGS_TRIAL_MS + 60_000  # and the way of the news that it was taken back


def any_live(session: Session) -> bool:
    return session.scalar(select(Rollout.id).where(Rollout.state.in_(LIVE_ROLLOUTS)).limit(1)) is not None


def advance(session: Session, now_ms: int) -> list[Rollout]:
    """One step of every live rollout, the newest first; the worker calls it again and again. Returns whose state changed."""
    changed = []
    live = select(Rollout).where(Rollout.state.in_(LIVE_ROLLOUTS)).order_by(Rollout.started_ms.desc(), Rollout.id.desc())
    for rollout in session.scalars(live.with_for_update()).all():
        before = rollout.state
        _advance(session, rollout, now_ms)
        if rollout.state != before:
            changed.append(rollout)
    return changed


def _advance(session: Session, rollout: Rollout, now_ms: int) -> None:
    if rollout.kind == SETTINGS:
        _kept(session, rollout, now_ms)
    _silence(session, rollout, now_ms)
    groups = rollouts.groups_of(session, rollout.id)
    if rollout.state == "running":
        rollout_plans.join(session, rollout, groups)
        for group in groups:
            if not _step(session, rollout, group, now_ms):
                break
        else:
            if all(group.state == "finished" for group in groups):
                _change(rollout, "complete", None)
                rollout.finished_ms = now_ms
    if rollout.state == "aborting":
        _settle(session, rollout, groups, now_ms)


def _step(session: Session, rollout: Rollout, group: RolloutGroup, now_ms: int) -> bool:
    """Whether the group is past its gate, so that the next one may go on."""
    if group.state == "waiting":
        move(group, "start")
        group.started_ms = now_ms
    if group.state != "finished":
        _start_actions(session, rollout, group, now_ms)
    states, acknowledged = _states(session, rollout.id, group.number)
    counted = states - acknowledged
    total, failed, succeeded = counted.total(), counted["failed"], counted["succeeded"]
    if failed >= max(1, rollout.abort_min) and failed * 100 >= rollout.abort_percent * total:
        _change(
            rollout,
            "abort",
            Said("group %(group)s: %(failed)s of %(total)s failed", group=group.number, failed=failed, total=total),
        )
        return False
    over = not any(states[state] for state in ("waiting", "shadowed", *OPEN_ACTIONS))
    if states["shadowed"] and not _past_shadow(session, rollout, group, now_ms):
        return False
    if group.state == "running":
        if succeeded * 100 < rollout.success_percent * total:
            if over:
                text = Said(
                    "group %(group)s: %(confirmed)s of %(total)s confirmed",
                    group=group.number,
                    confirmed=succeeded,
                    total=total,
                )
                _change(rollout, "gate_failed", text)
            return False
        move(group, "observe" if rollout.observe_s else "pass")
        group.observed_ms = now_ms if rollout.observe_s else None
    if group.state == "observing" and not _observed(session, rollout, group, now_ms):
        return False
    if over:
        move(group, "complete")
    return True


def _past_shadow(session: Session, rollout: Rollout, group: RolloutGroup, now_ms: int) -> bool:
    """Whether every candidate that has run beside the old model goes into service. All of the group are judged together."""
    mine = session.scalars(select(Action).where(Action.rollout_id == rollout.id, Action.number == group.number)).all()
    if any(a.state == "waiting" or (a.state in OPEN_ACTIONS and rollouts.shadows(rollout, a)) for a in mine):
        return False
    if group.drift is None:  # else somebody has resumed in spite of it
        group.drift = rollout_shadow.judge(session, rollout, group)
        if group.drift is not None:
            _change(rollout, "drifted", Said("group %(group)s: %(why)s", group=group.number, why=group.drift))
            return False
    for action in mine:
        if action.state == "shadowed" and move(action, "start"):
            action.step += 1
            rollouts.tell_next(session, rollout, action, now_ms)
    return True


def _observed(session: Session, rollout: Rollout, group: RolloutGroup, now_ms: int) -> bool:
    """Whether the group has been watched for long enough and its verdicts are no worse."""
    if now_ms < (group.observed_ms or now_ms) + rollout.observe_s * 1000:
        return False
    group.drift = rollout_quality.judge(session, rollout, group, now_ms)
    if group.drift is not None:
        _change(rollout, "drifted", Said("group %(group)s: %(why)s", group=group.number, why=group.drift))
        return False
    return move(group, "pass")


def _states(session: Session, rollout_id: str, number: int) -> tuple[Counter[str], Counter[str]]:
    """How many actions of a group are in which state; and how many failures of them somebody has acknowledged."""
    query = select(Action.state, Action.acknowledged, func.count()).where(Action.rollout_id == rollout_id)
    query = query.where(Action.number == number, Action.state.not_in(NOT_COUNTED))
    states: Counter[str] = Counter()
    acknowledged: Counter[str] = Counter()
    for state, known, count in session.execute(query.group_by(Action.state, Action.acknowledged)):
        states[state] += count
        acknowledged[state] += count * known
    return states, acknowledged


def _start_actions(session: Session, rollout: Rollout, group: RolloutGroup, now_ms: int) -> None:
    artifact = session.get_one(Artifact, rollout.sha256)
    for action, node in rollout_gates.startable(session, rollout, group, now_ms):
        if rollout_kinds.runs(node, artifact) or desired.holds(session, node, artifact):
            action.already, action.started_ms = True, now_ms
            rollouts.finish(session, action, "already", now_ms)
            desired.put(session, node.id, artifact, now_ms)
        elif (why := rollout_kinds.misfit(session, node, artifact)) is None:
            move(action, "start")
            action.before = desired.before(session, node, artifact)
            rollouts.tell(session, rollout, action, rollout_kinds.place_of(node, rollout.kind), now_ms)
        elif not why.mends:
            move(action, "start")
            rollouts.finish(session, action, "fail", now_ms, "needs_other", why.text)
    session.flush()


def _silence(session: Session, rollout: Rollout, now_ms: int) -> None:
    """A node that has not reported an end by the deadline has failed."""
    late = select(Action).where(Action.rollout_id == rollout.id, Action.state.in_(OPEN_ACTIONS))
    for action in session.scalars(late.where(Action.started_ms < now_ms - rollout.silence_s * 1000).with_for_update()).all():
        allowed_s = rollout.silence_s + (rollout.shadow_s if rollouts.shadows(rollout, action) else 0)
        if (action.started_ms or 0) < now_ms - allowed_s * 1000:
            rollouts.finish(
                session, action, "fail", now_ms, "silent", Said("no result within %(seconds)s s", seconds=allowed_s)
            )
    session.flush()


def _kept(session: Session, rollout: Rollout, now_ms: int) -> None:
    """Settings of the link that the node had already are not tried, so it has nothing to tell: it has them when it started
    with them and the time of a trial has passed."""
    began, back = aliased(Event), aliased(Event)
    found = select(Action).join(Command, Command.id == Action.command_id).join(began, began.node_id == Action.node_id)
    found = found.where(Action.rollout_id == rollout.id, Action.state.in_(OPEN_ACTIONS), Command.c == "restart")
    found = found.where(began.kind == "boot", began.boot > Command.sent_boot, began.received_ms < now_ms - _TRIAL_MS)
    reverted = select(back.seq).where(back.node_id == Action.node_id, back.kind == "settings_reverted")
    found = found.where(~reverted.where(back.boot > Command.sent_boot).exists())
    for action in session.scalars(found).unique().all():
        rollouts.confirm(session, rollout, action, {}, now_ms)
    session.flush()


def _settle(session: Session, rollout: Rollout, groups: list[RolloutGroup], now_ms: int) -> None:
    """After an abort: what waits is cancelled, what runs comes to its end, and with `revert` the new model is taken back."""
    for group in groups:
        move(group, "cancel")
    mine = select(Action).where(Action.rollout_id == rollout.id)
    for action in session.scalars(mine.where(Action.state.in_(("waiting", "shadowed")))).all():
        move(action, "cancel")
    if rollout.on_abort == "revert":
        for action in session.scalars(mine.where(Action.state == "succeeded", ~Action.already)).all():
            if (rollout.kind == MODEL or action.before is not None) and move(action, "roll_back"):
                rollouts.tell_back(session, rollout, action, now_ms)
    session.flush()
    if session.scalar(mine.where(Action.state.in_(OPEN_ACTIONS)).limit(1)) is None:
        _change(rollout, "settled", rollout.reason)
        rollout.finished_ms = now_ms


def _change(rollout: Rollout, what: str, reason: str | None) -> None:
    if move(rollout, what):
        rollout.reason = reason
