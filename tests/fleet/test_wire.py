"""Nodes of every released version are understood: what they sent is recorded in tests/vectors/wire and replayed here."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from sqlalchemy import func, select

from whir_fleet.db import Database
from whir_fleet.messages import Inbound
from whir_fleet.models import Alert, Capture, Event, Telemetry
from whir_fleet.store import store

RECORDED = sorted((Path(__file__).parents[1] / "vectors" / "wire").glob("*.jsonl"))
T0 = 1_790_000_000_000


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_what_a_released_version_sends_is_stored_whole_and_once(path: Path, database: Database) -> None:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    sent = [Inbound(line["topic"], base64.b64decode(line["payload"]), T0 + place) for place, line in enumerate(lines)]
    assert len(sent) > 100
    for again in (False, True):
        with database.write() as session:
            done = store(session, sent, 100)
        assert done.unreadable == 0
        assert (done.new == 0) == again
    with database.read() as session:
        rows = {table: session.scalar(select(func.count()).select_from(table)) for table in (Alert, Event, Telemetry, Capture)}
        assert all(rows.values()), rows
        verdicts = set(session.scalars(select(Alert.verdict)))
        kinds = set(session.scalars(select(Event.kind)))
        assert "imbalance" in verdicts
        assert {"boot", "update_started", "update_confirmed", "update_refused", "rollback_done", "sensor_fault"} <= kinds


def test_there_is_a_recording() -> None:
    assert RECORDED
