"""A browser with somebody signed in to the console, and the console's pages: for its tests and for its pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, BrowserContext, Page, expect

from whir_fleet.auth import Role
from whir_fleet.console.pages import PATH, STATIC
from whir_fleet.service import FleetService
from whir_fleet.settings import Settings
from whir_tools.web.build import ROOT

AXE: Final = ROOT / "build/npm/node_modules/axe-core/axe.min.js"
CHROMIUM: Final = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
DESKTOP: Final = {"width": 1360, "height": 860}
PHONE: Final = {"width": 390, "height": 844}
WAIT_MS: Final = 90_000  # for what a node or the fleet has to do first
expect.set_options(timeout=WAIT_MS)


def start(folder: Path, **settings: Any) -> FleetService:
    assert (STATIC / "vendor").is_dir(), "the files of npm are missing: ci/install.sh test"
    return FleetService(Settings.load(data_dir=folder, **{"api_port": 0, "broker_port": 0, **settings}))


class Visit:
    """A browser in which somebody has signed in. Leaving it fails when a page reported an error or asked another host."""

    def __init__(self, browser: Browser, service: FleetService, role: Role, **options: Any) -> None:
        self.url, self.wrong = service.url, list[str]()
        self.context: BrowserContext = browser.new_context(viewport=options.pop("viewport", DESKTOP), **options)
        self.context.set_default_timeout(WAIT_MS)
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda said: self.wrong.append(said.text) if said.type in ("error", "warning") else None)
        self.page.on("request", lambda asked: self.wrong.append(asked.url) if not asked.url.startswith(self.url) else None)
        self.go("/sign-in")
        self.page.locator("#token").fill(service.create_token(role.name.lower(), role))
        self.page.locator(".sign-in button").click()
        expect(self.page.locator("nav a[aria-current]")).to_be_visible()

    def go(self, place: str) -> Page:
        self.page.goto(self.url + PATH + place)
        return self.page

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        self.context.close()
        assert error is not None or self.wrong == [], self.wrong


def pages(ids: dict[str, str]) -> dict[str, str]:
    """Every page by a name, of what `console_fleet.furnish` has made."""
    old, new = ids["model-2"], ids["model-3"]
    return {
        "overview": "/",
        "alerts": "/alerts",
        "alerts-resolved": "/alerts?show=resolved",
        "alert": f"/alerts/{ids['pump-2']}",
        "machines": "/machines",
        "machine": "/machines/plant-1/pump-2",
        "machine-offline": "/machines/plant-1/mixer-4?span=week",
        "capture": f"/captures/{ids['capture']}",
        "rollouts": "/rollouts",
        "rollout": f"/rollouts/{ids['rollout']}",
        "rollout-new": f"/rollouts/new?sha256={new}&name=plant+3",
        "models": "/models",
        "model": f"/models/{new}",
        "compare": f"/models/compare?a={old}&b={new}",
        "settings-machines": "/settings/machines",
        "settings-machine": "/settings/machines/plant-1/pump-2",
        "settings-maintenance": "/settings/maintenance",
        "settings-sites": "/settings/sites",
        "settings-tokens": "/settings/tokens",
        "settings-channels": "/settings/channels",
        "settings-audit": "/settings/audit",
    }


NEEDS: Final = {
    "rollout-new": Role.OPERATOR,
    "settings-tokens": Role.ADMIN,
    "settings-channels": Role.ADMIN,
    "settings-audit": Role.ADMIN,
}  # else a viewer's
