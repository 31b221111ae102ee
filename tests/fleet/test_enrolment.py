"""The allow-list: enrolled once, retired for ever, and what that means for messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from whir_fleet.auth import Role
from whir_fleet.db import Database
from whir_fleet.messages import Inbound
from whir_fleet.models import DeadLetter
from whir_fleet.service import FleetService
from whir_fleet.settings import Settings
from whir_fleet.store import store

Says = Callable[..., Inbound]
SERIAL = "WH-000001"
FACTS: dict[str, Any] = {
    "site": "lab", "node": "n1", "mac": "24:0a:c4:00:00:01", "board": "esp32dev", "certificate_number": "4711",
    "certificate_sha256": "9f" * 32, "claim_sha256": "3c" * 32, "development": False,
}  # fmt: skip


@pytest.fixture
def service(tmp_path: Path) -> Iterator[FleetService]:
    with FleetService(Settings.load(data_dir=tmp_path / "data", api_port=0, broker_port=0)) as started:
        yield started


@pytest.fixture
def admin(service: FleetService) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {service.create_token('factory', Role.ADMIN)}"}
    with httpx.Client(base_url=f"{service.url}/api/v1", headers=headers, timeout=10) as client:
        yield client


def test_a_node_is_enrolled_once_and_the_same_again_changes_nothing(admin: httpx.Client) -> None:
    first, again = (admin.put(f"/devices/{SERIAL}", json=FACTS).json() for _ in range(2))
    assert first == again and first["retired_ms"] is None
    assert [device["serial"] for device in admin.get("/devices").json()["items"]] == [SERIAL]


@pytest.mark.parametrize(
    ("serial", "changes", "says"),
    [
        (SERIAL, {"mac": "24:0a:c4:00:00:02"}, "another mac"),
        ("WH-000002", {}, "lab/n1 is WH-000001"),
    ],
)
def test_a_serial_and_a_name_belong_to_one_node(admin: httpx.Client, serial: str, changes: dict[str, str], says: str) -> None:
    admin.put(f"/devices/{SERIAL}", json=FACTS)
    answer = admin.put(f"/devices/{serial}", json=FACTS | changes)
    assert answer.status_code == 409 and says in answer.json()["text"]


def test_a_desk_s_node_may_come_anew_and_a_factory_s_may_not(admin: httpx.Client) -> None:
    desk = FACTS | {"development": True}
    for facts in (desk, desk | {"certificate_number": "4712", "mac": "24:0a:c4:00:00:02"}):
        assert admin.put(f"/devices/{SERIAL}", json=facts).json()["certificate_number"] == facts["certificate_number"]
    assert admin.put(f"/devices/{SERIAL}", json=desk | {"node": "n2"}).status_code == 409
    assert admin.put(f"/devices/{SERIAL}", json=FACTS).status_code == 409


def test_only_an_admin_enrols(service: FleetService) -> None:
    headers = {"Authorization": f"Bearer {service.create_token('operator', Role.OPERATOR)}"}
    assert httpx.put(f"{service.url}/api/v1/devices/{SERIAL}", json=FACTS, headers=headers).status_code == 403


def test_a_retired_node_stays_retired_and_its_messages_are_buried(
    service: FleetService, admin: httpx.Client, says: Says
) -> None:
    admin.put(f"/devices/{SERIAL}", json=FACTS)
    assert admin.post(f"/devices/{SERIAL}/retire").json()["retired_ms"] is not None
    assert admin.put(f"/devices/{SERIAL}", json=FACTS).status_code == 409
    with service.database.write() as session:
        done = store(session, [says("alert", seq=1, node="n1"), says("alert", seq=1, node="n2")], 100)
    assert (done.new, done.unreadable, list(done.receipts)) == (1, 1, [("lab", "n2")])


def test_where_only_enrolled_nodes_are_taken_a_stranger_is_buried_with_the_reason(database: Database, says: Says) -> None:
    with database.write() as session:
        done = store(session, [says("event", seq=1)], 100, enrolled_only=True)
        reasons = list(session.scalars(select(DeadLetter.reason)))
    assert (done.new, reasons) == (0, ["the node is not enrolled"])


def test_a_certificate_is_revoked_once(admin: httpx.Client) -> None:
    first, again = (admin.put("/revocations/4711", json={"generation": 1}).json() for _ in range(2))
    assert first == again
