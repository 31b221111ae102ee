"""One browser for all tests that need one, and one furnished plant: starting them takes longer than most of the tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import console_fleet
import pytest
from console_visit import CHROMIUM, start
from playwright.sync_api import Browser, sync_playwright

from whir_fleet.clock import now_ms
from whir_fleet.service import FleetService


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("chromium is missing: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=CHROMIUM)
        yield started
        started.close()


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FleetService, dict[str, str]]]:
    with start(tmp_path_factory.mktemp("console") / "data") as service:
        yield service, console_fleet.furnish(service, now_ms())
