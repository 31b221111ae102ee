"""Alerts: list, detail with history, acknowledge, resolve, and a stream of changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sse_starlette import EventSourceResponse, ServerSentEvent

from whir_fleet import alerts
from whir_fleet.api.context import Ctx, Cursor, Limit, Operator, Page, Reading, Viewer, Writing, page
from whir_fleet.clock import now_ms
from whir_fleet.db import Database
from whir_fleet.models import Alert, AlertChange

router = APIRouter(prefix="/alerts", tags=["alerts"])

_STREAM_POLL_S = 0.25
_STREAM_BATCH = 200


_ALERT: dict[str, Any] = {
    "alert_id": "01JZ7V0M4Q8W2N5R6T9XAYB3CD", "site": "plant-1", "machine": "pump-3", "verdict": "bearing",
    "state": "open", "severity": "warning", "occurrences": 1, "opened_ms": 1790000000000,
    "updated_ms": 1790000010000,
    "acknowledged_ms": None, "acknowledged_by": None, "resolved_ms": None,
    "last": {"node": "pump-3", "boot": 4, "seq": 117, "occurrence": "pump-3-4-98", "state": "active", "p": 942},
}  # fmt: skip


class AlertView(BaseModel):
    """One per machine and fault class until it is resolved. `last` is the node's newest message about it."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"example": _ALERT})

    alert_id: str
    site: str
    machine: str
    verdict: str
    state: Literal["open", "acknowledged", "resolved"]
    severity: str
    occurrences: int
    opened_ms: int
    updated_ms: int
    acknowledged_ms: int | None
    acknowledged_by: str | None
    resolved_ms: int | None
    last: dict[str, Any]


class ChangeView(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    at_ms: int
    published_ms: int | None
    message: dict[str, Any]


class AlertDetail(AlertView):
    model_config = ConfigDict(
        json_schema_extra={
            "example": _ALERT
            | {
                "changes": [
                    {
                        "at_ms": 1790000000000,
                        "published_ms": 1790000000040,
                        "message": {"v": 1, "alert_id": _ALERT["alert_id"], "state": "open", "severity": "warning", "p": 942},
                    }
                ]
            }
        }
    )

    changes: list[ChangeView]


@router.get("")
def listed(
    session: Reading,
    _: Viewer,
    state: Annotated[Literal["open", "acknowledged", "resolved"] | None, Query()] = None,
    site: Annotated[str | None, Query(max_length=32)] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[AlertView]:
    """Alerts, newest first."""
    query = select(Alert)
    if state is not None:
        query = query.where(Alert.state == state)
    if site is not None:
        query = query.where(Alert.site == site)
    rows, following = page(session, query, [Alert.opened_ms, Alert.alert_id], cursor, limit, newest=True)
    return Page(items=[AlertView.model_validate(alert) for (alert,) in rows], next=following)


@router.get("/stream", response_class=EventSourceResponse)
async def stream(
    request: Request, ctx: Ctx, _: Viewer, last_event_id: Annotated[str | None, Header(pattern=r"^[0-9]{1,18}$")] = None
) -> EventSourceResponse:
    """Changes as server-sent events: the messages that subscribers get over MQTT. `Last-Event-ID` goes on from there."""
    return EventSourceResponse(_changes(request, ctx.database, last_event_id), ping=15)


async def _changes(request: Request, database: Database, last_event_id: str | None) -> AsyncIterator[ServerSentEvent]:
    """Reads the table, not a queue of this process: any replica of the API may answer."""
    place = int(last_event_id) if last_event_id is not None else await asyncio.to_thread(_newest, database)
    while not await request.is_disconnected():
        for change in await asyncio.to_thread(_after, database, place):
            place = change.id
            yield ServerSentEvent(json.dumps(change.message), event="alert", id=str(change.id))
        await asyncio.sleep(_STREAM_POLL_S)


def _newest(database: Database) -> int:
    with database.read() as session:
        return alerts.newest_change(session)


def _after(database: Database, place: int) -> list[AlertChange]:
    with database.read() as session:
        return alerts.changes_after(session, place, _STREAM_BATCH)


@router.get("/{alert_id}")
def detail(session: Reading, _: Viewer, alert_id: str) -> AlertDetail:
    """One alert with its history."""
    alert = alerts.find(session, alert_id)
    changes = session.scalars(select(AlertChange).where(AlertChange.alert_id == alert_id).order_by(AlertChange.id))
    view = AlertView.model_validate(alert)
    return AlertDetail(**view.model_dump(), changes=[ChangeView.model_validate(change) for change in changes])


@router.post("/{alert_id}/acknowledge")
def acknowledge(ctx: Ctx, session: Writing, who: Operator, alert_id: str) -> AlertView:
    """Somebody has seen it. A rise in severity opens it again."""
    alert = alerts.acknowledge(session, alert_id, who.label, now_ms())
    ctx.wake()
    return AlertView.model_validate(alert)


@router.post("/{alert_id}/resolve")
def resolve(ctx: Ctx, session: Writing, _: Operator, alert_id: str) -> AlertView:
    """By hand. When the node goes on hearing the fault, its next message opens a new alert."""
    alert = alerts.resolve(session, alert_id, now_ms())
    ctx.wake()
    return AlertView.model_validate(alert)
