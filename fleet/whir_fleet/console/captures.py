"""Captures: the raw signal, to look at and to take along."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.orm import Session

from whir_fleet import captures, evidence
from whir_fleet.api import captures as api
from whir_fleet.api.context import Reading, Viewer
from whir_fleet.auth import Identity
from whir_fleet.capture_files import FORMATS
from whir_fleet.console import signals, units
from whir_fleet.console.pages import render

router = APIRouter(prefix="/captures", tags=["nodes"])

BANDS: Final = (200, 500, 1000)  # Hz, beside the whole of it


def of(session: Session, who: Identity, **given: str) -> list[api.CaptureView]:
    """The newest ones of a machine (`site`, `machine`) or of an alert (`alert_id`)."""
    asked = {name: given.get(name) for name in ("site", "node", "machine", "alert_id")}
    return api.listed(session, who, **asked, limit=signals.ROWS, cursor=None).items


def charts(request: Request, session: Session, id: str, to_hz: int | None) -> dict[str, Any]:
    chosen, (capture, site, *_) = units.chosen(request.cookies.get(units.COOKIE)), captures.find(session, id)
    machine = evidence.machine_of(session, site, capture)
    shaft = evidence.shaft(capture, machine)
    marks = signals.marks(shaft, evidence.orders(machine))
    return {
        "shaft": shaft,
        "spectrum": signals.spectrum_chart(session, capture, chosen, to_hz, marks),
        "waveform": signals.waveform_chart(capture, chosen),
    }


def waterfall(session: Session, found: list[api.CaptureView]) -> dict[str, Any] | None:
    return signals.waterfall(session, [captures.find(session, one.id)[0] for one in found], BANDS[1])


@router.get("/{id}")
def detail(
    request: Request, session: Reading, who: Viewer, id: str, to: Annotated[int | None, Query(gt=0, le=50_000)] = None
) -> Response:
    found = api.detail(session, who, id)
    bands = [band for band in BANDS if band < found.rate_mhz / 2000]
    return render(
        request,
        "capture.html",
        who,
        capture=found,
        signal=charts(request, session, id, to),
        to=to,
        bands=bands,
        formats=FORMATS,
    )


@router.get("/{id}/file")
def file(session: Reading, who: Viewer, id: str, format: Annotated[str, Query(max_length=4)] = "csv") -> Response:
    return api.file(session, who, id, format if format in FORMATS else "csv")  # type: ignore[arg-type]
