"""Enrolment in the real fleet service: what could not be told waits on disk, and is told once, in order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from whir_fleet.auth import Role
from whir_fleet.service import FleetService
from whir_fleet.settings import Settings
from whir_tools.provision.enrol import Outbox
from whir_tools.provision.retire import retire


def test_a_fleet_out_of_reach_delays_no_board_and_learns_everything_later(
    factory: Any, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHIR_FLEET_TOKEN", "whir_x_y")
    settings(fleet_url='"http://127.0.0.1:9"')
    done = factory.run(factory.batch(1), factory.plug(1))
    assert (done.good, done.unenrolled) == (1, 1)
    journal = factory.journal
    with FleetService(Settings.load(data_dir=tmp_path / "fleet", api_port=0, broker_port=0)) as service:
        wrong = Outbox(journal, service.url, "whir_x_y")
        assert wrong.drain(now=True) == 1 and "credential" in (wrong.trouble or ""), "a wrong token loses nothing"
        token = service.create_token("factory", Role.ADMIN)
        outbox = Outbox(journal, service.url, token)
        assert outbox.drain(now=True) == 0 and outbox.drain(now=True) == 0
        with httpx.Client(base_url=f"{service.url}/api/v1", headers={"Authorization": f"Bearer {token}"}) as client:
            (device,) = client.get("/devices").json()["items"]
            active = next(row for row in journal.certificates() if row["state"] == "active")
            assert (device["serial"], device["node"], device["certificate_number"]) == ("WH-000001", "pump-1", active["number"])
            retire(factory.station, journal, "WH-000001")
            assert [row["kind"] for row in journal.waiting()] == ["revoke", "retire"]
            assert outbox.drain(now=True) == 0
            assert client.get("/devices").json()["items"][0]["retired_ms"] is not None
    assert journal.refused() == []
