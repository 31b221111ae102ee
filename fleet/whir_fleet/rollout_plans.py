"""What a rollout is asked to do, and the groups and actions that follow from it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session
from ulid import ULID

from whir_fleet import artifacts
from whir_fleet.errors import RequestError
from whir_fleet.models import Action, Artifact, Node, Rollout, RolloutGroup

_GROUP_SPEC: Final = re.compile(r"([1-9][0-9]{0,5})(%?)")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a rollout is asked to do.

    `groups`: "2" = two further nodes, "25%" = until 25 % of all are reached; what is left makes a last group.
    `canary`: names of nodes that come first, in this order; the others follow by site and name. `nodes`: only these.
    """

    name: str
    sha256: str
    groups: tuple[str, ...] = ("1", "100%")
    canary: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    site: str | None = None
    success_percent: int = 100
    abort_percent: int = 50
    abort_min: int = 1
    silence_s: int = 3600
    trial_s: int = 600
    on_abort: str = "keep"


def create(session: Session, plan: Plan, who: str, now_ms: int) -> Rollout:
    """Rollout, groups and actions in state ready. RequestError when no node fits or a named one is missing."""
    artifact = artifacts.find(session, plan.sha256)
    nodes = _order(_eligible(session, plan, artifact), plan)
    rollout = Rollout(
        id=str(ULID()),
        name=plan.name,
        sha256=artifact.sha256,
        state="ready",
        success_percent=plan.success_percent,
        abort_percent=plan.abort_percent,
        abort_min=plan.abort_min,
        silence_s=plan.silence_s,
        trial_s=plan.trial_s,
        on_abort=plan.on_abort,
        created_ms=now_ms,
        created_by=who,
    )
    session.add(rollout)
    session.flush()
    place = 0
    for number, size in enumerate(group_sizes(plan.groups, len(nodes))):
        session.add(RolloutGroup(rollout_id=rollout.id, number=number, size=size, state="waiting"))
        for node in nodes[place : place + size]:
            session.add(
                Action(
                    id=str(ULID()),
                    rollout_id=rollout.id,
                    number=number,
                    node_id=node.id,
                    place=place,
                    state="waiting",
                    already=False,
                    acknowledged=False,
                )
            )
            place += 1
    session.flush()
    return rollout


def group_sizes(specs: tuple[str, ...], total: int) -> list[int]:
    """Sizes of the groups for `total` nodes; together they are all of them, and none is empty."""
    sizes: list[int] = []
    for spec in specs:
        match = _GROUP_SPEC.fullmatch(spec)
        if match is None or (match[2] and int(match[1]) > 100):
            raise RequestError(f"group {spec!r}: give a number of nodes, or a percentage of all such as 25%")
        reached = sum(sizes)
        number = int(match[1])
        size = -(-total * number // 100) - reached if match[2] else number
        size = min(size, total - reached)
        if size > 0:
            sizes.append(size)
    if sum(sizes) < total:
        sizes.append(total - sum(sizes))
    return sizes


def _eligible(session: Session, plan: Plan, artifact: Artifact) -> list[Node]:
    query = select(Node).where(Node.hardware == artifact.hardware).order_by(Node.site, Node.name)
    if plan.site is not None:
        query = query.where(Node.site == plan.site)
    found = list(session.scalars(query))
    if plan.nodes:
        found = [node for node in found if node.name in plan.nodes]
    names = {node.name for node in found}
    for name in (*plan.nodes, *plan.canary):
        if name not in names:
            raise RequestError(f"node {name}: not known with hardware class {artifact.hardware}, or not among the chosen")
    if not found:
        raise RequestError(f"no node of hardware class {artifact.hardware} is known")
    return found


def _order(nodes: list[Node], plan: Plan) -> list[Node]:
    first = {name: place for place, name in enumerate(plan.canary)}
    return sorted(nodes, key=lambda node: (first.get(node.name, len(first)), node.site, node.name))
