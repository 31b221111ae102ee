"""The settings' pages, used as a browser without scripts uses them: what a form says is done, shown, and in the audit log."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from whir_fleet.auth import Role
from whir_fleet.service import FleetService
from whir_fleet.settings import Settings


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetService]:
    data: Path = tmp_path_factory.mktemp("settings") / "data"
    with FleetService(Settings.load(data_dir=data, api_port=0, broker_port=0)) as started:
        yield started


@pytest.fixture
def http(service: FleetService) -> Iterator[httpx.Client]:
    headers = {"Origin": service.url}
    with httpx.Client(base_url=f"{service.url}/console", headers=headers, timeout=60, follow_redirects=True) as client:
        client.post("/sign-in", data={"token": service.create_token("anna", Role.ADMIN)})
        yield client


def said(answer: httpx.Response) -> str:
    """The page's words."""
    assert answer.status_code < 500
    return re.sub(r"\s+", " ", html.unescape(re.sub("<[^>]+>", " ", answer.text)))


def test_a_machine_is_entered_with_plate_bearing_and_point_and_a_node_listens_there(http: httpx.Client) -> None:
    http.post("/settings/machines/new", data={"site": "plant", "name": "pump-1"})
    form = {
        "rated_kw": "22", "rated_rpm": "1470", "iso_group": "group2", "foundation": "rigid",
        "bearing.position": ["DE", ""], "bearing.designation": ["6309", ""], "point.name": ["de", ""],
        "point.position": ["DE", ""], "point.axes": ["axial horizontal vertical", ""],
    } | {f"bearing.{name}": ["", ""] for name in ("bpfo", "bpfi", "bsf", "ftf")}  # fmt: skip
    page = http.post("/settings/machines/plant/pump-1", data=form)
    assert 'value="6309"' in page.text and 'value="axial horizontal vertical"' in page.text
    assert "n1 since" in said(http.post("/settings/machines/plant/pump-1/points/de/assign", data={"node": "n1"}))
    assert "22 kW 1470 rpm rigid" in said(http.get("/settings/machines"))
    wrong = http.post("/settings/machines/plant/pump-1", data=form | {"iso_group": "class1"})
    assert wrong.status_code == 422 and "class1 does not fit 22 kW" in said(wrong)
    kept = http.post("/settings/machines/plant/pump-1/remove")
    assert kept.status_code == 409 and "release it first" in said(kept)
    assert "nobody" in said(http.post("/settings/machines/plant/pump-1/points/de/release"))


def test_a_file_of_machines_is_taken_whole_or_not_at_all_with_every_wrong_line_named(http: httpx.Client) -> None:
    lines = "site,machine,point,rated_kw\nplant,fan-1,de,11\nplant,fan-2,de,-3\nplant,fan-1,de,11\n"
    wrong = http.post("/settings/machines/import", files={"file": ("machines.csv", lines)})
    assert "2 wrong lines; nothing was imported line 3: rated_kw: Input should be greater than 0" in said(wrong)
    right = http.post(
        "/settings/machines/import", files={"file": ("machines.csv", lines.replace("-3", "3").rsplit("plant", 1)[0])}
    )
    assert "fan-1" in right.text and "fan-2" in right.text


def test_a_maintenance_window_is_begun_and_ended(http: httpx.Client) -> None:
    begun = {"site": "plant", "machine": "pump-1", "hours": "2", "why": "New coupling"}
    page = said(http.post("/settings/maintenance", data=begun))
    assert "New coupling" in page and "Now" in page
    (window,) = re.findall(r"/settings/maintenance/(\w+)/end", http.get("/settings/maintenance").text)
    assert "Now" not in said(http.post(f"/settings/maintenance/{window}/end"))


def test_a_token_is_shown_once_and_worth_nothing_once_revoked(service: FleetService, http: httpx.Client) -> None:
    page = http.post("/settings/tokens", data={"label": "ben", "role": "viewer", "days": "30"}).text
    (token,) = re.findall(r'class="secret">(whir_[^<]+)<', page)
    assert token not in http.get("/settings/tokens").text
    sign_in = {"url": f"{service.url}/console/sign-in", "data": {"token": token}, "headers": {"Origin": service.url}}
    assert httpx.post(**sign_in).status_code == 303
    row = next(row for row in page.split("<tr") if ">ben" in row)
    http.post(f"/settings/tokens/{re.findall(r'/settings/tokens/(.+?)/revoke', row)[0]}/revoke")
    assert httpx.post(**sign_in).status_code == 401


def test_a_webhook_is_added_tested_and_removed(http: httpx.Client) -> None:
    form = {
        "name": "on-call",
        "kind": "webhook",
        "target": "http://127.0.0.1:9/hook",
        "min_severity": "warning",
        "minutes": "15",
    }
    made = http.post("/settings/channels", data=form)
    (secret,) = re.findall(r'class="secret">(.+?)<', made.text)
    page = http.get("/settings/channels")
    assert secret not in page.text and "after 15 min without an answer" in said(page)
    (channel,) = re.findall(r"/settings/channels/(\w+)/test", page.text)
    assert re.search("Deliveries .* Test (Waiting|Given up)", said(http.post(f"/settings/channels/{channel}/test")))
    assert "Nobody is told" in said(http.post(f"/settings/channels/{channel}/remove"))
    refused = http.post("/settings/channels", data=form | {"target": "ftp://there"})
    assert refused.status_code == 422 and "Target: not http(s)://host/" in said(refused)


def test_everything_of_it_stands_in_the_audit_log_and_the_sites_on_their_page(http: httpx.Client) -> None:
    log = said(http.get("/settings/audit"))
    for action in (
        "machines.put",
        "machines.assign",
        "machines.import_csv",
        "alerts.plan",
        "tokens.create",
        "notifications.add",
    ):
        assert action in log, action
    assert "anna" in log
    assert re.search(r"plant 0 3", said(http.get("/settings/sites")))
