"""The schema changes while ingest runs: nothing lost, nothing twice, on either database; and the way back by a backup."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import paho.mqtt.client as mqtt
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, text

from whir_fleet import db, devices
from whir_fleet.backup import backup, restore
from whir_fleet.db import Database
from whir_fleet.errors import DatabaseError
from whir_fleet.ingest import Ingest
from whir_fleet.link import BrokerAddress
from whir_fleet.models import DeadLetter, Event, Telemetry
from whir_fleet.mqtt_session import Session
from whir_fleet.settings import Settings

WAIT_S = 120.0
FIRST = "0001"

# What a next version may do beside programs of this one: columns that may be empty or have a default, indexes, tables, new
# values in old rows; every table that ingest writes is touched.
NEXT = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "next", {head!r}, None, None


def upgrade() -> None:
    for table in ("node", "telemetry", "event", "boot_count", "message", "dead_letter", "alert"):
        op.add_column(table, sa.Column("next_text", sa.Text(), nullable=True))
    with op.batch_alter_table("telemetry") as telemetry:  # on SQLite this copies the table
        telemetry.add_column(sa.Column("next_number", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_index("ix_next", "telemetry", ["next_number", "at_ms"])
    op.execute("UPDATE telemetry SET next_text = verdict")
    op.execute("UPDATE node SET next_text = name")
    op.create_table("next_table", sa.Column("id", sa.Integer(), primary_key=True))
"""


def until(what: Callable[[], bool]) -> None:
    give_up = time.monotonic() + WAIT_S
    while not what():
        assert time.monotonic() < give_up, "it did not come"
        time.sleep(0.1)


@pytest.fixture
def address(mosquitto: Callable[..., Any]) -> BrokerAddress:
    broker = mosquitto(persistence=True)
    return BrokerAddress(broker.host, broker.port, broker.user, broker.password)


class Node:
    """Sends until it is told to stop: telemetry, and an event each tenth time."""

    def __init__(self, address: BrokerAddress) -> None:
        self.sent = 0
        self._stop = threading.Event()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self._client.username_pw_set(address.user, address.password)
        self._client.connect(address.host, address.port)
        self._client.loop_start()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.005):
            self.sent += 1
            topic = "event" if self.sent % 10 == 0 else "telemetry"
            own = {"kind": "boot"} if topic == "event" else {"verdict": "normal", "p": 900, "windows": 1}
            body = {"v": 1, "boot": 1, "seq": self.sent, "ts": self.sent, "synced": True, **own}
            self._client.publish(f"whir/v1/lab/n1/{topic}", json.dumps(body), 1).wait_for_publish(WAIT_S)

    def end(self) -> int:
        """How many it has sent, all of them taken by the broker."""
        self._stop.set()
        self._thread.join(WAIT_S)
        self._client.disconnect()
        self._client.loop_stop()
        return self.sent


class Running:
    """An ingest process, as a thread: it migrates, then runs."""

    def __init__(self, url: str, address: BrokerAddress, instance: str) -> None:
        self.database = Database(url)
        self.ingest = Ingest(Settings.load(instance=instance), self.database, address)
        self.error: Exception | None = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.database.migrate()
            self.ingest.run()
        except Exception as error:
            self.error = error

    def stop(self) -> None:
        self.ingest.stop()
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive()
        self.database.close()


@pytest.fixture
def start(address: BrokerAddress) -> Iterator[Callable[..., Any]]:
    """`start(Running, url, "a")`, `start(Node)`: ended with the test, however it ends."""
    made: list[Any] = []

    def make(what: type[Any], *more: str) -> Any:
        made.append(what(*more[:1], address, *more[1:]))
        return made[-1]

    yield make
    for one in made:
        one.end() if isinstance(one, Node) else one.stop()


def stored(database: Database) -> list[int]:
    with database.read() as session:
        return sorted([*session.scalars(select(Telemetry.seq)), *session.scalars(select(Event.seq))])


def all_is_there_once(database: Database, sent: int) -> None:
    until(lambda: len(stored(database)) >= sent)
    assert stored(database) == list(range(1, sent + 1))
    with database.read() as session:
        node = devices.find(session, "lab", "n1")
        assert [(boot["received"], boot["lost"]) for boot in devices.boots(session, node.id)] == [(sent, 0)]
        assert session.scalars(select(DeadLetter.reason)).all() == []


