"""The fleet at a glance."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from sqlalchemy import select

from whir_fleet import alerts
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
    now = now_ms()
    counts = fleet_view.unresolved(session, who)
    shown = {state: fleet_view.worst(session, who, state, SHOWN) for state in (alerts.OPEN, alerts.ACKNOWLEDGED)}
    models, (offline_count, offline) = fleet_view.models(session, who), fleet_view.offline(session, who, now, SHOWN)
    live = select(Rollout).where(Rollout.state.in_(LIVE_ROLLOUTS)).order_by(Rollout.created_ms.desc())
    rollouts = list(session.scalars(live)) if who.sites is None else []
    return render(
        request,
        "overview.html",
        who,
        fleet=fleet_view.summary(session, who, now),
        nodes=sum(count for _, count in models),
        models=models[:SHOWN],
        offline=offline,
        offline_count=offline_count,
        counts=counts,
        of_state={state: sum(count for (of, _), count in counts.items() if of == state) for state in shown},
        open=shown[alerts.OPEN],
        acknowledged=shown[alerts.ACKNOWLEDGED],
        rollouts=rollouts,
        connected=ctx.ingest_connected(),
    )
