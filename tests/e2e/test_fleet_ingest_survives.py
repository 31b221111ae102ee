"""Ingest as a process of its own on a real mosquitto, killed with SIGKILL on the way: what was promised arrives, once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from whir_fleet import devices
from whir_fleet.db import Database
from whir_fleet.models import Alert, AlertChange, Message, Node, Occurrence, Telemetry

USERS = {"fleet": "fleet-password", "nodes": "nodes-password"}


@dataclass
class Ingest:
    """`whir fleet ingest` as a process."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = os.environ | {"WHIR_FLEET_BROKER_PASSWORD": USERS["fleet"], "WHIR_FLEET_DATA_DIR": str(self.folder)}
        command = [sys.executable, "-m", "whir_tools.cli", "fleet", "ingest", "--broker", f"mqtt://fleet@127.0.0.1:{self.port}"]
        with (self.folder / "ingest.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stderr=log)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def wait_connected(self, times: int) -> None:
        """Until it has subscribed for the `times`-th time: only then does the broker hold a session for it."""
        give_up = time.monotonic() + 20
        while (self.folder / "ingest.log").read_text().count("connected to") < times:
            assert time.monotonic() < give_up, (self.folder / "ingest.log").read_text()
            time.sleep(0.05)


@dataclass
class Swarm:
    """The nodes as a process; `sent` follows what it prints."""

    port: int
    nodes: int
    telemetry: int
    alerts: int
    sent: int = 0
    result: dict[str, Any] = field(default_factory=dict)

    def start(self) -> None:
        numbers = [str(n) for n in (self.nodes, self.telemetry, self.alerts)]
        command = [sys.executable, str(Path(__file__).parent / "swarm.py"), str(self.port), "nodes", *numbers]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdin is not None
        self.process.stdin.write(USERS["nodes"] + "\n")
        self.process.stdin.flush()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("sent "):
                self.sent = int(line.split()[1])
            else:
                self.result = json.loads(line)

    def wait_sent(self, share: float) -> None:
        while self.sent < share * self.nodes * self.telemetry and self.reader.is_alive():
            time.sleep(0.01)

    def join(self) -> dict[str, Any]:
        self.reader.join(200)
        assert self.process.wait(10) == 0
        return self.result


@pytest.fixture
def ingest(tmp_path: Path) -> Iterator[Callable[[int], Ingest]]:
    started: list[Ingest] = []

    def make(port: int) -> Ingest:
        folder = tmp_path / "fleet"
        folder.mkdir()
        started.append(Ingest(folder, port))
        return started[-1]

    yield make
    for one in started:
        one.kill()


def _settle(database: Database) -> None:
    """Until nothing new is stored any more."""
    before = -1
    while True:
        with database.read() as session:
            now = session.scalar(select(func.count()).select_from(Message)) or 0
        if now == before:
            return
        before = now
        time.sleep(1.0)


def _count(database: Database, model: type[Any]) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def test_100000_telemetry_and_1000_alerts_arrive_once_though_ingest_is_killed_twice(
    mosquitto: Callable[..., Any], ingest: Callable[[int], Ingest]
) -> None:
    broker = mosquitto(users=USERS, persistence=True)
    consumer = ingest(broker.port)
    consumer.start()
    consumer.wait_connected(1)
    swarm = Swarm(broker.port, nodes=100, telemetry=1000, alerts=10)
    swarm.start()
    for share in (0.3, 0.6):
        swarm.wait_sent(share)
        consumer.kill()
        consumer.start()
    result = swarm.join()
    database = Database(f"sqlite:///{consumer.folder / 'fleet.db'}")
    _settle(database)
    print(f"{result['messages'] / result['seconds']:.0f} messages/s from node to database, two kills included")

    assert result["unreceipted"] == 0
    assert result["messages"] == 100 * (1000 + 10 + 2)
    assert _count(database, Message) == result["messages"]
    assert _count(database, Telemetry) == 100_000
    assert _count(database, Occurrence) == 1000
    assert _count(database, Alert) == 1000
    assert _count(database, AlertChange) == 1000  # a message that came twice changed nothing
    with database.read() as session:
        counts = devices.counts(session, list(session.scalars(select(Node.id))))
    assert {c["lost"] for c in counts.values()} == {0}
    assert sum(c["received"] for c in counts.values()) == result["messages"]
    database.close()


def test_no_alert_is_lost_and_lost_telemetry_is_counted_exactly_though_the_broker_is_killed_too(
    mosquitto: Callable[..., Any], ingest: Callable[[int], Ingest]
) -> None:
    broker = mosquitto(users=USERS, persistence=True)
    consumer = ingest(broker.port)
    consumer.start()
    consumer.wait_connected(1)
    swarm = Swarm(broker.port, nodes=50, telemetry=600, alerts=10)
    swarm.start()
    swarm.wait_sent(0.3)
    consumer.kill()  # so that the broker has something to lose
    swarm.wait_sent(0.5)
    broker.kill()
    time.sleep(0.3)
    broker.start()
    consumer.start()
    result = swarm.join()
    database = Database(f"sqlite:///{consumer.folder / 'fleet.db'}")
    _settle(database)

    assert result["unreceipted"] == 0
    assert _count(database, Alert) == 500
    assert _count(database, Occurrence) == 500
    with database.read() as session:
        ids = {node.name: node.id for node in session.scalars(select(Node))}
        counted = devices.counts(session, list(ids.values()))
        rows = session.execute(select(Message.node_id, func.count()).group_by(Message.node_id))
        stored = {node_id: count for node_id, count in rows}
    for number, sent in enumerate(result["by_node"]):
        node_id = ids[f"n{number:03d}"]
        assert counted[node_id] == {"received": stored[node_id], "lost": sent - stored[node_id]}
    lost = sum(count["lost"] for count in counted.values())
    print(f"{lost} telemetry messages lost with the broker, all counted; {result['resent']} alerts sent again")
    database.close()
