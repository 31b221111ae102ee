"""Rollouts: made with a preview, watched, and stopped, resumed or taken back by people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from whir_fleet import artifacts, invalid
from whir_fleet.api import rollouts as api
from whir_fleet.api.context import Context, Ctx, Cursor, Operator, Reading, Viewer, Writing
from whir_fleet.auth import Identity
from whir_fleet.console.pages import back_to, blank, render
from whir_fleet.errors import FleetError
from whir_fleet.models import Artifact

router = APIRouter(prefix="/rollouts", tags=["rollouts"])

PAGE = 30
SHOWN = 200  # actions of a group on the page
_OFFERED = 100  # bundles to choose from
_SUGGESTED: Final = {"groups": "1 25% 100%", "on_abort": "revert"}
_LISTS: Final = {"groups", "canary", "nodes", "where"}


@router.get("")
def listed(request: Request, session: Reading, who: Viewer, cursor: Cursor = None) -> Response:
    found = api.listed(session, who, PAGE, cursor)
    bundles = {sha256: artifacts.find(session, sha256) for sha256 in {rollout.sha256 for rollout in found.items}}
    return render(request, "rollouts.html", who, rollouts=found.items, bundles=bundles, following=found.next)


async def _fields(request: Request) -> dict[str, str]:
    return {name: str(value) for name, value in (await request.form()).items()}


def _asked(fields: Mapping[str, str], start: bool) -> api.RolloutRequest:
    """What the form says, as the API takes it: every field by its name, lists by spaces or commas."""
    asked: dict[str, Any] = {name: text for name, text in fields.items() if blank(text) is not None}
    for name in _LISTS.intersection(asked):
        asked[name] = asked[name].replace(",", " ").split()
    return api.RolloutRequest.model_validate({**asked, "start": start})


@router.get("/new")
def new(request: Request, ctx: Ctx, session: Reading, who: Operator) -> Response:
    """The form; with a bundle chosen also what would come of it."""
    given = _SUGGESTED | dict(request.query_params)
    bundles = list(session.scalars(select(Artifact).order_by(Artifact.uploaded_ms.desc()).limit(_OFFERED)))
    preview, problem = None, None
    if blank(given.get("sha256")):
        try:
            preview = _preview(ctx, who, _asked(given, start=False))
        except FleetError as error:
            problem = error.text
        except ValidationError as error:
            problem = invalid.first(error.errors())
    defaults = {name: field.get_default(call_default_factory=True) for name, field in api.RolloutRequest.model_fields.items()}
    return render(
        request, "rollout_new.html", who, bundles=bundles, given=given, defaults=defaults, preview=preview, problem=problem
    )


def _preview(ctx: Context, who: Identity, asked: api.RolloutRequest) -> api.RolloutDetail:
    """Who gets it when: the rollout is made as it would be, looked at, and forgotten."""
    with ctx.database.write() as session:
        detail = api.create(ctx, session, who, asked)
        session.rollback()
        return detail


@router.post("/new")
def create(ctx: Ctx, session: Writing, who: Operator, fields: Annotated[dict[str, str], Depends(_fields)]) -> Response:
    return back_to(f"/rollouts/{api.create(ctx, session, who, _asked(fields, start=True)).id}")


@router.get("/{rollout_id}")
def detail(
    request: Request, session: Reading, who: Viewer, rollout_id: str, group: Annotated[int | None, Query()] = None
) -> Response:
    found = api.detail(session, who, rollout_id)
    failed = [action for action in found.actions if action.state == "failed"]
    return render(
        request,
        "rollout.html",
        who,
        rollout=found,
        bundle=artifacts.find(session, found.sha256),
        failed=failed,
        group=group,
        shown=SHOWN,
    )


def _by_hand(act: Callable[[Context, Session, Identity, str], api.RolloutDetail]) -> Callable[..., Response]:
    def step(ctx: Ctx, session: Writing, who: Operator, rollout_id: str) -> Response:
        act(ctx, session, who, rollout_id)
        return back_to(f"/rollouts/{rollout_id}")

    return step


def _approve(_: Context, session: Session, who: Identity, rollout_id: str) -> api.RolloutDetail:
    return api.approve(session, who, rollout_id)


_ACTS = {"approve": _approve, "start": api.start, "halt": api.halt, "resume": api.resume, "abort": api.abort}
for _name, _act in _ACTS.items():
    router.post(f"/{{rollout_id}}/{_name}", name=_name)(_by_hand(_act))
