"""Alerts: list, detail with history, what people do about them, precision, and a stream of changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.orm import Session
from sse_starlette import EventSourceResponse, ServerSentEvent

from whir_fleet import alerts, audit, evidence, evidence_pdf, outcomes, site_alerts
from whir_fleet.api.context import Ctx, Cursor, Limit, Operator, Page, Reading, Sentence, Viewer, Writing, page
from whir_fleet.auth import Identity
from whir_fleet.clock import now_ms
from whir_fleet.db import Database
from whir_fleet.models import Alert, AlertChange

router = APIRouter(prefix="/alerts", tags=["alerts"])

_STREAM_POLL_S = 0.1
_STREAM_BATCH = 200


_ALERT: dict[str, Any] = {
    "alert_id": "01JZ7V0M4Q8W2N5R6T9XAYB3CD", "site": "plant-1", "machine": "pump-3", "point": "de", "verdict": "bearing",
    "state": "open", "severity": "warning", "occurrences": 1, "opened_ms": 1790000000000, "open_ms": 1790000000120,
    "updated_ms": 1790000010000, "acknowledged_ms": None, "acknowledged_by": None, "resolved_ms": None,
    "assigned_to": "anna", "muted": False, "settles_ms": None, "escalations": 0,
    "model": "synth12k", "model_version": "2", "counter": 2,
    "outcome": "confirmed", "outcome_fault": "bearing", "outcome_note": "outer ring", "outcome_by": "anna",
    "outcome_ms": 1790000900000,
    "last": {"node": "pump-3", "boot": 4, "seq": 117, "occurrence": "pump-3-4-98", "state": "active", "p": 942},
}  # fmt: skip

StateName = Literal["open", "acknowledged", "resolved"]
OutcomeName = Literal["confirmed", "other_fault", "false_alarm", "sensor_loose"]


class AlertView(BaseModel):
    """One per machine and fault class until it is resolved. `last` is the node's newest message about it.

    `muted`: opened in a maintenance window that is not over. `settles_ms`: it flaps, and is resolved then if it stays clear. A
    machine `_site` is an alert of many nodes.
    """

    model_config = ConfigDict(from_attributes=True, protected_namespaces=(), json_schema_extra={"example": _ALERT})

    alert_id: str
    site: str
    machine: str
    point: str | None
    verdict: str
    state: StateName
    severity: str
    occurrences: int
    opened_ms: int
    open_ms: int = Field(description="since when it waits for somebody")
    updated_ms: int
    acknowledged_ms: int | None
    acknowledged_by: str | None
    resolved_ms: int | None
    assigned_to: str | None
    muted: bool
    settles_ms: int | None
    escalations: int
    model: str | None
    model_version: str | None
    counter: int | None
    outcome: OutcomeName | None
    outcome_fault: str | None
    outcome_note: str | None
    outcome_by: str | None
    outcome_ms: int | None
    last: dict[str, Any]


class ChangeView(BaseModel):
    """Who did what, when and why: a node, the fleet, or the label of a token. `told` ones go out to subscribers."""

    model_config = ConfigDict(from_attributes=True)

    at_ms: int
    what: str
    who: str
    why: Sentence | None
    told: bool
    published_ms: int | None
    message: dict[str, Any]


class MemberView(BaseModel):
    node: str
    occurrence: str
    state: Literal["active", "cleared"]
    raised_ms: int


class AlertDetail(AlertView):
    model_config = ConfigDict(
        json_schema_extra={
            "example": _ALERT
            | {
                "changes": [
                    {
                        "at_ms": 1790000000000, "what": "open", "who": "node pump-3", "why": None, "told": True,
                        "published_ms": 1790000000040,
                        "message": {"v": 1, "alert_id": _ALERT["alert_id"], "state": "open", "severity": "warning", "p": 942},
                    }
                ],
                "members": [
                    {"node": "pump-3", "occurrence": "pump-3-4-98", "state": "active", "raised_ms": 1790000000000}
                ],
            }
        }
    )  # fmt: skip

    changes: list[ChangeView]
    members: list[MemberView] = Field(description="the occurrences, newest first; of a site's alert its list of nodes")


class Why(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"why": "looked at it, bearing is ordered"}})

    why: str | None = Field(None, min_length=1, max_length=500)


class CommentRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"text": "grease is on its way"}})

    text: str = Field(min_length=1, max_length=2000)


class AssignRequest(Why):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"to": "anna", "why": "on shift"}})

    to: str | None = Field(min_length=1, max_length=64, description="null gives it back")


class OutcomeRequest(BaseModel):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"outcome": "confirmed", "note": "outer ring, replaced"}}
    )

    outcome: OutcomeName
    fault: str | None = Field(None, min_length=1, max_length=64, description="what it was; for other_fault")
    note: str | None = Field(None, min_length=1, max_length=2000)


class PrecisionView(BaseModel):
    """Alerts of one model version. `precision` = confirmed / (confirmed + other_fault + false_alarm), `ci95` by Wilson."""

    model_config = ConfigDict(
        from_attributes=True,
        protected_namespaces=(),
        json_schema_extra={
            "example": {
                "model": "synth12k", "model_version": "2", "counter": 2, "alerts": 14, "confirmed": 9, "other_fault": 1,
                "false_alarm": 2, "sensor_loose": 1, "undecided": 1, "precision": 0.75, "ci95": [0.468, 0.911],
            }
        },
    )  # fmt: skip

    model: str
    model_version: str | None
    counter: int | None
    alerts: int
    confirmed: int
    other_fault: int
    false_alarm: int
    sensor_loose: int
    undecided: int
    precision: float | None
    ci95: tuple[float, float] | None


@router.get("")
def listed(
    session: Reading,
    who: Viewer,
    state: Annotated[StateName | None, Query()] = None,
    site: Annotated[str | None, Query(max_length=32)] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[AlertView]:
    """Alerts, newest first."""
    query = who.only(select(Alert), Alert.site)
    if state is not None:
        query = query.where(Alert.state == state)
    if site is not None:
        query = query.where(Alert.site == site)
    rows, following = page(session, query, [Alert.opened_ms, Alert.alert_id], cursor, limit, newest=True)
    return Page(items=[AlertView.model_validate(alert) for (alert,) in rows], next=following)


@router.get("/stream", response_class=EventSourceResponse)
async def stream(
    request: Request, ctx: Ctx, who: Viewer, last_event_id: Annotated[str | None, Header(pattern=r"^[0-9]{1,18}$")] = None
) -> EventSourceResponse:
    """Changes as server-sent events: the messages that subscribers get over MQTT. `Last-Event-ID` goes on from there."""
    return EventSourceResponse(_changes(request, ctx.database, who, last_event_id), ping=15)


async def _changes(
    request: Request, database: Database, who: Identity, last_event_id: str | None
) -> AsyncIterator[ServerSentEvent]:
    """Reads the table, not a queue of this process: any replica of the API may answer."""
    place = int(last_event_id) if last_event_id is not None else await asyncio.to_thread(_newest, database)
    while not await request.is_disconnected():
        for change in await asyncio.to_thread(_after, database, place):
            place = change.id
            if who.sites is not None and change.message["site"] not in who.sites:
                continue
            yield ServerSentEvent(json.dumps(change.message), event="alert", id=str(change.id))
        await asyncio.sleep(_STREAM_POLL_S)


def _newest(database: Database) -> int:
    with database.read() as session:
        return alerts.newest_change(session)


def _after(database: Database, place: int) -> list[AlertChange]:
    with database.read() as session:
        return alerts.changes_after(session, place, _STREAM_BATCH)


@router.get("/precision")
def precision(session: Reading, who: Viewer) -> list[PrecisionView]:
    """How often each model version was right, by the outcomes that engineers recorded."""
    return [PrecisionView.model_validate(row) for row in outcomes.precision(session, who.sites)]


@router.get("/{alert_id}")
def detail(session: Reading, who: Viewer, alert_id: str) -> AlertDetail:
    """One alert with its history and its occurrences."""
    alert = alerts.find(session, alert_id)
    who.at(alert.site)
    changes = session.scalars(select(AlertChange).where(AlertChange.alert_id == alert_id).order_by(AlertChange.id))
    members = [
        MemberView(
            node=name, occurrence=o.occurrence, state="active" if o.state == "active" else "cleared", raised_ms=o.raised_ms
        )
        for o, name in site_alerts.members_of(session, alert_id)
    ]
    view = AlertView.model_validate(alert)
    return AlertDetail(**view.model_dump(), changes=[ChangeView.model_validate(c) for c in changes], members=members)


@router.get("/{alert_id}/evidence")
def evidence_of(session: Reading, who: Viewer, alert_id: str) -> evidence.Evidence:
    """What speaks for the verdict and what against it, from the alert's newest capture; 409 while none has come."""
    alert = alerts.find(session, alert_id)
    who.at(alert.site)
    return evidence.of_alert(session, alert)


