"""Machines: their plates, bearings and points, and which node listens where."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, File, Form, Request, Response, UploadFile

from whir_fleet import audit
from whir_fleet.api import machines as api_machines
from whir_fleet.api.context import Admin, Cursor, Operator, Reading, Viewer, Writing
from whir_fleet.console.pages import PATH, back_to, blank, render
from whir_fleet.machine_specs import PointFields

router = APIRouter(prefix="/settings")

PAGE: Final = 50
IMPORT_PATH: Final = f"{PATH}/settings/machines/import"
Text = Annotated[str, Form(max_length=2000)]


@router.get("/machines", tags=["machines"])
def machines(request: Request, session: Reading, who: Viewer, cursor: Cursor = None) -> Response:
    found = api_machines.listed(session, who, limit=PAGE, cursor=cursor)
    return render(request, "settings_machines.html", who, machines=found.items, following=found.next)


@router.post("/machines/import", tags=["machines"])
def import_csv(session: Writing, who: Operator, file: Annotated[UploadFile, File()]) -> Response:
    api_machines.import_csv(session, who, file.file.read())
    return back_to("/settings/machines")


@router.post("/machines/new", tags=["machines"], name="put")
def make_machine(session: Writing, who: Operator, site: Text = "", name: Text = "") -> Response:
    site, name = PointFields.model_validate({"name": site}).name, PointFields.model_validate({"name": name}).name
    who.at(site)
    audit.note(session, site=site, object=name)
    api_machines.put(session, who, site, name, api_machines.MachineRequest.model_validate({}))
    return back_to(f"/settings/machines/{site}/{name}")


@router.get("/machines/{site}/{name}", tags=["machines"])
def machine(request: Request, session: Reading, who: Viewer, site: str, name: str) -> Response:
    return render(request, "settings_machine.html", who, machine=api_machines.detail(session, who, site, name))


_PLATE: Final = ("rated_kw", "rated_rpm", "iso_group", "foundation", "blades", "teeth")
_BEARING: Final = ("position", "designation", "bpfo", "bpfi", "bsf", "ftf")


async def _form(request: Request) -> dict[str, list[str]]:
    form = await request.form()
    return {name: [str(value) for value in form.getlist(name)] for name in form}


@router.post("/machines/{site}/{name}", tags=["machines"])
def put(
    session: Writing, who: Operator, site: str, name: str, form: Annotated[dict[str, list[str]], Depends(_form)]
) -> Response:
    """The plate, the bearings and the points, all of them: a line whose name is empty is left out."""
    said: dict[str, Any] = {key: value for key in _PLATE if (value := blank(form.get(key, [""])[0])) is not None}
    said["bearings"] = [line for line in _lines(form, "bearing", _BEARING) if len(line) > ("position" in line)]
    points = [line for line in _lines(form, "point", ("name", "position", "axes")) if "name" in line]
    said["points"] = [{**line, "axes": line.get("axes", "").split()} for line in points]
    api_machines.put(session, who, site, name, api_machines.MachineRequest.model_validate(said))
    return back_to(f"/settings/machines/{site}/{name}")


def _lines(form: dict[str, list[str]], of: str, names: tuple[str, ...]) -> list[dict[str, str]]:
    """Rows of a table of fields `of.name`, without what is empty."""
    columns = [form.get(f"{of}.{name}", []) for name in names]
    return [{n: v.strip() for n, v in zip(names, row, strict=True) if v.strip()} for row in zip(*columns, strict=True)]


@router.post("/machines/{site}/{name}/remove", tags=["machines"])
def remove(session: Writing, who: Admin, site: str, name: str) -> Response:
    api_machines.remove(session, who, site, name)
    return back_to("/settings/machines")


@router.post("/machines/{site}/{name}/points/{point}/assign", tags=["machines"])
def assign(session: Writing, who: Operator, site: str, name: str, point: str, node: Text = "") -> Response:
    api_machines.assign(session, who, site, name, point, api_machines.AssignRequest.model_validate({"node": node.strip()}))
    return back_to(f"/settings/machines/{site}/{name}")


@router.post("/machines/{site}/{name}/points/{point}/release", tags=["machines"])
def release(session: Writing, who: Operator, site: str, name: str, point: str) -> Response:
    api_machines.release(session, who, site, name, point, api_machines.ReleaseRequest.model_validate({}))
    return back_to(f"/settings/machines/{site}/{name}")
