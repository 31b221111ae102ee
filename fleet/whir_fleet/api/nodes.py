"""Nodes, their telemetry and events."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from sqlalchemy import Select, select
from sqlalchemy.orm import Session
from ulid import ULID

from whir_contracts import contract
from whir_fleet import audit, commands, desired, devices, machines, retention
from whir_fleet.api.context import Ctx, Cursor, Limit, Operator, Page, Reading, Viewer, Writing, page
from whir_fleet.auth import Identity, Role
from whir_fleet.clock import now_ms
from whir_fleet.models import Command, Event, Node, Telemetry
from whir_fleet.said import Said

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
    """The bundle that the node confirmed last. It is sent again where the status says otherwise; `tries` counts that."""

    model_config = ConfigDict(protected_namespaces=())

    sha256: str
    model: str
    model_version: str
    counter: int
    since_ms: int
    tries: int


class NodeDetail(NodeView):
    model_config = ConfigDict(
        json_schema_extra={
            "example": _NODE
            | {
                "boots": [{"boot": 4, "first_seq": 0, "last_seq": 811, "received": 812, "lost": 0}],
                "health": {"power": "continuous", "brownouts": 0, "crashes": 0, "heap_min": 91204, "stack_min": 1180},
                "desired": {
                    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "model": "synth12k",
                    "model_version": "2", "counter": 2, "since_ms": 1790000000000, "tries": 0,
                },
            }
        }
    )  # fmt: skip

    boots: list[BootView]
    desired: DesiredView | None
    health: dict[str, bool | int | str | None] | None


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


class CommandRequest(BaseModel):
    """`measure`: send status and telemetry now. `capture`: record the raw signal and send it. `rollback`: go back to the model
    in the other slot. `commission`: the machine runs and is healthy, so learn its baseline anew. `identify`: blink, so that a
    person finds the board. `thresholds`: raise a fault from `raise_permille` on, clear it below `clear_permille`; 0 and 0 are
    the bundle's again. `restart`: start anew. `factory_reset`, for admins: forget the settings, those of the network too."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"c": "measure", "ttl_s": 300}})

    c: Literal["measure", "capture", "rollback", "commission", "identify", "thresholds", "restart", "factory_reset"]
    ttl_s: int = Field(300, ge=1, le=2_592_000, description="what the node has not got by then it must not do")
    seconds: int | None = Field(None, ge=1, le=86_400, description="how long: commission, identify")
    raise_permille: int | None = Field(None, ge=0, le=1000)
    clear_permille: int | None = Field(None, ge=0, le=1000)

    @property
    def args(self) -> dict[str, int]:
        return self.model_dump(exclude={"c", "ttl_s"}, exclude_none=True)

    @model_validator(mode="after")
    def _by_the_contract(self) -> CommandRequest:
        spec, given = contract.COMMANDS[self.c], self.args.keys()
        needed = spec["required"].keys() - {"id", "exp"}
        if given - needed - spec["optional"].keys() or needed - given:
            raise ValueError(_takes(self.c, [*needed, *spec["optional"]]))
        if self.raise_permille is not None and self.clear_permille is not None:
            both = (self.raise_permille == 0) == (self.clear_permille == 0)
            if not both or self.clear_permille > self.raise_permille:
                raise ValueError(Said("clear_permille must not be above raise_permille; 0 and 0 are the bundle's own"))
        return self


def _takes(command: str, names: list[str]) -> Said:
    if names:
        return Said("%(command)s takes %(names)s", command=command, names=", ".join(names))
    return Said("%(command)s takes nothing more", command=command)


class CommandView(BaseModel):
    """`pending` goes out again after each status until it is answered or `exp_s` (seconds since 1970) has passed."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "example": {
                "id": "01JZ7V0M4Q8W2N5R6T9XAYB3CD", "c": "measure", "state": "accepted", "result": "ok", "code": None,
                "created_ms": 1790000000000, "sent_ms": 1790000000150, "exp_s": 1790000300,
            }
        },
    )  # fmt: skip

    id: str
    c: str
    state: Literal["pending", "accepted", "done"]
    result: str | None
    code: str | None
    created_ms: int
    sent_ms: int | None
    exp_s: int


Site = Annotated[str | None, Query(max_length=32)]
Tag = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,31}$")]
Since = Annotated[int | None, Query(ge=0, lt=2**63, description="ms since 1970")]


@router.get("/nodes")
def nodes(session: Reading, who: Viewer, site: Site = None, limit: Limit = 100, cursor: Cursor = None) -> Page[NodeView]:
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
    boots, wanted = [BootView(**boot) for boot in devices.boots(session, found.id)], desired.of(session, found.id)
    desired_view = None if wanted is None else DesiredView(**wanted)
    return NodeDetail(**values, boots=boots, desired=desired_view, health=found.health)


@router.put("/nodes/{site}/{name}/tags")
def tags(session: Writing, _: Operator, site: str, name: str, request: Annotated[list[Tag], Body(max_length=50)]) -> list[str]:
    """These and no others. Rollouts choose nodes by them."""
    found = devices.find(session, site, name)
    devices.set_tags(session, found, request)
    audit.note(session, tags=request)
    session.flush()
    return devices.tags(session, [found.id]).get(found.id, [])


@router.post("/nodes/{site}/{name}/commands", status_code=201)
def command(ctx: Ctx, session: Writing, who: Operator, site: str, name: str, request: CommandRequest) -> CommandView:
    """Sends a command; what a node answers comes later, see the list. Bundles go by rollouts."""
    if request.c == "factory_reset":
        who.require(Role.ADMIN)
    found, now = devices.find(session, site, name), now_ms()
    made = commands.create(session, found.id, request.c, request.args, str(ULID()), now // 1000 + request.ttl_s, now)
    session.flush()
    audit.note(session, **request.model_dump(exclude_none=True), command=made.id)
    ctx.wake()
    return CommandView.model_validate(made)


@router.get("/nodes/{site}/{name}/commands")
def commands_of(
    session: Reading, _: Viewer, site: str, name: str, limit: Limit = 100, cursor: Cursor = None
) -> Page[CommandView]:
    """What a node was told, newest first; rollouts' commands too."""
    query = select(Command).where(Command.node_id == devices.find(session, site, name).id)
    rows, following = page(session, query, [Command.created_ms, Command.id], cursor, limit, newest=True)
    return Page(items=[CommandView.model_validate(row) for (row,) in rows], next=following)


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