@router.get("/{alert_id}/evidence.pdf", response_class=Response, responses={200: {"content": {"application/pdf": {}}}})
def evidence_page(session: Reading, who: Viewer, alert_id: str) -> Response:
    """The same on one page."""
    found = evidence_of(session, who, alert_id)
    return pdf(alert_id, evidence_pdf.page(found, found.verdict))


def pdf(alert_id: str, page: bytes) -> Response:
    name = {"Content-Disposition": f'inline; filename="{alert_id}.pdf"'}
    return Response(page, media_type="application/pdf", headers=name)


def _may(session: Session, who: Identity, alert_id: str, request: BaseModel | None) -> None:
    """Before a change: on which site it is, and what the audit log says of it."""
    site = alerts.find(session, alert_id).site
    who.at(site)
    audit.note(session, site=site, **(request.model_dump(exclude_none=True) if request is not None else {}))


def _why(request: Why | None) -> str | None:
    return request.why if request is not None else None


@router.post("/{alert_id}/acknowledge")
def acknowledge(ctx: Ctx, session: Writing, who: Operator, alert_id: str, request: Why | None = None) -> AlertView:
    """Somebody has seen it. A rise in severity opens it again."""
    _may(session, who, alert_id, request)
    alert = alerts.acknowledge(session, alert_id, who.label, now_ms(), _why(request))
    ctx.wake()
    return AlertView.model_validate(alert)


