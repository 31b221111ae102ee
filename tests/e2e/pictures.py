"""The pictures of docs/images/console: every page light, dark and on a phone, one in German; the plant is console_fleet.py's.

PYTHONPATH=tests/firmware .venv/bin/python tests/e2e/pictures.py [PAGE...] [--into FOLDER]
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
from pathlib import Path
from typing import Any

import console_fleet
import console_visit
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from whir_fleet.auth import Role
from whir_fleet.clock import now_ms
from whir_fleet.service import FleetService

INTO = Path(__file__).parents[2] / "docs/images/console"
HIGHEST = 1700  # pixels: what is longer is cut
GERMAN = ("machine",)  # one shows it
DRAWN = "[...document.querySelectorAll('.chart')].every((chart) => chart.querySelector('canvas'))"
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "german": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light", "locale": "de-DE"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light", "has_touch": True},
}


def draw(browser: Browser, service: FleetService, pages: dict[str, str], into: Path) -> None:
    into.mkdir(parents=True, exist_ok=True)
    for look, options in LOOKS.items():
        with console_visit.Visit(browser, service, Role.ADMIN, reduced_motion="reduce", **options) as visit:
            for name, place in pages.items():
                if look == "german" and name not in GERMAN:
                    continue
                visit.page.set_viewport_size(options["viewport"])
                page = visit.go(place)
                page.wait_for_function(DRAWN)
                height = min(page.evaluate("document.documentElement.scrollHeight"), HIGHEST)
                page.set_viewport_size(
                    {"width": options["viewport"]["width"], "height": height}
                )  # what is fixed stays at the edge
                shot = Image.open(io.BytesIO(page.screenshot()))
                shot.convert("RGB").save(into / f"{name}-{look}.webp", quality=60, method=6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", nargs="*", help="all of them if none is named")
    parser.add_argument("--into", type=Path, default=INTO)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=console_visit.CHROMIUM)
        with console_visit.start(Path(folder) / "data") as service:
            pages = console_visit.pages(console_fleet.furnish(service, now_ms()))
            draw(browser, service, {name: pages[name] for name in asked.page or pages}, asked.into)
        browser.close()


if __name__ == "__main__":
    main()
