"""The built pages on the fleet's own address: public, with their policy, and absent when nobody built them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from whir_fleet.service import FleetService
from whir_fleet.settings import Settings


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[[Path], httpx.Client]]:
    """Starts a service with this folder of pages."""
    with ExitStack() as stack:

        def start(web_dir: Path) -> httpx.Client:
            settings = Settings.load(data_dir=tmp_path / "data", web_dir=web_dir, api_port=0, broker_port=0)
            service = stack.enter_context(FleetService(settings))
            return stack.enter_context(httpx.Client(base_url=service.url))

        yield start


def test_page_is_served_with_its_policy_and_without_a_token(served: Callable[[Path], httpx.Client], tmp_path: Path) -> None:
    (tmp_path / "web/virtual-esp32").mkdir(parents=True)
    (tmp_path / "web/virtual-esp32/index.html").write_text("<!doctype html>")
    (tmp_path / "web/secret").write_text("no")
    client = served(tmp_path / "web")
    found = client.get("/virtual-esp32/")
    assert found.status_code == 200 and found.text == "<!doctype html>"
    assert "default-src 'none'" in found.headers["content-security-policy"]
    assert "'unsafe-" not in found.headers["content-security-policy"]
    assert client.get("/virtual-esp32").next_request is not None  # to the folder, where its files are
    assert client.get("/virtual-esp32/%2e%2e/secret").status_code == 404


def test_a_page_that_nobody_built_is_not_there(served: Callable[[Path], httpx.Client], tmp_path: Path) -> None:
    assert served(tmp_path / "web").get("/virtual-esp32/").status_code == 404
