"""Machines and measuring points, and which node listens where."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from whir_contracts import contract
from whir_fleet import audit, machines
from whir_fleet.api.context import Admin, Cursor, Limit, Operator, Page, Reading, Viewer, Writing, page
from whir_fleet.clock import now_ms
from whir_fleet.errors import RequestError
from whir_fleet.machine_specs import MachineFields, MachineSpec, Name, PointFields
from whir_fleet.models import Machine
from whir_fleet.said import Said

router = APIRouter(prefix="/machines", tags=["machines"])

IMPORT_MAX_BYTES = 4 * 1024 * 1024  # some 40,000 lines
IMPORT_PATH = "/api/v1/machines/import"

_SPEC: dict[str, Any] = {
    "rated_kw": 22, "rated_rpm": 1470, "iso_group": "group2", "foundation": "rigid", "blades": 6, "teeth": None,
    "bearings": [{"position": "DE", "designation": "6309", "bpfo": 3.07, "bpfi": 4.93, "bsf": 2.04, "ftf": 0.38}],
}  # fmt: skip
_POINT: dict[str, Any] = {"name": "de", "position": "DE", "axes": ["axial", "horizontal", "vertical"]}
_CSV = (
    "site,machine,point,rated_kw,rated_rpm,iso_group,foundation,bearing,position,axes,node\n"
    "plant-1,pump-3,de,22,1470,group2,rigid,6309,DE,axial horizontal vertical,n17\n"
)


class AssignmentView(BaseModel):
    """`until_ms` is null while the node is there."""

    model_config = ConfigDict(from_attributes=True)

    node: str
    from_ms: int
    until_ms: int | None
    assigned_by: str


class PointView(PointFields):
    """A point with its nodes, past and present."""

    model_config = ConfigDict(from_attributes=True)

    assignments: list[AssignmentView]


class MachineView(MachineFields):
    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "example": _SPEC
            | {
                "site": "plant-1",
                "name": "pump-3",
                "updated_ms": 1790000000000,
                "points": [
                    _POINT
                    | {"assignments": [{"node": "n17", "from_ms": 1790000000000, "until_ms": None, "assigned_by": "anna"}]}
                ],
            }
        },
    )

    site: str
    name: str
    updated_ms: int
    points: list[PointView]


class MachineRequest(MachineSpec):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _SPEC | {"points": [_POINT]}})


class AssignRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"node": "n17", "from_ms": 1790000000000}})

    node: Name = Field(description="in the machine's site; it need not have been heard yet")
    from_ms: int | None = Field(None, ge=0, lt=2**63, description="since when; now when left out")


class ReleaseRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"at_ms": 1790000000000}})

    at_ms: int | None = Field(None, ge=0, lt=2**63, description="since when; now when left out")


class ImportView(BaseModel):
    """`assigned` counts the nodes that sit elsewhere now than before."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"example": {"machines": 2, "points": 4, "assigned": 4}})

    machines: int
    points: int
    assigned: int


Part = Annotated[str, Path(pattern=f"^{contract.NAME_SITE_NODE_PATTERN}$")]


def _views(session: Session, found: list[Machine]) -> list[MachineView]:
    session.flush()
    points = machines.points_of(session, [machine.id for machine in found])
    history = defaultdict(list)
    for assignment in machines.assignments_of(session, [point.id for point in points]):
        history[assignment.point_id].append(AssignmentView.model_validate(assignment))
    of_machine = defaultdict(list)
    for point in points:
        fields = {name: getattr(point, name) for name in PointFields.model_fields}
        of_machine[point.machine_id].append(PointView(**fields, assignments=history[point.id]))
    names = (*MachineFields.model_fields, "site", "name", "updated_ms")
    return [MachineView(**{n: getattr(m, n) for n in names}, points=of_machine[m.id]) for m in found]


def _view(session: Session, machine: Machine) -> MachineView:
    return _views(session, [machine])[0]


@router.get("")
def listed(
    session: Reading,
    who: Viewer,
    site: Annotated[str | None, Query(max_length=32)] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[MachineView]:
    """Machines by site and name, with their points and nodes."""
    query = who.only(select(Machine), Machine.site)
    if site is not None:
        query = query.where(Machine.site == site)
    rows, following = page(session, query, [Machine.site, Machine.name], cursor, limit, newest=False)
    return Page(items=_views(session, [machine for (machine,) in rows]), next=following)


@router.post("/import", openapi_extra={"requestBody": {"content": {"text/csv": {"example": _CSV}}}})
def import_csv(
    session: Writing, who: Operator, data: Annotated[bytes, Body(media_type="text/csv", description="UTF-8")]
) -> ImportView:
    """A CSV file, one line per point, all of it or nothing: the answer to a wrong one names every wrong line."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise RequestError(Said("line %(line)s: not UTF-8", line=data[: error.start].count(10) + 1)) from error
    done = machines.import_csv(session, text, who.label, now_ms())
    who.at(*done.sites)
    view = ImportView.model_validate(done)
    audit.note(session, sites=sorted(done.sites), **view.model_dump())
    return view


@router.get("/{site}/{name}")
def detail(session: Reading, _: Viewer, site: Part, name: Part) -> MachineView:
    return _view(session, machines.find(session, site, name))


@router.put("/{site}/{name}")
def put(session: Writing, _: Operator, site: Part, name: Part, request: MachineRequest) -> MachineView:
    """Makes the machine or replaces what is said about it, points included."""
    audit.note(session, **request.model_dump(mode="json", exclude_defaults=True))
    return _view(session, machines.put(session, site, name, request, now_ms()))


@router.delete("/{site}/{name}", status_code=204)
def remove(session: Writing, _: Admin, site: Part, name: Part) -> Response:
    """With its points and their past. Not while a node is assigned."""
    machines.remove(session, site, name)
    return Response(status_code=204)


@router.post("/{site}/{name}/points/{point}/assign")
def assign(session: Writing, who: Operator, site: Part, name: Part, point: Part, request: AssignRequest) -> MachineView:
    """The node listens at this point from then on; where it was before, and who was here, ends then."""
    found = machines.find_point(session, site, name, point)
    now = now_ms()
    audit.note(session, **request.model_dump(exclude_none=True))
    machines.assign(session, site, found, request.node, machines.checked_time(request.from_ms, now), who.label)
    return _view(session, machines.find(session, site, name))


@router.post("/{site}/{name}/points/{point}/release")
def release(session: Writing, _: Operator, site: Part, name: Part, point: Part, request: ReleaseRequest) -> MachineView:
    """Nobody listens at this point any more."""
    found = machines.find_point(session, site, name, point)
    machines.release(session, found, machines.checked_time(request.at_ms, now_ms()))
    return _view(session, machines.find(session, site, name))
