"""Alerts: a list to work off, and one alert with everything that is known about it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session

from whir_fleet import alerts, evidence_pdf, outcomes
from whir_fleet.api import alerts as api
from whir_fleet.api.context import Ctx, Cursor, Operator, Reading, Viewer, Writing, page
from whir_fleet.auth import Identity
from whir_fleet.console import captures, languages, words
from whir_fleet.console.pages import back_to, blank, render
from whir_fleet.errors import ConflictError
from whir_fleet.evidence import Evidence
from whir_fleet.models import Alert

router = APIRouter(prefix="/alerts", tags=["alerts"])

PAGE = 50
# What the list can be narrowed to; the first is what one comes for.
SHOW = {
    "unresolved": (alerts.OPEN, alerts.ACKNOWLEDGED),
    "open": (alerts.OPEN,),
    "acknowledged": (alerts.ACKNOWLEDGED,),
    "resolved": (alerts.RESOLVED,),
}

Text = Annotated[str, Form(max_length=2000)]


@router.get("")
def listed(
    request: Request,
    session: Reading,
    who: Viewer,
    show: Annotated[str, Query(max_length=20)] = "unresolved",
    severity: Annotated[str, Query(max_length=12)] = "",
    machine: Annotated[str, Query(max_length=64)] = "",
    at: Annotated[str, Query(max_length=32)] = "",
    cursor: Cursor = None,
) -> Response:
    query = who.only(select(Alert).where(Alert.state.in_(SHOW.get(show, SHOW["unresolved"]))), Alert.site)
    if severity:
        query = query.where(Alert.severity == severity)
    if machine:
        query = query.where(Alert.machine.contains(machine, autoescape=True))
    if at:
        query = query.where(Alert.site == at)
    rows, following = page(session, query, [Alert.opened_ms, Alert.alert_id], cursor, PAGE, newest=True)
    return render(
        request,
        "alerts.html",
        who,
        alerts=[alert for (alert,) in rows],
        counts=_counts(session, who),
        sites=list(session.scalars(who.only(select(Alert.site).distinct().order_by(Alert.site), Alert.site))),
        show=show if show in SHOW else "unresolved",
        severity=severity,
        machine=machine,
        at=at,
        following=following,
    )


def _counts(session: Session, who: Identity) -> dict[str, int]:
    def count(states: tuple[str, ...]) -> ColumnElement[int]:
        return func.sum(case((Alert.state.in_(states), 1), else_=0))

    found = session.execute(who.only(select(*(count(states) for states in SHOW.values())), Alert.site)).one()
    return {name: int(number or 0) for name, number in zip(SHOW, found, strict=True)}


@router.get("/{alert_id}")
def detail(request: Request, session: Reading, who: Viewer, alert_id: str) -> Response:
    alert, found = api.detail(session, who, alert_id), captures.of(session, who, alert_id=alert_id)
    signal = captures.charts(request, session, found[0].id, captures.BANDS[1]) if found else None
    evidence, missing = _evidence(session, who, alert_id)
    return render(
        request,
        "alert.html",
        who,
        alert=alert,
        outcomes=tuple(outcomes.OUTCOMES),
        captures=found,
        signal=signal,
        evidence=evidence,
        missing=missing,
    )


def _evidence(session: Session, who: Identity, alert_id: str) -> tuple[Evidence | None, str]:
    """With why there is none."""
    try:
        return api.evidence_of(session, who, alert_id), ""
    except ConflictError as error:
        return None, error.text


@router.get("/{alert_id}/evidence.pdf")
def evidence_page(request: Request, session: Reading, who: Viewer, alert_id: str) -> Response:
    """In the viewer's language, as the alert's page is."""
    found, language = api.evidence_of(session, who, alert_id), languages.chosen(request)
    return api.pdf(alert_id, evidence_pdf.page(found, language.text(words.verdict_name(found.verdict)), language))


@router.post("/{alert_id}/acknowledge")
def acknowledge(
    ctx: Ctx, session: Writing, who: Operator, alert_id: str, why: Text = "", back: Annotated[str, Form()] = ""
) -> Response:
    api.acknowledge(ctx, session, who, alert_id, api.Why(why=blank(why)))
    return back_to("/alerts" if back == "list" else f"/alerts/{alert_id}")


@router.post("/{alert_id}/comment")
def comment(session: Writing, who: Operator, alert_id: str, text: Text = "") -> Response:
    api.comment(session, who, alert_id, api.CommentRequest(text=text.strip()))
    return back_to(f"/alerts/{alert_id}")


@router.post("/{alert_id}/assign")
def assign(session: Writing, who: Operator, alert_id: str, to: Text = "") -> Response:
    api.assign(session, who, alert_id, api.AssignRequest.model_validate({"to": blank(to)}))
    return back_to(f"/alerts/{alert_id}")


@router.post("/{alert_id}/outcome")
def outcome(
    ctx: Ctx,
    session: Writing,
    who: Operator,
    alert_id: str,
    outcome: Annotated[str, Form()] = "",
    fault: Text = "",
    note: Text = "",
    resolve: Annotated[bool, Form()] = False,
) -> Response:
    """What was found at the machine, and with `resolve` the end of the alert in the same step."""
    if outcome or not resolve:
        said = {"outcome": outcome, "fault": blank(fault), "note": blank(note)}
        api.outcome(session, who, alert_id, api.OutcomeRequest.model_validate(said))
    if resolve:
        api.resolve(ctx, session, who, alert_id, api.Why(why=blank(note)))
    return back_to(f"/alerts/{alert_id}")


assert set(words.outcome) == set(outcomes.OUTCOMES)
assert {what for _, what in alerts.TRANSITIONS} <= set(words.change)
