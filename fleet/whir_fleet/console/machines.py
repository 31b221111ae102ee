"""Machines: the list, and one machine with its past, its alerts, its nodes and what they can be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Form, Query, Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from whir_fleet import devices
from whir_fleet import machines as registry
from whir_fleet.api import commands as api
from whir_fleet.api.context import Ctx, Operator, Reading, Viewer, Writing
from whir_fleet.clock import now_ms
from whir_fleet.console import captures, fleet_view, history, words
from whir_fleet.console.history import RANGES, History, Period
from whir_fleet.console.pages import back_to, render
from whir_fleet.errors import NotFoundError
from whir_fleet.models import Alert, Command, Event, Machine, Node, Telemetry
from whir_fleet.said import Said

router = APIRouter(prefix="/machines", tags=["nodes"])

Text = Annotated[str, Form(max_length=20)]

PAGE = 60
_ALERTS, _COMMANDS, _EVENTS = 20, 8, 12  # on a machine's page


@router.get("")
def listed(
    request: Request,
    session: Reading,
    who: Viewer,
    state: Annotated[str, Query(max_length=12)] = "",
    at: Annotated[str, Query(max_length=32)] = "",
    name: Annotated[str, Query(max_length=64)] = "",
    start: Annotated[int, Query(ge=0, lt=2**31)] = 0,
) -> Response:
    now = now_ms()
    total, found = fleet_view.page(session, who, now, state=state, site=at, name=name, start=start, limit=PAGE)
    return render(
        request,
        "machines.html",
        who,
        fleet=fleet_view.summary(session, who, now),
        machines=found,
        total=total,
        start=start,
        page_size=PAGE,
        state=state,
        at=at,
        name=name,
    )


@dataclass(frozen=True)
class PointPast:
    """A measuring point with the node that listens there now, its newest telemetry, and the point's past."""

    name: str | None
    position: str | None
    node: Node | None
    presence: str
    newest: Telemetry | None
    history: History


@router.get("/{site}/{name}")
def detail(
    request: Request,
    session: Reading,
    who: Viewer,
    site: str,
    name: str,
    span: Annotated[str, Query(max_length=8)] = "day",
) -> Response:
    now = now_ms()
    machine = session.scalar(select(Machine).where(Machine.site == site, Machine.name == name))
    chosen = RANGES.get(span, RANGES["day"])
    points = [
        _past(session, point, position, periods, chosen, now)
        for point, position, periods in _points(session, site, name, machine)
    ]
    if machine is None and not points:
        raise NotFoundError(Said("no machine %(machine)s", machine=f"{site}/{name}"))
    alerts = select(Alert).where(Alert.site == site, Alert.machine == name).order_by(Alert.opened_ms.desc()).limit(_ALERTS)
    ids = [point.node.id for point in points if point.node is not None]
    commands = select(Command, Node.name).join(Node, Node.id == Command.node_id).where(Command.node_id.in_(ids))
    events = select(Event, Node.name).join(Node, Node.id == Event.node_id).where(Event.node_id.in_(ids))
    recorded = captures.of(session, who, site=site, machine=name)
    return render(
        request,
        "machine.html",
        who,
        site=site,
        name=name,
        machine=machine,
        state=fleet_view.state_of(session, who, site, name, now),
        points=points,
        alerts=list(session.scalars(alerts)),
        captures=recorded,
        waterfall=captures.waterfall(session, recorded),
        commands=session.execute(commands.order_by(Command.created_ms.desc()).limit(_COMMANDS)).all(),
        events=session.execute(events.order_by(Event.at_ms.desc()).limit(_EVENTS)).all(),
        counts=devices.counts(session, ids),
        span=span if span in RANGES else "day",
        limits=history.limits_of(machine),
        offered=[c for c in words.command if c in get_args(api.CommandRequest.model_fields["c"].annotation)],
    )


def _points(
    session: Session, site: str, name: str, machine: Machine | None
) -> list[tuple[str | None, str | None, list[Period]]]:
    """(point, position, who listened there and when); a node that is its own machine has no point."""
    found: list[tuple[str | None, str | None, list[Period]]] = []
    ids = {n: i for n, i in session.execute(select(Node.name, Node.id).where(Node.site == site))} if machine else {}
    for point in registry.points_of(session, [machine.id] if machine else []):
        periods = [
            Period(ids[a.node], a.node, a.from_ms, a.until_ms or 2**62)
            for a in registry.assignments_of(session, [point.id])
            if a.node in ids
        ]
        found.append((point.name, point.position, periods))
    own = session.scalar(select(Node).where(Node.site == site, Node.name == name))
    if own is not None and registry.places(session, [own])[own.id].point is None:
        found.append((None, None, [Period(own.id, own.name, 0, 2**62)]))
    return found


def _past(
    session: Session, name: str | None, position: str | None, periods: list[Period], span: history.Range, now: int
) -> PointPast:
    here = next((period.node_id for period in periods if period.until_ms > now), None)
    node = session.get_one(Node, here) if here is not None else None
    newest = select(Telemetry).where(Telemetry.node_id == here).order_by(Telemetry.at_ms.desc()).limit(1)
    return PointPast(
        name,
        position,
        node,
        devices.presence(node, now) if node is not None else "unknown",
        session.scalar(newest) if node is not None else None,
        history.load(session, periods, span, now),
    )


@router.post("/{site}/{machine}/nodes/{name}/command")
def command(
    ctx: Ctx,
    session: Writing,
    who: Operator,
    site: str,
    machine: str,
    name: str,
    c: Annotated[str, Query(max_length=16)] = "",
    raise_percent: Text = "",
    clear_percent: Text = "",
) -> Response:
    asked: dict[str, Any] = {"c": c}
    if c == "thresholds":  # an empty field is the model's own
        asked |= {"raise_permille": _permille(raise_percent), "clear_permille": _permille(clear_percent)}
    api.command(ctx, session, who, site, name, api.CommandRequest.model_validate(asked))
    return back_to(f"/machines/{site}/{machine}")


def _permille(percent: str) -> float | str:
    """For the request to judge; a text that is no number as it is."""
    try:
        return round(10 * float(percent)) if percent.strip() else 0
    except ValueError:
        return percent
