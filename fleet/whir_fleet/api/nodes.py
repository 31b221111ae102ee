"""Nodes: what each said of itself, where it sits, and its tags."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import select
from sqlalchemy.orm import Session

from whir_fleet import audit, desired, devices, machines
from whir_fleet.api.context import Cursor, Limit, Operator, Page, Reading, Viewer, Writing, page
from whir_fleet.clock import now_ms
from whir_fleet.models import Node

router = APIRouter(tags=["nodes"])


_NODE: dict[str, Any] = {
    "site": "plant-1", "name": "pump-3", "machine": "pump-3", "point": "de", "presence": "online", "state": "ok",
    "boot": 4, "conn": 2,
    "fw": "0.1.0", "hardware": "esp32", "engine": "whir_nn", "model": "synth12k", "model_version": "2", "counter": 2,
    "slot": "b", "trial": False, "sensor": "lis3dh", "rate_mhz": 1344000, "next_s": 60, "dropped": 0, "reset": "power",
    "first_seen_ms": 1790000000000, "last_seen_ms": 1790000600000, "received": 812, "lost": 0,
    "tags": ["pilot"],
}  # fmt: skip


class NodeView(BaseModel):
    """A node as its newest status described it, and where it sits. Without an assignment it is its own machine."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"example": _NODE})

    site: str
    name: str
    machine: str
    point: str | None
    presence: Literal["online", "stopped", "lost", "silent", "unknown"]
    state: str | None
    boot: int | None
    conn: int | None
    fw: str | None
    hardware: str | None
    engine: str | None
    model: str | None
    model_version: str | None
    counter: int | None
    slot: str | None
    trial: bool | None
    sensor: str | None
    rate_mhz: int | None
    next_s: int | None
    dropped: int | None
    reset: str | None
    first_seen_ms: int
    last_seen_ms: int
    received: int
    lost: int
    tags: list[str]


class BootView(BaseModel):
    """What came of one boot: `lost` are the numbers missing between the first and the last."""

    boot: int
    first_seq: int
    last_seq: int
    received: int
    lost: int


class DesiredView(BaseModel):
    """What the node confirmed last of each kind. It is sent again where the status says otherwise; `tries` counts that."""

    model_config = ConfigDict(protected_namespaces=())

    kind: Literal["model", "firmware", "settings"]
    sha256: str
    model: str
    model_version: str
    counter: int
    since_ms: int
    tries: int
    keys: list[str] = Field(description="of settings, those of all rollouts together")


class NodeDetail(NodeView):
    model_config = ConfigDict(
        json_schema_extra={
            "example": _NODE
            | {
                "boots": [{"boot": 4, "first_seq": 0, "last_seq": 811, "received": 812, "lost": 0}],
                "health": {"power": "continuous", "brownouts": 0, "crashes": 0, "heap_min": 91204, "stack_min": 1180},
                "desired": [
                    {
                        "kind": "model", "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                        "model": "synth12k", "model_version": "2", "counter": 2, "since_ms": 1790000000000, "tries": 0,
                        "keys": [],
                    }
                ],
            }
        }
    )  # fmt: skip

    boots: list[BootView]
    desired: list[DesiredView]
    health: dict[str, bool | int | str | None] | None


def _nodes(session: Session, found: list[Node]) -> list[dict[str, Any]]:
    ids = [node.id for node in found]
    counts, tags, places, now = (
        devices.counts(session, ids),
        devices.tags(session, ids),
        machines.places(session, found),
        now_ms(),
    )
    return [
        {name: getattr(node, name) for name in NodeView.model_fields if hasattr(node, name)}
        | {"machine": places[node.id].machine, "point": places[node.id].point, "presence": devices.presence(node, now)}
        | counts.get(node.id, {"received": 0, "lost": 0})
        | {"tags": tags.get(node.id, [])}
        for node in found
    ]


Tag = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,31}$")]


@router.get("/nodes")
def nodes(
    session: Reading,
    who: Viewer,
    site: Annotated[str | None, Query(max_length=32)] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[NodeView]:
    """All nodes by site and name. A node is here from its first message on."""
    query = who.only(select(Node), Node.site)
    if site is not None:
        query = query.where(Node.site == site)
    rows, following = page(session, query, [Node.site, Node.name], cursor, limit, newest=False)
    return Page(items=[NodeView(**values) for values in _nodes(session, [node for (node,) in rows])], next=following)


@router.get("/nodes/{site}/{name}")
def node(session: Reading, _: Viewer, site: str, name: str) -> NodeDetail:
    """One node, with what came and what was lost by boot."""
    found = devices.find(session, site, name)
    (values,) = _nodes(session, [found])
    boots = [BootView(**boot) for boot in devices.boots(session, found.id)]
    wanted = [DesiredView(**of_kind) for of_kind in desired.of(session, found.id)]
    return NodeDetail(**values, boots=boots, desired=wanted, health=found.health)


@router.put("/nodes/{site}/{name}/tags")
def tags(session: Writing, _: Operator, site: str, name: str, request: Annotated[list[Tag], Body(max_length=50)]) -> list[str]:
    """These and no others. Rollouts choose nodes by them."""
    found = devices.find(session, site, name)
    devices.set_tags(session, found, request)
    audit.note(session, tags=request)
    session.flush()
    return devices.tags(session, [found.id]).get(found.id, [])
