"""Maintenance windows, tokens, sites, and the audit log."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Final

from fastapi import APIRouter, Form, Request, Response
from sqlalchemy import func, select

from whir_fleet.api import audit as api_audit
from whir_fleet.api import maintenance as api_maintenance
from whir_fleet.api import tokens as api_tokens
from whir_fleet.api.context import Admin, Cursor, Operator, Reading, Viewer, Writing
from whir_fleet.clock import now_ms
from whir_fleet.console.pages import back_to, blank, render
from whir_fleet.models import Machine, Node

router = APIRouter(prefix="/settings")

PAGE: Final = 50
_HOUR_MS: Final = 3_600_000
Text = Annotated[str, Form(max_length=2000)]


@router.get("", tags=["machines"])
def index(request: Request, _: Viewer) -> Response:
    return back_to("/settings/machines")


# Maintenance windows ----------------------------------------------------------------------------------------------------


@router.get("/maintenance", tags=["alerts"])
def maintenance(request: Request, session: Reading, who: Viewer, cursor: Cursor = None) -> Response:
    found = api_maintenance.listed(session, who, limit=PAGE, cursor=cursor)
    return render(request, "settings_maintenance.html", who, windows=found.items, following=found.next)


@router.post("/maintenance", tags=["alerts"])
def plan(
    session: Writing,
    who: Operator,
    site: Text = "",
    machine: Text = "",
    hours: Annotated[float, Form(gt=0)] = 4,
    why: Text = "",
) -> Response:
    until_ms = now_ms() + round(hours * _HOUR_MS)
    asked = {"site": site.strip(), "machine": blank(machine), "until_ms": until_ms, "why": why.strip()}
    api_maintenance.plan(session, who, api_maintenance.WindowRequest.model_validate(asked))
    return back_to("/settings/maintenance")


@router.post("/maintenance/{window_id}/end", tags=["alerts"])
def end(session: Writing, who: Operator, window_id: str) -> Response:
    api_maintenance.end(session, who, window_id)
    return back_to("/settings/maintenance")


# People: tokens ---------------------------------------------------------------------------------------------------------


@router.get("/tokens", tags=["tokens"])
def tokens(request: Request, session: Reading, who: Admin) -> Response:
    return render(request, "settings_tokens.html", who, tokens=api_tokens.listed(session, who), made=None)


@router.post("/tokens", tags=["tokens"])
def create(
    request: Request,
    session: Writing,
    who: Admin,
    label: Text = "",
    role: Text = "",
    days: Annotated[int, Form()] = 365,
    sites: Text = "",
) -> Response:
    """The answer shows the token: it cannot be had again, so there is no page to go back to."""
    asked = {"label": label.strip(), "role": role, "days": days, "sites": sites.replace(",", " ").split() or None}
    made = api_tokens.create(session, who, api_tokens.TokenRequest.model_validate(asked))
    return render(request, "settings_tokens.html", who, tokens=api_tokens.listed(session, who), made=made)


@router.post("/tokens/{token_id}/revoke", tags=["tokens"])
def revoke(session: Writing, who: Admin, token_id: str) -> Response:
    api_tokens.revoke(session, who, token_id)
    return back_to("/settings/tokens")


# Sites, and what people did ---------------------------------------------------------------------------------------------


@router.get("/sites", tags=["nodes"])
def sites(request: Request, session: Reading, who: Viewer) -> Response:
    """A site is where nodes report from or machines are entered; its name is in the nodes' own identity."""
    nodes, machines_there = (
        Counter(dict(session.execute(who.only(select(table.site, func.count()).group_by(table.site), table.site)).all()))
        for table in (Node, Machine)
    )
    names = sorted({*nodes, *machines_there})
    return render(request, "settings_sites.html", who, sites=names, nodes=nodes, machines=machines_there)


@router.get("/audit", tags=["audit"])
def audit_log(request: Request, session: Reading, who: Admin, cursor: Cursor = None) -> Response:
    found = api_audit.listed(session, who, limit=PAGE, cursor=cursor)
    return render(request, "settings_audit.html", who, entries=found.items, following=found.next)
