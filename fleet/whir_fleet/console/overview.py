"""The fleet at a glance."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from sqlalchemy import select

from whir_fleet.api.context import Ctx, Reading, Viewer
from whir_fleet.clock import now_ms
from whir_fleet.console import fleet_view
from whir_fleet.console.pages import render
from whir_fleet.models import Rollout
from whir_fleet.rollout_tables import LIVE_ROLLOUTS

router = APIRouter(tags=["nodes"])

SHOWN = 8  # of a list; the rest is on its own page


@router.get("/")
def overview(request: Request, ctx: Ctx, session: Reading, who: Viewer) -> Response:
    fleet = fleet_view.load(session, who, now_ms())
    live = select(Rollout).where(Rollout.state.in_(LIVE_ROLLOUTS)).order_by(Rollout.created_ms.desc())
    rollouts = list(session.scalars(live)) if who.sites is None else []
    return render(request, "overview.html", who, fleet=fleet, rollouts=rollouts, shown=SHOWN, connected=ctx.ingest_connected())
