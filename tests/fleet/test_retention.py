"""Old telemetry: by hour instead of row by row, nothing counted twice, nothing left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from whir_fleet import devices, partitions, retention
from whir_fleet.artifacts import Signer
from whir_fleet.db import Database
from whir_fleet.link import BrokerAddress
from whir_fleet.messages import Inbound
from whir_fleet.models import Event, Node, Telemetry, TelemetryHour
from whir_fleet.retention import DAY_MS, HOUR_MS, hourly, prune
from whir_fleet.settings import Settings
from whir_fleet.store import Stored, store
from whir_fleet.worker import Worker

Says = Callable[..., Inbound]
T0 = 450_000 * HOUR_MS  # before the days that a new database has


def put(database: Database, *messages: Inbound) -> Stored:
    with database.write() as session:
        return store(session, list(messages), 100)


def count(database: Database, model: type[Any]) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def age(database: Database, now_ms: int) -> int:
    """Prunes until there is nothing more; how many slices that took."""
    slices = 1
    while True:
        with database.write() as session:
            if not prune(session, now_ms, raw_days=7, hourly_days=730):
                return slices
        slices += 1


def hours(database: Database) -> list[dict[str, Any]]:
    with database.read() as session:
        return hourly(session, devices.find(session, "lab", "n1").id, 0, 2**62)


def test_an_hour_says_the_same_before_and_after_its_rows_are_gone(database: Database, says: Says) -> None:
    readings = [
        says(
            "telemetry",
            seq=i,
            ts=T0 + i * 600_000,
            p=900 + i,
            windows=2,
            rms=... if i == 3 else 30 + i,
            velocity=900 + i,
            verdict=verdict,
        )
        for i, verdict in enumerate(["normal"] * 5 + ["bearing"] + ["normal"] * 6)
    ]
    put(database, *readings)
    before = hours(database)
    assert [(h["hour_ms"] - T0, h["verdict"], h["messages"]) for h in before] == [
        (0, "bearing", 1),
        (0, "normal", 5),
        (HOUR_MS, "normal", 6),
    ]
    assert before[1] | {"p_sum": 4510, "rms_sum": 127, "rms_count": 4, "rms_max": 34, "novelty_max": None} == before[1]
    assert before[1] | {"velocity_sum": 4510, "velocity_count": 5, "velocity_max": 904} == before[1]
    age(database, T0 + 7 * DAY_MS + HOUR_MS)  # the first hour only
    assert (count(database, Telemetry), count(database, TelemetryHour)) == (6, 2)
    assert hours(database) == before
    age(database, T0 + 8 * DAY_MS)
    assert (count(database, Telemetry), hours(database)) == (0, before)


def test_a_day_of_its_own_goes_as_a_whole_once_its_last_hour_is_too_old(database: Database, says: Says) -> None:
    day = T0 // DAY_MS * DAY_MS
    if not database.is_sqlite:
        with database.write() as session:
            assert partitions.make(session.connection(), day)
    put(database, *(says("telemetry", seq=i, ts=day + i * HOUR_MS, p=900 + i) for i in range(30)))  # six are of the next day
    before = hours(database)
    age(database, day + 8 * DAY_MS - 1)
    assert (count(database, Telemetry), hours(database)) == (7 if database.is_sqlite else 30, before)
    age(database, day + 8 * DAY_MS)
    assert (count(database, Telemetry), count(database, TelemetryHour), hours(database)) == (6, 24, before)
    with database.read() as session:
        assert day not in {part.from_ms for part in partitions.parts(session.connection())}
    again = put(database, says("telemetry", seq=5, ts=day + 5 * HOUR_MS, p=905), says("telemetry", seq=31, ts=day + 1))
    assert (again.new, again.duplicates) == (1, 1)  # that it is late is no matter
    age(database, day + 8 * DAY_MS)
    assert [h["messages"] for h in hours(database)] == [2, *([1] * 29)]


def test_what_comes_late_is_added_to_its_hour_once(database: Database, says: Says) -> None:
    put(database, *(says("telemetry", seq=i, ts=T0 + i) for i in (0, 1, 3)))
    age(database, T0 + 8 * DAY_MS)
    assert put(database, says("telemetry", seq=4, ts=T0 + 4)).new == 1
    assert [h["messages"] for h in hours(database)] == [4]
    age(database, T0 + 8 * DAY_MS)
    assert [h["messages"] for h in hours(database)] == [4]


def test_a_redelivery_after_its_row_is_gone_changes_nothing(database: Database, says: Says) -> None:
    put(database, *(says("telemetry", seq=i, ts=T0 + i) for i in range(3)))
    age(database, T0 + 8 * DAY_MS)
    again = put(database, *(says("telemetry", seq=i, ts=T0 + i) for i in range(3)))
    assert (again.new, again.duplicates) == (0, 3)
    with database.read() as session:
        assert devices.boots(session, 1) == [{"boot": 1, "first_seq": 0, "last_seq": 2, "received": 3, "lost": 0}]


def test_it_is_done_in_slices(database: Database, says: Says, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "SLICE", 10)
    put(database, *(says("telemetry", seq=i, ts=T0 + i // 3) for i in range(65)))
    assert age(database, T0 + 8 * DAY_MS) > 3
    assert [h["messages"] for h in hours(database)] == [65]


def test_the_worker_does_it_by_itself(database: Database, says: Says, tmp_path: Path) -> None:
    put(database, *(says("telemetry", seq=i, ts=T0 + i * HOUR_MS) for i in range(3)))
    settings = Settings.load(data_dir=tmp_path)
    worker = Worker(settings, database, BrokerAddress("127.0.0.1", 1, "fleet", ""), Signer("secret", "http://fleet", 60))
    assert worker._elected()
    worker._age()
    worker._ageing.join(120)
    assert (count(database, Telemetry), [h["messages"] for h in hours(database)]) == (0, [1, 1, 1])


def test_hours_go_after_their_time_and_events_stay(database: Database, says: Says) -> None:
    put(database, says("telemetry", seq=0, ts=T0), says("event", seq=1, ts=T0))
    age(database, T0 + 8 * DAY_MS)
    age(database, T0 + 730 * DAY_MS)
    assert count(database, TelemetryHour) == 1
    age(database, T0 + 731 * DAY_MS)
    assert (count(database, TelemetryHour), count(database, Event), count(database, Node)) == (0, 1, 1)
