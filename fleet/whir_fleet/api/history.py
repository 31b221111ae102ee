"""What nodes have said: telemetry, its hours, and events."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from whir_fleet import devices, retention
from whir_fleet.api.context import Cursor, Limit, Page, Reading, Viewer, page
from whir_fleet.auth import Identity
from whir_fleet.clock import now_ms
from whir_fleet.models import Event, Node, Telemetry

router = APIRouter(tags=["nodes"])


class TelemetryView(BaseModel):
    """`at_ms` is the node's clock where it is synchronized, else the time of arrival. Probabilities are permille; `velocity` is
    1e-6 m/s RMS from 10 Hz to `velocity_hz`; without a zone `zone_reason` says why."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "site": "plant-1", "node": "pump-3", "boot": 4, "seq": 118, "at_ms": 1790000000000, "verdict": "normal",
                "p": 973, "windows": 480, "quality": 0, "novelty": None, "zone": "A", "zone_reason": None,
                "velocity": 910, "velocity_hz": 1000, "rms": 31, "unit": "g", "model": "synth12k", "counter": 2,
                "slot": "b", "classes": {"normal": 973, "imbalance": 20, "bearing": 7},
                "verdicts": {"normal": 58},
            }
        }
    )  # fmt: skip

    site: str
    node: str
    boot: int
    seq: int
    at_ms: int
    verdict: str
    p: int
    windows: int
    quality: int | None
    novelty: int | None
    zone: str | None
    zone_reason: str | None
    velocity: int | None
    velocity_hz: int | None
    rms: int | None
    unit: str | None
    model: str | None
    counter: int | None
    slot: str | None
    classes: dict[str, int] | None
    verdicts: dict[str, int] | None


class HourView(BaseModel):
    """One verdict in one hour. Means are sums over counts; probabilities are permille, velocities 1e-6 m/s."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "hour_ms": 1789999200000, "verdict": "normal", "messages": 60, "windows": 28800, "p_mean": 951,
                "rms_mean": 31, "rms_max": 44, "velocity_mean": 870, "velocity_max": 1010, "novelty_max": None,
            }
        }
    )  # fmt: skip

    hour_ms: int
    verdict: str
    messages: int
    windows: int
    p_mean: int
    rms_mean: int | None
    rms_max: int | None
    velocity_mean: int | None
    velocity_max: int | None
    novelty_max: int | None


class EventView(BaseModel):
    """`action` is the id of the command that caused it; `vector` to `wanted` say where a golden vector failed."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "site": "plant-1", "node": "pump-3", "boot": 4, "seq": 119, "at_ms": 1790000000000, "kind": "update_refused",
                "code": "bundle_golden", "text": None, "action": "01JZ7V0M4Q8W2N5R6T9XAYB3CD", "model": "synth12k",
                "model_version": "1", "counter": 1, "slot": "a", "vector": 3, "byte": 1, "got": -7, "wanted": -6,
            }
        }
    )  # fmt: skip

    site: str
    node: str
    boot: int
    seq: int
    at_ms: int
    kind: str
    code: str | None
    text: str | None
    action: str | None
    model: str | None
    model_version: str | None
    counter: int | None
    slot: str | None
    vector: int | None
    byte: int | None
    got: int | None
    wanted: int | None


Site = Annotated[str | None, Query(max_length=32)]


Since = Annotated[int | None, Query(ge=0, lt=2**63, description="ms since 1970")]


def _history(
    session: Session,
    who: Identity,
    table: type[Telemetry] | type[Event],
    site: str | None,
    name: str | None,
    since: int | None,
    until: int | None,
) -> Select[*tuple[Any, ...]]:
    query: Select[*tuple[Any, ...]] = select(table, Node.site, Node.name).join(Node, Node.id == table.node_id)
    query = who.only(query, Node.site)
    if site is not None:
        query = query.where(Node.site == site)
    if name is not None:
        named = select(Node.id).where(Node.name == name, *([Node.site == site] if site is not None else []))
        ids = session.scalars(named).all()  # told by number, the rows of a node come from the index in their order
        query = query.where(table.node_id == ids[0] if len(ids) == 1 else table.node_id.in_(ids))
    if since is not None:
        query = query.where(table.at_ms >= since)
    if until is not None:
        query = query.where(table.at_ms < until)
    return query


def _row(row: Any, names: dict[str, Any]) -> dict[str, Any]:
    found, site, name = row
    return {key: getattr(found, key) for key in names if hasattr(found, key)} | {"site": site, "node": name}


@router.get("/telemetry")
def telemetry(
    session: Reading,
    who: Viewer,
    site: Site = None,
    node: Annotated[str | None, Query(max_length=32)] = None,
    since_ms: Since = None,
    until_ms: Since = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[TelemetryView]:
    """Telemetry, newest first."""
    keys = [Telemetry.at_ms, Telemetry.node_id, Telemetry.boot, Telemetry.seq]
    rows, following = page(
        session, _history(session, who, Telemetry, site, node, since_ms, until_ms), keys, cursor, limit, newest=True
    )
    return Page(items=[TelemetryView(**_row(row, TelemetryView.model_fields)) for row in rows], next=following)


@router.get("/nodes/{site}/{name}/hours")
def hours(session: Reading, _: Viewer, site: str, name: str, since_ms: Since = None, until_ms: Since = None) -> list[HourView]:
    """Telemetry by hour and verdict, oldest first: the last 30 days, or from `since_ms` on for at most a year."""
    until = now_ms() if until_ms is None else until_ms
    since = max(until - 366 * retention.DAY_MS, until - 30 * retention.DAY_MS if since_ms is None else since_ms)
    found = retention.hourly(session, devices.find(session, site, name).id, since, until)
    return [
        HourView(
            **{key: hour[key] for key in HourView.model_fields.keys() & hour.keys()},
            p_mean=hour["p_sum"] // hour["messages"],
            rms_mean=_mean(hour, "rms"),
            velocity_mean=_mean(hour, "velocity"),
        )
        for hour in found
    ]


def _mean(hour: dict[str, Any], name: str) -> int | None:
    count: int = hour[f"{name}_count"]
    return hour[f"{name}_sum"] // count if count else None


@router.get("/events")
def events(
    session: Reading,
    who: Viewer,
    site: Site = None,
    node: Annotated[str | None, Query(max_length=32)] = None,
    since_ms: Since = None,
    until_ms: Since = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[EventView]:
    """Update progress, resets and faults, newest first."""
    keys = [Event.at_ms, Event.node_id, Event.boot, Event.seq]
    rows, following = page(
        session, _history(session, who, Event, site, node, since_ms, until_ms), keys, cursor, limit, newest=True
    )
    return Page(items=[EventView(**_row(row, EventView.model_fields)) for row in rows], next=following)