@router.post("/{alert_id}/assign")
def assign(session: Writing, who: Operator, alert_id: str, request: AssignRequest) -> AlertView:
    """Whose it is from now on."""
    _may(session, who, alert_id, request)
    return AlertView.model_validate(alerts.assign(session, alert_id, request.to, who.label, now_ms(), request.why))


@router.post("/{alert_id}/comment")
def comment(session: Writing, who: Operator, alert_id: str, request: CommentRequest) -> AlertView:
    """Something to remember, in any state; it stands in the history."""
    _may(session, who, alert_id, request)
    return AlertView.model_validate(alerts.comment(session, alert_id, request.text, who.label, now_ms()))


@router.post("/{alert_id}/resolve")
def resolve(ctx: Ctx, session: Writing, who: Operator, alert_id: str, request: Why | None = None) -> AlertView:
    """By hand. When the node goes on hearing the fault, its next message opens a new alert."""
    _may(session, who, alert_id, request)
    alert = alerts.resolve(session, alert_id, who.label, now_ms(), _why(request))
    ctx.wake()
    return AlertView.model_validate(alert)


@router.post("/{alert_id}/outcome")
def outcome(session: Writing, who: Operator, alert_id: str, request: OutcomeRequest) -> AlertView:
    """What the engineer found at the machine; in any state. Saying it again corrects it."""
    _may(session, who, alert_id, request)
    found = outcomes.record(session, alert_id, request.outcome, request.fault, request.note, who.label, now_ms())
    return AlertView.model_validate(found)
