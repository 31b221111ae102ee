"""Captures: list, detail, and the samples as a file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from whir_fleet import captures
from whir_fleet.api.context import Cursor, Limit, Page, Reading, Viewer, page
from whir_fleet.capture_files import FORMATS
from whir_fleet.models import Capture, Node, Occurrence

router = APIRouter(prefix="/captures", tags=["nodes"])


class CaptureView(BaseModel):
    """The raw signal of one trigger. A sample is counts × `lsb_nano` × 1e-9 `unit`; `pre` samples lie before the trigger."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "01JZ7V0M4Q8W2N5R6T9XAYB3CD", "site": "plant-1", "node": "pump-3", "machine": "pump-3", "point": "de",
                "at_ms": 1790000000000, "whole_ms": 1790000004000, "trigger": "alert", "occurrence": "pump-3-4-98",
                "alert_id": "01JZ7V0M4Q8W2N5R6T9XAYB3CE", "action": None, "unit": "g", "rate_mhz": 6664000,
                "lsb_nano": 488000, "channels": 3, "samples": 16384, "pre": 6664,
            }
        }
    )  # fmt: skip

    id: str
    site: str
    node: str
    machine: str
    point: str | None
    at_ms: int
    whole_ms: int
    trigger: Literal["command", "alert", "daily"]
    occurrence: str | None
    alert_id: str | None
    action: str | None = Field(description="id of the command that asked for it")
    unit: Literal["g", "mps2", "volt"]
    rate_mhz: int
    lsb_nano: int
    channels: int
    samples: int
    pre: int


def _view(row: tuple[Capture, str, str, str | None]) -> CaptureView:
    capture, site, node, alert_id = row
    own = {name: getattr(capture, name) for name in CaptureView.model_fields if hasattr(capture, name)}
    return CaptureView(**own, site=site, node=node, alert_id=alert_id)


@router.get("")
def listed(
    session: Reading,
    who: Viewer,
    site: Annotated[str | None, Query(max_length=32)] = None,
    node: Annotated[str | None, Query(max_length=32)] = None,
    machine: Annotated[str | None, Query(max_length=64)] = None,
    alert_id: Annotated[str | None, Query(max_length=26)] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[CaptureView]:
    """Those that are whole, newest first."""
    query = who.only(captures.listed(), Node.site)
    given = ((Node.site, site), (Node.name, node), (Capture.machine, machine), (Occurrence.alert_id, alert_id))
    for column, value in given:
        if value is not None:
            query = query.where(column == value)
    rows, following = page(session, query, [Capture.at_ms, Capture.id], cursor, limit, newest=True)
    return Page(items=[_view(row) for row in rows], next=following)


def _found(session: Reading, who: Viewer, id: str) -> tuple[Capture, str, str, str | None]:
    row = captures.find(session, id)
    who.at(row[1])
    return row


@router.get("/{id}")
def detail(session: Reading, who: Viewer, id: str) -> CaptureView:
    return _view(_found(session, who, id))


_FILE: dict[int | str, dict[str, Any]] = {200: {"content": {media: {} for _, media in FORMATS.values()}}}


@router.get("/{id}/file", response_class=Response, responses=_FILE)
def file(session: Reading, who: Viewer, id: str, format: Annotated[Literal["csv", "wav", "uff"], Query()] = "csv") -> Response:
    """`csv`: seconds from the trigger on and each axis in its unit. `wav`: the counts, 16 bits. `uff`: UFF data set 58."""
    capture, _, node, _ = _found(session, who, id)
    make, media = FORMATS[format]
    name = f"{node}-{capture.capture_boot}-{capture.number}.{format}"
    return Response(make(capture), media_type=media, headers={"Content-Disposition": f'attachment; filename="{name}"'})
