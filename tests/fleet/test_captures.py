"""Captures: put together from chunks in any order, receipted when they are safe, listed, and files that other programs read."""

from __future__ import annotations

import io
import random
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import pyuff
from sqlalchemy import func, select

from whir_contracts.contract import CaptureTrigger
from whir_fleet import captures, machines
from whir_fleet.api import captures as captures_api
from whir_fleet.auth import Identity, Role
from whir_fleet.clock import now_ms
from whir_fleet.db import Database
from whir_fleet.errors import ForbiddenError
from whir_fleet.machine_specs import MachineSpec
from whir_fleet.messages import Inbound
from whir_fleet.models import Capture, CaptureChunk, Node
from whir_fleet.service import FleetService
from whir_fleet.settings import Settings
from whir_fleet.store import Stored, store

T0 = 1_790_000_000_000  # ms since 1970
COUNTS = np.random.default_rng(1).integers(-2000, 2000, (2500, 3), dtype=np.int16)
Says = Callable[..., Inbound]
Chunks = Callable[..., list[Inbound]]


def put(database: Database, *batch: Inbound) -> Stored:
    with database.write() as session:
        return store(session, list(batch), 100)


def rows(database: Database) -> list[Capture]:
    with database.read() as session:
        return list(session.scalars(select(Capture).order_by(Capture.at_ms, Capture.id)))


def test_chunks_in_any_order_and_twice_make_one_capture_and_the_last_one_is_receipted(
    database: Database, chunks: Chunks
) -> None:
    messages = chunks(COUNTS)
    random.Random(4).shuffle(messages)
    assert len(messages) > 3
    receipts = [dict(put(database, message, message).receipts) for message in messages]
    assert receipts[:-1] == [{}] * (len(messages) - 1)
    assert receipts[-1] != {}
    with database.read() as session:
        (found,) = session.scalars(select(Capture))
        assert np.array_equal(captures.counts(found), COUNTS)
        assert session.scalar(select(func.count()).select_from(CaptureChunk)) == 0
    assert (found.trigger, found.occurrence, found.unit, found.machine, found.at_ms) == ("alert", "n1-1-5", "g", "n1", T0)
    again = put(database, *chunks(COUNTS, seq=100))  # the node has not got the receipt, and sends all of it again
    assert len(again.receipts["lab", "n1"]) == len(messages)
    assert len(rows(database)) == 1


def test_a_capture_with_a_gap_is_not_listed_and_goes_after_a_day(database: Database, chunks: Chunks) -> None:
    assert put(database, *chunks(COUNTS)[1:]).receipts == {}
    with database.read() as session:
        assert session.execute(captures.listed()).all() == []
    with database.write() as session:
        captures.prune(session, T0 + 2 * 86_400_000, days=30)
    assert rows(database) == []


def test_those_of_alerts_stay_and_the_others_go_by_age(database: Database, chunks: Chunks) -> None:
    put(database, *chunks(COUNTS), *chunks(COUNTS, seq=50, capture=2, trigger=CaptureTrigger.DAILY, occurrence=None))
    with database.write() as session:
        captures.prune(session, T0 + 31 * 86_400_000, days=30)
    assert [capture.number for capture in rows(database)] == [1]


def test_a_broken_chunk_is_a_dead_letter(database: Database, chunks: Chunks) -> None:
    (first, *_) = chunks(COUNTS)
    broken = Inbound(first.topic, first.payload[:-1] + bytes([first.payload[-1] ^ 1]), T0)
    assert put(database, broken).unreadable == 1


def test_a_capture_belongs_to_the_point_at_which_the_node_sat_and_to_its_alert(
    database: Database, says: Says, chunks: Chunks
) -> None:
    with database.write() as session:
        machine = machines.put(session, "lab", "pump", MachineSpec.model_validate({"points": [{"name": "de"}]}), T0)
        machines.assign(session, "lab", machines.points_of(session, [machine.id])[0], "n1", T0 - 1000, "test")
    put(database, says("alert", seq=5), *chunks(COUNTS))
    with database.read() as session:
        ((found, site, node, alert_id),) = session.execute(captures.listed())
    assert (site, node, found.machine, found.point) == ("lab", "n1", "pump", "de")
    assert alert_id is not None


