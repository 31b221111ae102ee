"""The audit log, for admins of the whole fleet."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select

from whir_fleet.api.context import Admin, Cursor, Limit, Page, Reading, page
from whir_fleet.models import AuditEntry

router = APIRouter(prefix="/audit", tags=["audit"])

Time = Annotated[int | None, Query(ge=0, lt=2**63, description="ms since 1970")]


class AuditView(BaseModel):
    """`action` is area and operation; `who` is the token's label, or who ran a command beside the service."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "example": {
                "id": 17, "at_ms": 1790000000000, "who": "anna", "token_id": "01JZ7V0M4Q8W2N5R6T9XAYB3CD",
                "address": "10.0.0.7", "action": "alerts.acknowledge", "site": "plant-1",
                "object": "01JZ7V0M4Q8W2N5R6T9XAYB3CE", "detail": {"why": "bearing is ordered"},
            }
        },
    )  # fmt: skip

    id: int
    at_ms: int
    who: str
    token_id: str | None
    address: str | None
    action: str
    site: str | None
    object: str | None
    detail: dict[str, Any]


@router.get("")
def listed(
    session: Reading, who: Admin, since_ms: Time = None, until_ms: Time = None, limit: Limit = 100, cursor: Cursor = None
) -> Page[AuditView]:
    """Every change, newest first."""
    who.everywhere()
    query = select(AuditEntry)
    if since_ms is not None:
        query = query.where(AuditEntry.at_ms >= since_ms)
    if until_ms is not None:
        query = query.where(AuditEntry.at_ms < until_ms)
    rows, following = page(session, query, [AuditEntry.at_ms, AuditEntry.id], cursor, limit, newest=True)
    return Page(items=[AuditView.model_validate(entry) for (entry,) in rows], next=following)
