"""Rollouts: create, look, approve, start, halt, resume, abort."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from whir_fleet import artifacts, audit, rollout_plans, rollouts
from whir_fleet.api.context import Context, Ctx, Cursor, Limit, Operator, Page, Reading, Sentence, Viewer, Writing, page
from whir_fleet.auth import Identity
from whir_fleet.clock import now_ms
from whir_fleet.models import Action, Artifact, Node, Rollout
from whir_fleet.rollout_plans import Plan

router = APIRouter(prefix="/rollouts", tags=["rollouts"])


class RolloutRequest(BaseModel):
    """`groups`: "2" = two further nodes, "25%" = until 25 % of all are reached, "tag=pilot" = those that a selector finds; what
    is left makes a last group."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "name": "synth12k 2", "sha256": "9f86d081884c7d65", "groups": ["1", "25%", "100%"], "canary": ["pump-3"],
                "success_percent": 100, "abort_percent": 50, "silence_s": 3600, "on_abort": "revert",
            }
        },
    )  # fmt: skip

    name: str = Field(min_length=1, max_length=64)
    sha256: str = Field(min_length=8, max_length=64, pattern="^[0-9a-f]+$", description="the artifact's, or its beginning")
    groups: list[str] = Field(["1", "100%"], min_length=1, max_length=50)
    canary: list[str] = Field([], max_length=1000, description="nodes that come first, in this order")
    nodes: list[str] = Field([], max_length=10_000, description="exactly these; else every node that fits, late joiners too")
    where: list[str] = Field([], max_length=100, description="selectors: site=…, hardware=…, tag=…, node=…")
    success_percent: int = Field(100, ge=1, le=100, description="of a group, before the next one starts")
    abort_percent: int = Field(50, ge=1, le=100, description="failures of a group that abort the rollout")
    abort_min: int = Field(1, ge=1, le=10_000, description="but not fewer than this many")
    silence_s: int = Field(3600, ge=1, le=2_592_000, description="no result within this counts as failure")
    trial_s: int = Field(600, ge=1, le=86_400, description="the node itself reverts what it could not confirm within this")
    on_abort: Literal["keep", "revert"] = "keep"
    window: str | None = Field(None, max_length=100, description="start nodes only then: `sat,sun 22:00-05:00 Europe/Berlin`")
    machine: Literal["any", "running", "off"] = Field("any", description="start nodes only whose machine does so")
    rate_per_min: int | None = Field(None, ge=1, le=100_000, description="start no more than this in a minute")
    jitter_s: int = Field(0, ge=0, le=86_400, description="each node starts after a random part of this")
    observe_s: int = Field(0, ge=0, le=2_592_000, description="watch a group's verdicts for this long before the next one")
    shadow_s: int = Field(
        0, ge=0, le=604_800, description="on the first group's nodes the candidate runs beside the old model for so long first"
    )
    start: bool = Field(True, description="at once; where rollouts need approval, it has to be started after that")


class ActionView(BaseModel):
    node: str
    site: str
    group: int
    state: str
    code: str | None
    text: Sentence | None
    already: bool
    acknowledged: bool
    started_ms: int | None
    finished_ms: int | None
    shadow: dict[str, int | None] | None = Field(description="what the candidate said beside the old model")


class GroupView(BaseModel):
    number: int
    size: int
    state: str
    started_ms: int | None
    observed_ms: int | None = Field(description="since when its verdicts are watched")
    drift: Sentence | None = Field(description="why its verdicts were found worse")
    actions: dict[str, int] = Field(description="how many actions are in which state")


class RolloutView(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str
    kind: Literal["model", "firmware", "settings", "certificates"]
    sha256: str
    state: Literal["proposed", "ready", "running", "halted", "aborting", "aborted", "finished"]
    reason: Sentence | None
    success_percent: int
    abort_percent: int
    abort_min: int
    silence_s: int
    trial_s: int
    on_abort: str
    window: str | None
    machine: str
    rate_per_min: int | None
    jitter_s: int
    observe_s: int
    shadow_s: int
    created_ms: int
    created_by: str
    approved_by: str | None
    started_ms: int | None
    finished_ms: int | None


class RolloutDetail(RolloutView):
    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "01JZ7V0M4Q8W2N5R6T9XAYB3CD", "name": "synth12k 2", "kind": "model", "state": "running", "reason": None,
                "finished_ms": None,
                "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "success_percent": 100,
                "abort_percent": 50, "abort_min": 1, "silence_s": 3600, "trial_s": 600, "on_abort": "revert",
                "window": "22:00-05:00 Europe/Berlin", "machine": "running", "rate_per_min": 60, "jitter_s": 0,
                "observe_s": 3600, "shadow_s": 0, "created_ms": 1790000000000, "created_by": "anna", "approved_by": "ben",
                "started_ms": 1790000000000,
                "groups": [
                    {
                        "number": 0, "size": 1, "state": "running", "started_ms": 1790000000000, "observed_ms": None,
                        "drift": None, "actions": {"accepted": 1},
                    }
                ],
                "actions": [
                    {
                        "node": "pump-3", "site": "plant-1", "group": 0, "state": "accepted", "code": None, "text": None,
                        "already": False, "acknowledged": False, "started_ms": 1790000000000, "finished_ms": None,
                        "shadow": None,
                    }
                ],
            }
        }
    )  # fmt: skip

    groups: list[GroupView]
    actions: list[ActionView]


