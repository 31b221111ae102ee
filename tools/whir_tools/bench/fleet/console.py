"""The console in Chromium: the overview of many nodes, and a machine's page with a year behind it."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page, sync_playwright

from whir_fleet.auth import Role, create
from whir_fleet.clock import now_ms
from whir_fleet.console import PATH
from whir_fleet.db import Database, insert_rows
from whir_fleet.models import Node, Telemetry, TelemetryHour, table
from whir_fleet.retention import DAY_MS, HOUR_MS
from whir_tools.bench.fleet.errors import ChromiumMissingError
from whir_tools.bench.fleet.processes import Broker, Say, Service

SITES: Final = 20
RAW_DAYS, HOURLY_DAYS, MINUTE_MS = 7, 358, 60_000
_REPEATS: Final = 5
_ARGS: Final = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
# When what one came for is there: the first paint of the page's text, and every chart.
_SEEN: Final = """() => {
    const [paint] = performance.getEntriesByName("first-contentful-paint");
    const drawn = [...document.querySelectorAll(".chart")].every((chart) => chart.querySelector("canvas"));
    if (!paint || !drawn || document.readyState !== "complete") return null;
    return Math.max(paint.startTime, window.seen ??= performance.now());
}"""
_SERVER: Final = """() => {
    const [page] = performance.getEntriesByType("navigation");
    return page.responseEnd - page.requestStart;
}"""


def measure(folder: Path, nodes: int, say: Say) -> list[dict[str, Any]]:
    """For each view the bytes of a first visit, and medians of five more, ms: the server's answer, and until it is seen."""
    path = shutil.which("chromium")
    if path is None:
        raise ChromiumMissingError
    with Broker(folder / "broker") as broker, Service(folder / "data", broker) as service, sync_playwright() as playwright:
        rows = fill(service.database, nodes, now_ms())
        with service.database.write() as session:
            token = create(session, "bench", Role.VIEWER, now_ms())[1]
        browser = playwright.chromium.launch(executable_path=path, args=_ARGS)
        try:
            url = service.url + PATH
            views = {"overview": ("/", nodes), "a machine's year": ("/machines/site-1/n1?span=year", rows)}
            found = []
            for place, (name, (at, count)) in enumerate(views.items()):
                say(f"console: {name}", place, len(views))
                page = _sign_in(browser.new_page(), url, token)
                found.append({"view": name, "rows": count, **_view(page, url + at)})
            return found
        finally:
            browser.close()


def _sign_in(page: Page, url: str, token: str) -> Page:
    page.goto(f"{url}/sign-in?next=/settings/sites")
    page.locator("#token").fill(token)
    page.locator("#token").press("Enter")
    page.wait_for_url(f"{url}/settings/sites")
    return page


def _view(page: Page, url: str) -> dict[str, Any]:
    page.goto(url)
    asked = page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    files = [url, *(name for name in asked if not name.endswith("/stream"))]
    size = sum(len(page.request.get(name).body()) for name in files)
    server, seen = [], []
    for _ in range(_REPEATS):
        page.goto(url, wait_until="commit")
        seen.append(page.wait_for_function(_SEEN).json_value())
        server.append(page.evaluate(_SERVER))
    return {"bytes": size, "server_ms": round(statistics.median(server)), "browser_ms": round(statistics.median(seen))}


def fill(database: Database, nodes: int, now: int) -> int:
    """So many nodes, and a year of telemetry of the first; how many rows that is."""
    node = ("id", "site", "name", "first_seen_ms", "last_seen_ms", "boot", "conn", "state", "next_s", "model", "counter")
    lines = [(n, f"site-{n % SITES}", f"n{n}", now, now, 1, 1, "ok", 3600, "bench", 1) for n in range(1, nodes + 1)]
    raw = list(_raw(now))
    hours = list(_hours(now))
    with database.write() as session:
        insert_rows(session, table(Node), node, lines)
        insert_rows(session, table(Telemetry), tuple(raw[0]), [tuple(row.values()) for row in raw])
        insert_rows(session, table(TelemetryHour), tuple(hours[0]), [tuple(row.values()) for row in hours])
    return len(raw) + len(hours)


def _raw(now: int) -> Iterator[dict[str, Any]]:
    for place in range(RAW_DAYS * DAY_MS // MINUTE_MS):
        at = now - place * MINUTE_MS
        yield {
            "node_id": 1, "boot": 1, "seq": place, "at_ms": at, "received_ms": at, "ts": at, "synced": True,
            "verdict": "normal", "p": 940, "windows": 468,
            "novelty": 200 + place % 90, "velocity": 900 + place % 300, "velocity_hz": 1000,
            "rms": 31 + place % 7, "unit": "g", "classes": '{"normal":940,"bearing":60}', "model": "bench", "counter": 1,
        }  # fmt: skip


def _hours(now: int) -> Iterator[dict[str, Any]]:
    first = (now - RAW_DAYS * DAY_MS) // HOUR_MS * HOUR_MS
    for place in range(1, HOURLY_DAYS * 24):
        yield {
            "node_id": 1, "hour_ms": first - place * HOUR_MS, "verdict": "bearing" if place % 50 == 0 else "normal",
            "messages": 60, "windows": 28_080, "p_sum": 56_400, "rms_sum": 1860, "rms_count": 60, "rms_max": 40 + place % 9,
            "velocity_sum": 54_000, "velocity_count": 60, "velocity_max": 1000 + place % 400, "novelty_max": 300 + place % 90,
        }  # fmt: skip