def test_a_capture_of_another_site_is_neither_seen_nor_fetched(database: Database, chunks: Chunks) -> None:
    put(database, *chunks(COUNTS))
    (mine,) = rows(database)
    elsewhere = Identity("t", "t", Role.ADMIN, frozenset({"plant"}))
    with database.read() as session:
        assert session.execute(elsewhere.only(captures.listed(), Node.site)).all() == []
        with pytest.raises(ForbiddenError):
            captures_api.detail(session, elsewhere, mine.id)
        with pytest.raises(ForbiddenError):
            captures_api.file(session, elsewhere, mine.id, "csv")
        assert captures_api.detail(session, Identity("t", "t", Role.VIEWER, frozenset({"lab"})), mine.id).id == mine.id


@pytest.fixture
def http(tmp_path: Path, says: Says, chunks: Chunks) -> Iterator[httpx.Client]:
    """Of a service that has one capture of node n1; an operator's."""
    settings = Settings.load(data_dir=tmp_path / "data", api_port=0, broker_port=0, capture_days=3650)
    with FleetService(settings) as service:
        put(service.database, says("status", seq=1, received_ms=now_ms()), says("alert", seq=5), *chunks(COUNTS))
        headers = {"Authorization": f"Bearer {service.create_token('t', Role.OPERATOR)}"}
        with httpx.Client(base_url=f"{service.url}/api/v1", headers=headers, timeout=60) as client:
            yield client


def test_a_capture_is_listed_and_its_files_hold_the_same_samples(http: httpx.Client, tmp_path: Path) -> None:
    (found,) = http.get("/captures", params={"node": "n1"}).json()["items"]
    assert http.get(f"/captures/{found['id']}").json() == found
    (alert,) = http.get("/alerts").json()["items"]
    assert found["alert_id"] == alert["alert_id"]
    assert http.get("/captures", params={"alert_id": alert["alert_id"]}).json()["items"] == [found]
    assert http.get("/captures", params={"node": "n2"}).json()["items"] == []
    assert http.get("/captures/none").status_code == 404
    scale = found["lsb_nano"] * 1e-9

    def file(format: str) -> bytes:
        answer = http.get(f"/captures/{found['id']}/file", params={"format": format})
        assert answer.status_code == 200 and f"n1-1-1.{format}" in answer.headers["content-disposition"]
        return answer.content

    table = np.loadtxt(io.BytesIO(file("csv")), delimiter=",", skiprows=1)
    assert file("csv").startswith(b"time_s,x_g,y_g,z_g\n")
    assert np.allclose(table[:, 1:], COUNTS * scale)
    assert table[100, 0] == 0 and table[101, 0] == pytest.approx(1 / 6664)
    with wave.open(io.BytesIO(file("wav"))) as audio:
        assert (audio.getframerate(), audio.getnchannels()) == (6664, 3)
        assert np.array_equal(np.frombuffer(audio.readframes(10_000), "<i2").reshape(-1, 3), COUNTS)
    (tmp_path / "capture.uff").write_bytes(file("uff"))
    sets = pyuff.UFF(str(tmp_path / "capture.uff")).read_sets()
    assert [one["rsp_dir"] for one in sets] == [1, 2, 3]
    assert np.allclose(np.column_stack([one["data"] for one in sets]), COUNTS * scale * 9.80665, rtol=1e-4, atol=1e-4)
    assert sets[0]["abscissa_inc"] == pytest.approx(1 / 6664, rel=1e-4)
    assert http.get(f"/captures/{found['id']}/file", params={"format": "mp3"}).status_code == 422


def test_the_evidence_of_noise_names_nothing_and_is_a_page_too(http: httpx.Client) -> None:
    (alert,) = http.get("/alerts").json()["items"]
    found = http.get(f"/alerts/{alert['alert_id']}/evidence").json()
    assert (found["alert_id"], found["rpm_confidence"] < 0.5, found["tones"]) == (alert["alert_id"], True, [])
    assert {finding["side"] for finding in found["findings"]} == {"open"}
    page = http.get(f"/alerts/{alert['alert_id']}/evidence.pdf")
    assert page.headers["content-type"] == "application/pdf" and page.content.startswith(b"%PDF")
    assert http.get("/alerts/none/evidence").status_code == 404


def test_a_capture_is_asked_for_by_command(http: httpx.Client) -> None:
    made = http.post("/nodes/lab/n1/commands", json={"c": "capture"}).json()
    assert (made["c"], made["state"]) == ("capture", "pending")
