"""What a page shows when there is nothing, when something is wrong, and when the service is away."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from console_visit import Visit, start
from playwright.sync_api import Browser, expect

from whir_fleet.auth import Role
from whir_fleet.console import fleet_view
from whir_fleet.console.pages import PATH
from whir_fleet.service import FleetService

EMPTY = (
    "/", "/alerts", "/machines", "/rollouts", "/rollouts/new", "/models", "/models/compare", "/settings/machines",
    "/settings/maintenance", "/settings/sites", "/settings/channels", "/settings/audit",
)  # fmt: skip


def test_a_fleet_without_anything_says_on_every_page_what_would_stand_there(tmp_path: Path) -> None:
    with start(tmp_path / "data") as service, httpx.Client(headers={"Origin": service.url}, timeout=60) as http:
        http.post(f"{service.url}{PATH}/sign-in", data={"token": service.create_token("admin", Role.ADMIN)})
        for place in EMPTY:
            answer = http.get(service.url + PATH + place)
            assert answer.status_code == 200, place
            assert re.search(r'<div class="empty">.*<p><b>.+</b></p><p>.+</p>', answer.text, re.S), place


def test_a_mistake_and_a_page_that_is_not_there_say_so_and_lead_on(
    browser: Browser, furnished: tuple[FleetService, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    service, _ = furnished
    with Visit(browser, service, Role.VIEWER) as visit:
        page = visit.go("/machines/plant-1/nowhere")
        expect(page.get_by_role("heading", level=1)).to_have_text("Not found")
        expect(page.get_by_role("alert")).to_have_text("Not done. No machine plant-1/nowhere")
        page.get_by_role("link", name="Alerts", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Alerts")
        with monkeypatch.context() as broken:
            broken.setattr(fleet_view, "summary", lambda *_: 1 // 0)
            page.get_by_role("link", name="Machines", exact=True).click()  # in place: the page stays, and says it
            expect(page.get_by_role("alert")).to_contain_text("The service has made a mistake")
            expect(page.get_by_role("heading", level=1)).to_have_text("Alerts")
            visit.go("/machines")
            expect(page.get_by_role("heading", level=1)).to_have_text("Something broke")
        page.get_by_role("link", name="To the overview").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
        visit.wrong.clear()  # the browser logs every 404 and 500


def test_a_page_that_lost_the_service_goes_on_by_itself(
    browser: Browser, furnished: tuple[FleetService, dict[str, str]]
) -> None:
    service, _ = furnished
    with Visit(browser, service, Role.VIEWER) as visit:
        page = visit.go("/settings/sites")  # a page without a live part, too
        visit.context.set_offline(True)
        expect(page.locator("#offline")).to_be_visible()
        visit.context.set_offline(False)
        expect(page.locator("#offline")).to_be_hidden()
        visit.wrong.clear()  # the browser logs what did not arrive


def test_a_page_left_open_goes_to_the_sign_in_page_when_its_session_has_ended(
    browser: Browser, furnished: tuple[FleetService, dict[str, str]]
) -> None:
    service, _ = furnished
    with Visit(browser, service, Role.VIEWER) as visit:
        page = visit.go("/alerts")
        visit.context.clear_cookies()
        page.get_by_role("link", name="Machines", exact=True).click()
        expect(page.get_by_label("Access token")).to_be_visible()
        assert page.url.endswith("/console/sign-in?next=/machines")
        visit.wrong.clear()  # the browser logs a live stream that asked only now and was sent to the sign-in page too


@pytest.mark.long
def test_a_service_that_restarts_is_waited_for(browser: Browser, tmp_path: Path) -> None:
    with start(tmp_path / "data") as first:
        visit = Visit(browser, first, Role.VIEWER)
        port = int(visit.url.rsplit(":", 1)[1])
    expect(visit.page.locator("#offline")).to_be_visible()
    with start(tmp_path / "data", api_port=port):
        expect(visit.page.locator("#offline")).to_be_hidden()
        visit.context.close()
