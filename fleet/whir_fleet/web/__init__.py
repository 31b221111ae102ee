"""Pages that `whir web` built, as they stand: no account is needed, and a page may load nothing but itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

VIRTUAL_ESP32 = "virtual-esp32"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
}


def default_folder() -> Path:
    """Where `whir web` writes: $WHIR_BUILD/web, else build/web of the repository."""
    build = os.environ.get("WHIR_BUILD")
    return (Path(build) if build else Path(__file__).resolve().parents[3] / "build") / "web"


class Pages(StaticFiles):
    """Static files with a policy of their own in place of the API's."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.update(HEADERS)
        return response


def add_pages(app: FastAPI, folder: Path) -> None:
    """Serve the virtual ESP32 at /virtual-esp32/ when it was built before the start."""
    built = folder / VIRTUAL_ESP32
    if built.is_dir():
        app.mount(f"/{VIRTUAL_ESP32}", Pages(directory=built, html=True), VIRTUAL_ESP32)