@pytest.fixture
def next_version(tmp_path: Path) -> Iterator[Callable[[], Any]]:
    """Inside, this program's migrations go one step further."""
    folder = tmp_path / "migrations"
    shutil.copytree(db._migrations(), folder, ignore=shutil.ignore_patterns("__pycache__"))
    head = ScriptDirectory(str(folder)).get_current_head()
    (folder / "versions" / "next.py").write_text(NEXT.format(head=head))

    def begin() -> pytest.MonkeyPatch:
        patch = pytest.MonkeyPatch()
        patch.setattr(db, "_migrations", lambda: folder)
        return patch

    yield begin


def test_the_next_versions_migration_runs_while_two_ingests_of_this_one_go_on(
    database: Database, database_url: str, start: Callable[..., Any], next_version: Callable[[], pytest.MonkeyPatch]
) -> None:
    both = [start(Running, database_url, name) for name in ("a", "b")]
    until(lambda: all(one.ingest.connected for one in both))
    node = start(Node)
    until(lambda: len(stored(database)) > 30)
    patch = next_version()
    try:
        newer = Database(database_url)
        newer.migrate()
        newer.close()
    finally:
        patch.undo()
    assert "next_table" in inspect(database.engine).get_table_names()
    before = len(stored(database))
    until(lambda: len(stored(database)) > before + 30)  # this version goes on with what it knows
    sent = node.end()
    all_is_there_once(database, sent)
    for one in both:
        one.stop()
        assert one.error is None
    with pytest.raises(DatabaseError, match="newer version of whir"):
        database.migrate()


def test_two_processes_bring_the_first_schema_to_this_one_while_messages_wait_and_come(
    engine_url: Callable[[], str], address: BrokerAddress, start: Callable[..., Any]
) -> None:
    url = engine_url()
    old = Database(url)
    config = alembic.config.Config()
    config.set_main_option("script_location", str(db._migrations()))
    with old.engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, FIRST)
        connection.execute(
            text("INSERT INTO node (id, site, name, machine, first_seen_ms, last_seen_ms) VALUES (7, 'lab', 'old', 'm', 1, 2)")
        )
    for name in ("a", "b"):  # the sessions of the version before, which has just been stopped
        session = Session(address, f"whir-fleet-ingest-{name}")
        session.subscribe(["$share/ingest/whir/v1/+/+/telemetry"])
        session.close()
    session = Session(address, "whir-fleet-ingest")
    session.subscribe(["whir/v1/+/+/event"])
    session.close()
    node = start(Node)
    until(lambda: node.sent > 30)
    command = [sys.executable, "-c", f"from whir_fleet.db import Database; Database({url!r}).migrate()"]
    migrating = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in migrating:
        assert process.communicate(timeout=WAIT_S)[1] == ""
        assert process.returncode == 0
    both = [start(Running, url, name) for name in ("a", "b")]
    until(lambda: all(one.ingest.connected for one in both))
    sent = node.end()
    all_is_there_once(old, sent)
    with old.read() as session:
        assert devices.find(session, "lab", "old").id == 7
    for one in both:
        one.stop()
        assert one.error is None
    old.close()


def test_a_backup_leads_back_to_the_version_before(
    database: Database,
    database_url: str,
    tmp_path: Path,
    start: Callable[..., Any],
    engine_url: Callable[[], str],
    next_version: Callable[[], pytest.MonkeyPatch],
) -> None:
    settings = Settings.load(data_dir=tmp_path / "data", database_url=database_url)
    settings.prepare()
    running = start(Running, database_url, "0")
    until(lambda: running.ingest.connected)
    node = start(Node)
    until(lambda: len(stored(database)) > 30)
    backup(settings, tmp_path / "before.tar.gz")  # beside the running service
    patch = next_version()
    try:
        newer = Database(database_url)
        newer.migrate()
        newer.close()
    finally:
        patch.undo()
    running.stop()  # as all of the new version is stopped; the broker keeps what comes now
    back = Settings.load(data_dir=tmp_path / "back", database_url=engine_url())
    restore(back, tmp_path / "before.tar.gz")
    again = start(Running, back.url, "0")
    until(lambda: again.ingest.connected)
    sent = node.end()
    until(lambda: sent in stored(again.database))
    there = stored(again.database)
    assert len(there) == len(set(there)) and len(there) > 30
    with again.database.read() as session:  # what came between backup and stepping back is counted as lost, not forgotten
        (boot,) = devices.boots(session, devices.find(session, "lab", "n1").id)
    assert (boot["received"], boot["lost"]) == (len(there), sent - len(there))
    again.stop()
    assert again.error is None
