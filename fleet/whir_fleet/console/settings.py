"""Machines and their points, maintenance windows, tokens, webhooks and e-mail, sites, and the audit log."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, File, Form, Request, Response, UploadFile
from sqlalchemy import func, select

from whir_fleet import audit
from whir_fleet.api import audit as api_audit
from whir_fleet.api import machines as api_machines
from whir_fleet.api import maintenance as api_maintenance
from whir_fleet.api import notifications as api_notifications
from whir_fleet.api import tokens as api_tokens
from whir_fleet.api.context import Admin, Ctx, Cursor, Operator, Reading, Viewer, Writing
from whir_fleet.clock import now_ms
from whir_fleet.console.pages import PATH, back_to, blank, render
from whir_fleet.machine_specs import PointFields
from whir_fleet.models import Machine, Node

router = APIRouter(prefix="/settings")

PAGE = 50
IMPORT_PATH: Final = f"{PATH}/settings/machines/import"
_HOUR_MS: Final = 3_600_000

Text = Annotated[str, Form(max_length=2000)]


@router.get("", tags=["machines"])
def index(request: Request, _: Viewer) -> Response:
    return back_to("/settings/machines")


# Machines and points ------------------------------------------------------------------------------------------------------


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


# Maintenance windows ------------------------------------------------------------------------------------------------------


@router.get("/maintenance", tags=["alerts"])
def maintenance(request: Request, session: Reading, who: Viewer, cursor: Cursor = None) -> Response:
    found = api_maintenance.listed(session, who, limit=PAGE, cursor=cursor)
    return render(request, "settings_maintenance.html", who, windows=found.items, following=found.next)


@router.post("/maintenance", tags=["alerts"])
def plan(
    session: Writing,
    who: Operator,
    site: Text = "",
    machine: Text = "",
    hours: Annotated[float, Form(gt=0)] = 4,
    why: Text = "",
) -> Response:
    until_ms = now_ms() + round(hours * _HOUR_MS)
    asked = {"site": site.strip(), "machine": blank(machine), "until_ms": until_ms, "why": why.strip()}
    api_maintenance.plan(session, who, api_maintenance.WindowRequest.model_validate(asked))
    return back_to("/settings/maintenance")


@router.post("/maintenance/{window_id}/end", tags=["alerts"])
def end(session: Writing, who: Operator, window_id: str) -> Response:
    api_maintenance.end(session, who, window_id)
    return back_to("/settings/maintenance")


# People: tokens -----------------------------------------------------------------------------------------------------------


@router.get("/tokens", tags=["tokens"])
def tokens(request: Request, session: Reading, who: Admin) -> Response:
    return render(request, "settings_tokens.html", who, tokens=api_tokens.listed(session, who), made=None)


@router.post("/tokens", tags=["tokens"])
def create(
    request: Request,
    session: Writing,
    who: Admin,
    label: Text = "",
    role: Text = "",
    days: Annotated[int, Form()] = 365,
    sites: Text = "",
) -> Response:
    """The answer shows the token: it cannot be had again, so there is no page to go back to."""
    asked = {"label": label.strip(), "role": role, "days": days, "sites": sites.replace(",", " ").split() or None}
    made = api_tokens.create(session, who, api_tokens.TokenRequest.model_validate(asked))
    return render(request, "settings_tokens.html", who, tokens=api_tokens.listed(session, who), made=made)


@router.post("/tokens/{token_id}/revoke", tags=["tokens"])
def revoke(session: Writing, who: Admin, token_id: str) -> Response:
    api_tokens.revoke(session, who, token_id)
    return back_to("/settings/tokens")


# Webhooks and e-mail ------------------------------------------------------------------------------------------------------


@router.get("/channels", tags=["notifications"])
def channels(request: Request, session: Reading, who: Admin) -> Response:
    return _channels(request, session, who, None)


def _channels(request: Request, session: Reading, who: Admin, made: api_notifications.NewChannel | None) -> Response:
    dead = api_notifications.deliveries(session, who, None, PAGE, None).items if who.sites is None else []
    listed = api_notifications.channels(session, who)
    return render(request, "settings_channels.html", who, channels=listed, deliveries=dead, made=made)


@router.post("/channels", tags=["notifications"])
def add(
    request: Request,
    ctx: Ctx,
    session: Writing,
    who: Admin,
    name: Text = "",
    kind: Text = "",
    target: Text = "",
    min_severity: Text = "",
    minutes: Annotated[int, Form(ge=0)] = 0,
    sites: Text = "",
) -> Response:
    asked = {
        "name": name.strip(),
        "kind": kind,
        "target": target.strip(),
        "min_severity": min_severity,
        "after_s": minutes * 60,
    }
    asked["sites"] = sites.replace(",", " ").split() or None
    made = api_notifications.add(ctx, session, who, api_notifications.ChannelRequest.model_validate(asked))
    return _channels(request, session, who, made)


@router.post("/channels/{channel_id}/test", tags=["notifications"])
def test(session: Writing, who: Admin, channel_id: str) -> Response:
    api_notifications.test(session, who, channel_id)
    return back_to("/settings/channels")


@router.post("/channels/{channel_id}/remove", tags=["notifications"], name="remove")
def remove_channel(session: Writing, who: Admin, channel_id: str) -> Response:
    api_notifications.remove(session, who, channel_id)
    return back_to("/settings/channels")


@router.post("/deliveries/{delivery_id}/retry", tags=["notifications"])
def retry(session: Writing, who: Admin, delivery_id: int) -> Response:
    api_notifications.retry(session, who, str(delivery_id))
    return back_to("/settings/channels")


# Sites, and what people did -----------------------------------------------------------------------------------------------


@router.get("/sites", tags=["nodes"])
def sites(request: Request, session: Reading, who: Viewer) -> Response:
    """A site is where nodes report from or machines are entered; its name is in the nodes' own identity."""
    nodes, machines_there = (
        Counter(dict(session.execute(who.only(select(table.site, func.count()).group_by(table.site), table.site)).all()))
        for table in (Node, Machine)
    )
    names = sorted({*nodes, *machines_there})
    return render(request, "settings_sites.html", who, sites=names, nodes=nodes, machines=machines_there)


@router.get("/audit", tags=["audit"])
def audit_log(request: Request, session: Reading, who: Admin, cursor: Cursor = None) -> Response:
    found = api_audit.listed(session, who, limit=PAGE, cursor=cursor)
    return render(request, "settings_audit.html", who, entries=found.items, following=found.next)
