"""What a rollout is asked to do, and the groups and actions that follow from it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from sqlalchemy import ColumnElement, func, select, true, tuple_
from sqlalchemy.orm import Session
from ulid import ULID

from whir_fleet import artifacts, commands, selectors
from whir_fleet.errors import RequestError
from whir_fleet.models import Action, Artifact, Node, Rollout, RolloutGroup
from whir_fleet.rollout_gates import Window
from whir_fleet.rollout_kinds import ANY_HARDWARE, MODEL
from whir_fleet.rollout_tables import LIVE_ROLLOUTS, OPEN_GROUPS, move
from whir_fleet.said import Said

_GROUP_SPEC: Final = re.compile(r"([1-9][0-9]{0,5})(%?)")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a rollout is asked to do.

    `groups`: "2" = two further nodes, "25%" = until 25 % of all are reached, "tag=pilot" = those that a selector finds; what is
    left makes a last group. `where`: selectors; `nodes`: only these, without late joiners. `canary`: names of nodes that come
    first, in this order; the others follow by site and name. `window`, `machine`, `rate_per_min`, `jitter_s`: when a node may
    be started, see `rollout_gates`. `observe_s`: how long a group's verdicts are watched before the next one. `shadow_s`: how
    long a candidate runs beside the old model on the first group's nodes, before it is put into service.
    """

    name: str
    sha256: str
    groups: tuple[str, ...] = ("1", "100%")
    canary: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    success_percent: int = 100
    abort_percent: int = 50
    abort_min: int = 1
    silence_s: int = 3600
    trial_s: int = 600
    on_abort: str = "keep"
    window: str | None = None
    machine: str = "any"
    rate_per_min: int | None = None
    jitter_s: int = 0
    observe_s: int = 0
    shadow_s: int = 0


def create(session: Session, plan: Plan, who: str, now_ms: int, state: str = "ready") -> Rollout:
    """Rollout, groups and actions, ready to start or proposed. RequestError when no node fits or a named one is missing."""
    if plan.window is not None:
        Window.parse(plan.window)
    artifact = artifacts.find(session, plan.sha256)
    if plan.shadow_s and artifact.kind != MODEL:
        raise RequestError(Said("shadow_s: only a model can run beside another"))
    nodes = _order(_eligible(session, plan, artifact), plan)
    rollout = Rollout(
        id=str(ULID()),
        name=plan.name,
        kind=artifact.kind,
        sha256=artifact.sha256,
        state=state,
        success_percent=plan.success_percent,
        abort_percent=plan.abort_percent,
        abort_min=plan.abort_min,
        silence_s=plan.silence_s,
        trial_s=plan.trial_s,
        on_abort=plan.on_abort,
        selectors=None if plan.nodes else list(plan.where),
        window=plan.window,
        machine=plan.machine,
        rate_per_min=plan.rate_per_min,
        jitter_s=plan.jitter_s,
        observe_s=plan.observe_s,
        shadow_s=plan.shadow_s,
        created_ms=now_ms,
        created_by=who,
    )
    session.add(rollout)
    session.flush()
    found = {spec: set(session.scalars(select(Node.id).where(selectors.where([spec])))) for spec in plan.groups if "=" in spec}
    place = 0
    for number, group in enumerate(cut(plan.groups, nodes, lambda spec, node: node.id in found[spec])):
        session.add(RolloutGroup(rollout_id=rollout.id, number=number, size=len(group), state="waiting"))
        for node in group:
            session.add(_action(rollout, number, node.id, place))
            place += 1
    session.flush()
    return rollout


def _action(rollout: Rollout, number: int, node_id: int, place: int) -> Action:
    return Action(
        id=str(ULID()),
        rollout_id=rollout.id,
        number=number,
        node_id=node_id,
        place=place,
        jitter_ms=random.randint(0, rollout.jitter_s * 1000),  # noqa: S311 (spreads load, keeps no secret)
        state="waiting",
        already=False,
        acknowledged=False,
        step=0,
    )


