"""Maintenance windows."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from whir_fleet import audit, maintenance
from whir_fleet.api.context import Cursor, Limit, Operator, Page, Reading, Viewer, Writing, page
from whir_fleet.clock import now_ms
from whir_fleet.machine_specs import Name
from whir_fleet.models import Maintenance

router = APIRouter(prefix="/maintenance", tags=["alerts"])


class WindowRequest(BaseModel):
    """`machine` null: all of the site. At most 90 days."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "site": "plant-1", "machine": "pump-3", "from_ms": 1790000000000, "until_ms": 1790014400000,
                "why": "new coupling",
            }
        },
    )  # fmt: skip

    site: Name
    machine: str | None = Field(None, min_length=1, max_length=64)
    from_ms: int | None = Field(None, ge=0, lt=2**53, description="now when left out")
    until_ms: int = Field(ge=0, lt=2**53)
    why: str = Field(min_length=1, max_length=500)


class WindowView(BaseModel):
    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "example": {
                "id": "01JZ7V0M4Q8W2N5R6T9XAYB3CD", "site": "plant-1", "machine": "pump-3", "from_ms": 1790000000000,
                "until_ms": 1790014400000, "why": "new coupling", "planned_by": "anna",
            }
        },
    )  # fmt: skip

    id: str
    site: str
    machine: str | None
    from_ms: int
    until_ms: int
    why: str
    planned_by: str


@router.post("", status_code=201)
def plan(session: Writing, who: Operator, request: WindowRequest) -> WindowView:
    """What opens meanwhile is kept, and told only if it is still there at the end."""
    who.at(request.site)
    audit.note(session, **request.model_dump(exclude_none=True))
    from_ms = now_ms() if request.from_ms is None else request.from_ms
    window = maintenance.plan(session, request.site, request.machine, from_ms, request.until_ms, request.why, who.label)
    return WindowView.model_validate(window)


@router.get("")
def listed(
    session: Reading,
    who: Viewer,
    site: Annotated[str | None, Query(max_length=32)] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[WindowView]:
    """Windows, the last to begin first."""
    query = who.only(select(Maintenance), Maintenance.site)
    if site is not None:
        query = query.where(Maintenance.site == site)
    rows, following = page(session, query, [Maintenance.from_ms, Maintenance.id], cursor, limit, newest=True)
    return Page(items=[WindowView.model_validate(window) for (window,) in rows], next=following)


@router.post("/{window_id}/end")
def end(session: Writing, who: Operator, window_id: str) -> WindowView:
    """Now instead of later."""
    window = maintenance.end(session, window_id, now_ms())
    who.at(window.site)
    audit.note(session, site=window.site)
    return WindowView.model_validate(window)