def _detail(session: Session, rollout: Rollout) -> RolloutDetail:
    session.flush()
    actions = rollouts.actions_of(session, rollout.id)
    nodes = {node.id: node for node in session.scalars(select(Node).where(Node.id.in_([a.node_id for a in actions])))}
    states: dict[int, Counter[str]] = {}
    for action in actions:
        states.setdefault(action.number, Counter())[action.state] += 1
    return RolloutDetail(
        **RolloutView.model_validate(rollout).model_dump(),
        groups=[
            GroupView(
                number=g.number,
                size=g.size,
                state=g.state,
                started_ms=g.started_ms,
                observed_ms=g.observed_ms,
                drift=g.drift,
                actions=dict(states[g.number]),
            )
            for g in rollouts.groups_of(session, rollout.id)
        ],
        actions=[
            ActionView(
                node=nodes[a.node_id].name,
                site=nodes[a.node_id].site,
                group=a.number,
                state=a.state,
                code=a.code,
                text=a.text,
                already=a.already,
                acknowledged=a.acknowledged,
                started_ms=a.started_ms,
                finished_ms=a.finished_ms,
                shadow=a.shadow,
            )
            for a in actions
        ],
    )


def _may(session: Session, who: Identity, rollout_id: str) -> None:
    """A rollout is for those who have their role on all of its sites."""
    if who.sites is not None:
        query = select(Node.site).distinct().join(Action, Action.node_id == Node.id).where(Action.rollout_id == rollout_id)
        who.at(*session.scalars(query))


def _trusted(ctx: Context, session: Session, rollout_id: str) -> None:
    """Not with a bundle whose key has been taken out of the allow-list since."""
    artifact = session.get_one(Artifact, rollouts.find(session, rollout_id).sha256)
    artifacts.require_trusted(artifact, ctx.settings.keys)


@router.post("", status_code=201)
def create(ctx: Ctx, session: Writing, who: Operator, request: RolloutRequest) -> RolloutDetail:
    """Which nodes, in which groups, and what decides. Starts at once unless `start` is false or somebody has to approve it."""
    values = request.model_dump(exclude={"start"})
    for name in ("groups", "canary", "where", "nodes"):
        values[name] = tuple(values[name])
    state = "proposed" if ctx.settings.rollout_approval else "ready"
    rollout = rollout_plans.create(session, Plan(**values), who.label, now_ms(), state)
    _may(session, who, rollout.id)
    _trusted(ctx, session, rollout.id)
    audit.note(session, object=rollout.id, **request.model_dump(exclude_defaults=True))
    if request.start and state == "ready":
        rollouts.start(session, rollout.id, now_ms())
    ctx.wake()
    return _detail(session, rollout)


@router.get("")
def listed(session: Reading, who: Viewer, limit: Limit = 100, cursor: Cursor = None) -> Page[RolloutView]:
    """Rollouts, newest first; for a token confined to sites, those that keep to them."""
    query = select(Rollout)
    if who.sites is not None:
        other = select(Action.id).join(Node, Node.id == Action.node_id).where(Action.rollout_id == Rollout.id)
        query = query.where(~other.where(Node.site.not_in(who.sites)).exists())
    rows, following = page(session, query, [Rollout.created_ms, Rollout.id], cursor, limit, newest=True)
    return Page(items=[RolloutView.model_validate(rollout) for (rollout,) in rows], next=following)


@router.get("/{rollout_id}")
def detail(session: Reading, who: Viewer, rollout_id: str) -> RolloutDetail:
    _may(session, who, rollout_id)
    return _detail(session, rollouts.find(session, rollout_id))


@router.post("/{rollout_id}/approve")
def approve(session: Writing, who: Operator, rollout_id: str) -> RolloutDetail:
    """By somebody else than who made it; it can be started then."""
    _may(session, who, rollout_id)
    return _detail(session, rollouts.approve(session, rollout_id, who.label))


@router.post("/{rollout_id}/start")
def start(ctx: Ctx, session: Writing, who: Operator, rollout_id: str) -> RolloutDetail:
    """Older rollouts that have not got to its nodes leave them alone from now on."""
    _may(session, who, rollout_id)
    _trusted(ctx, session, rollout_id)
    rollout = rollouts.start(session, rollout_id, now_ms())
    ctx.wake()
    return _detail(session, rollout)


@router.post("/{rollout_id}/halt")
def halt(ctx: Ctx, session: Writing, who: Operator, rollout_id: str) -> RolloutDetail:
    """No further node is started; what has been started runs on."""
    _may(session, who, rollout_id)
    rollout = rollouts.halt(session, rollout_id)
    ctx.wake()
    return _detail(session, rollout)


@router.post("/{rollout_id}/resume")
def resume(ctx: Ctx, session: Writing, who: Operator, rollout_id: str) -> RolloutDetail:
    """Goes on; the failures so far are acknowledged by it."""
    _may(session, who, rollout_id)
    _trusted(ctx, session, rollout_id)
    rollout = rollouts.resume(session, rollout_id)
    ctx.wake()
    return _detail(session, rollout)


@router.post("/{rollout_id}/abort")
def abort(ctx: Ctx, session: Writing, who: Operator, rollout_id: str) -> RolloutDetail:
    """Ends it: what waits is cancelled; with `on_abort: revert` confirmed nodes go back."""
    _may(session, who, rollout_id)
    rollout = rollouts.abort(session, rollout_id)
    ctx.wake()
    return _detail(session, rollout)