def cut(specs: Sequence[str], items: Sequence[T], fits: Callable[[str, T], bool]) -> list[list[T]]:
    """The items in groups; together they are all of them, and none is empty. `fits`: whether a selector finds the item."""
    left, total = list(items), len(items)
    groups: list[list[T]] = []
    for spec in specs:
        match = _GROUP_SPEC.fullmatch(spec)
        if match is not None and (not match[2] or int(match[1]) <= 100):
            number = int(match[1])
            group = left[: max(0, -(-total * number // 100) - (total - len(left))) if match[2] else number]
        elif selectors.is_term(spec):
            group = [item for item in left if fits(spec, item)]
        else:
            raise RequestError(
                Said(
                    "group %(group)r: give a number of nodes, a percentage of all such as 25%%, or a selector such as "
                    "tag=pilot",
                    group=spec,
                )
            )
        if group:
            groups.append(group)
            taken = set(map(id, group))
            left = [item for item in left if id(item) not in taken]
    if left:
        groups.append(left)
    return groups


def join(session: Session, rollout: Rollout, groups: list[RolloutGroup]) -> None:
    """Nodes that came to the fleet, or began to fit, after the start: they enter the newest group that has begun."""
    current = max((group for group in groups if group.state in OPEN_GROUPS), key=lambda g: g.number, default=None)
    if rollout.selectors is None or current is None:
        return
    artifact = session.get_one(Artifact, rollout.sha256)
    known = select(Action.node_id).where(Action.rollout_id == rollout.id)
    later = tuple_(Rollout.started_ms, Rollout.id) > (rollout.started_ms, rollout.id)
    newer = [other.id for other in _rivals(session, rollout, later)]
    taken = select(Action.node_id).where(Action.rollout_id.in_(newer))
    late = selectors.nodes(rollout.selectors).where(_of_class(artifact), Node.hardware.is_not(None))
    late = late.where(Node.id.not_in(known), Node.id.not_in(taken))
    place = None
    for node in session.scalars(late).all():
        if place is None:
            place = session.scalar(select(func.max(Action.place)).where(Action.rollout_id == rollout.id)) or 0
        place += 1
        current.size += 1
        session.add(_action(rollout, current.number, node.id, place))
    if place is not None:
        session.flush()
        supersede(session, rollout)


def supersede(session: Session, rollout: Rollout) -> None:
    """Of one kind newer supersedes older: actions that have not ended give way, but for a rollback under way. Other kinds wait
    for each other, action by action."""
    earlier = tuple_(Rollout.started_ms, Rollout.id) < (rollout.started_ms, rollout.id)
    older = [other.id for other in _rivals(session, rollout, earlier)]
    mine = select(Action.node_id).where(Action.rollout_id == rollout.id)
    rows = select(Action).where(Action.rollout_id.in_(older), Action.node_id.in_(mine))
    open_yet = rows.where(Action.state.in_(("waiting", "started", "accepted", "shadowed")))
    for action in session.scalars(open_yet.with_for_update(of=Action)).all():
        if move(action, "supersede"):
            action.text = Said("by rollout %(rollout)s", rollout=rollout.id)
            if action.command_id is not None:
                commands.close(session, action.command_id)


def _rivals(session: Session, rollout: Rollout, which: ColumnElement[bool]) -> list[Rollout]:
    """Live rollouts that would bring the same thing; settings only where they share a key."""
    query = select(Rollout, Artifact).join(Artifact, Artifact.sha256 == Rollout.sha256)
    found = session.execute(query.where(Rollout.kind == rollout.kind, Rollout.state.in_(LIVE_ROLLOUTS), which)).all()
    keys = (session.get_one(Artifact, rollout.sha256).content or {}).keys()
    return [other for other, artifact in found if not keys or keys & (artifact.content or {}).keys()]


def _of_class(artifact: Artifact) -> ColumnElement[bool]:
    return true() if artifact.hardware == ANY_HARDWARE else Node.hardware == artifact.hardware


def _eligible(session: Session, plan: Plan, artifact: Artifact) -> list[Node]:
    found = list(session.scalars(selectors.nodes(plan.where).where(_of_class(artifact), Node.hardware.is_not(None))))
    if plan.nodes:
        found = [node for node in found if node.name in plan.nodes]
    names = {node.name for node in found}
    for name in (*plan.nodes, *plan.canary):
        if name not in names:
            raise RequestError(
                Said(
                    "node %(node)s: not known with hardware class %(hardware)s, or not among the chosen",
                    node=name,
                    hardware=artifact.hardware,
                )
            )
    if not found:
        raise RequestError(
            Said("no node of hardware class %(hardware)s is known there", hardware=artifact.hardware)
            if plan.where
            else Said("no node of hardware class %(hardware)s is known", hardware=artifact.hardware)
        )
    return found


def _order(nodes: list[Node], plan: Plan) -> list[Node]:
    first = {name: place for place, name in enumerate(plan.canary)}
    return sorted(nodes, key=lambda node: (first.get(node.name, len(first)), node.site, node.name))
