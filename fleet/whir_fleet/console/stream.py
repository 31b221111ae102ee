"""Server-sent events for the pages: not what has changed, only that something did, so that a page asks for its part again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from sse_starlette import EventSourceResponse, ServerSentEvent

from whir_fleet.api.context import Ctx, Viewer
from whir_fleet.db import Database
from whir_fleet.models import Action, AlertChange, Capture, Command, Node, Rollout
from whir_fleet.rollout_tables import LIVE_ROLLOUTS

router = APIRouter(tags=["nodes"])

_POLL_S = 0.5


def marks(session: Session) -> dict[str, object]:
    """For each part of the fleet a value that is another one after a change. Reads tables, so any replica may answer."""
    live = select(Action.state, func.count()).join(Rollout).where(Rollout.state.in_(LIVE_ROLLOUTS)).group_by(Action.state)
    rollouts = select(Rollout.state, func.count()).group_by(Rollout.state)
    open_commands = select(Command.state, func.count(), func.max(Command.id)).group_by(Command.state)
    return {
        "alerts": session.scalar(select(func.max(AlertChange.id))),
        "rollouts": [sorted(map(tuple, session.execute(query))) for query in (live, rollouts)],
        "nodes": tuple(session.execute(select(func.count(), func.max(Node.last_seen_ms)).select_from(Node)).one()),
        "captures": session.scalar(select(func.max(Capture.whole_ms))),
        "commands": sorted(map(tuple, session.execute(open_commands))),
    }


@router.get("/stream", response_class=EventSourceResponse)
async def stream(request: Request, ctx: Ctx, _: Viewer) -> EventSourceResponse:
    return EventSourceResponse(_changes(request, ctx.database), ping=15)


async def _changes(request: Request, database: Database) -> AsyncIterator[ServerSentEvent]:
    seen = await asyncio.to_thread(_read, database)
    while not await request.is_disconnected():
        await asyncio.sleep(_POLL_S)
        found = await asyncio.to_thread(_read, database)
        for name in found:
            if found[name] != seen[name]:
                yield ServerSentEvent("changed", event=name)
        seen = found


def _read(database: Database) -> dict[str, object]:
    with database.read() as session:
        return marks(session)
