"""Many nodes for a while: what arrives, what does not, and how long an alert takes from the node to a subscriber."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import numpy as np
import paho.mqtt.client as mqtt
from sqlalchemy import func, select

from whir_contracts import contract
from whir_fleet import alerts, devices
from whir_fleet.db import Database
from whir_fleet.link import BrokerAddress, client, connect
from whir_fleet.models import AlertChange, BootCount, Message, Node, Telemetry
from whir_node.swarm import raise_file_limit
from whir_tools.bench.fleet.errors import FleetBenchError
from whir_tools.bench.fleet.postgres import Postgres
from whir_tools.bench.fleet.processes import HOST, Broker, Say, Service, SwarmProcess

TELEMETRY_S = 10.0
_SETTLE_S = 300.0
_QUIET_S = 10.0


class Ages:
    """How old each alert was when it came."""

    def __init__(self) -> None:
        self.ms: dict[tuple[str, int, int], float] = {}
        self.repeated = 0

    def note(self, text: bytes | bytearray | str) -> None:
        now_ms = time.time() * 1000
        body = json.loads(text)
        if "boot" not in body:
            return  # the fleet raised it itself: of a node that it has not heard for long
        key = (body["node"], body["boot"], body["seq"])
        self.repeated += key in self.ms
        self.ms.setdefault(key, now_ms - body["ts"])

    def percentiles(self) -> tuple[float, float]:
        """p50 and p99."""
        return tuple(round(float(np.percentile(list(self.ms.values()), p)), 1) for p in (50, 99))  # type: ignore[return-value]


class AlertListener:
    """A subscriber of the fleet's alerts, as anybody's would be."""

    def __init__(self, broker: Broker) -> None:
        address = BrokerAddress(HOST, broker.port, "subscriber", broker.passwords["subscriber"])
        self._client = client(address, "bench-subscriber", persistent=False)
        self._address = address
        self._subscribed = threading.Event()
        self.ages = Ages()
        self._client.on_connect = lambda made, *_: made.subscribe(f"{contract.TOPIC_PREFIX}/+/_fleet/alert/+", 1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._message

    def _message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        if message.payload:  # the empty one takes a resolved alert's retained message away
            self.ages.note(message.payload)

    def __enter__(self) -> AlertListener:
        connect(self._client, self._address)
        self._client.loop_start()
        if not self._subscribed.wait(10):
            raise FleetBenchError("the subscriber of alerts was not let in")
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class StreamListener:
    """A reader of the API's server-sent events."""

    def __init__(self, service: Service) -> None:
        self.ages = Ages()
        self._open = threading.Event()
        self._client = httpx.Client(headers={"Authorization": f"Bearer {service.token}"}, timeout=httpx.Timeout(10, read=60))
        self._url = f"{service.url}/api/v1/alerts/stream"
        self._thread = threading.Thread(target=self._read, daemon=True)

    def _read(self) -> None:
        with contextlib.suppress(httpx.HTTPError), self._client.stream("GET", self._url) as answer:  # closed by us, at the end
            self._open.set()
            for line in answer.iter_lines():
                if line.startswith("data: {"):
                    self.ages.note(line.removeprefix("data: "))

    def __enter__(self) -> StreamListener:
        self._thread.start()
        if not self._open.wait(30):
            raise FleetBenchError("the stream of alerts does not open")
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._client.close()


def measure(folder: Path, nodes: int, seconds: float, alert_s: float, say: Say) -> dict[str, Any]:
    """Sent, stored, the ages of alerts at a subscriber and in the stream; `lost_by_the_fleets_count` is what the API says."""
    raise_file_limit(nodes)  # the broker inherits it
    with Postgres() as server, Broker(folder / "broker") as broker:
        url = server.create("swarm")
        with Service(folder / "data", broker, database_url=url) as service, StreamListener(service) as stream:
            return _measure(service, broker, stream, nodes, seconds, alert_s, say)


def _measure(
    service: Service, broker: Broker, stream: StreamListener, nodes: int, seconds: float, alert_s: float, say: Say
) -> dict[str, Any]:
    with AlertListener(broker) as listener:
        say(f"swarm: {nodes} nodes connect", 0, 0)
        with SwarmProcess(broker, "swarm", nodes, "--telemetry", str(TELEMETRY_S), "--alert", str(alert_s)) as swarm:
            begun = time.monotonic()
            while (passed := time.monotonic() - begun) < seconds:
                say(f"swarm: {nodes} nodes", passed, seconds)
                time.sleep(0.1)
            sent = swarm.finish()
        say("swarm: what was stored", 0, 0)
        ages = {"alert": listener.ages, "stream": stream.ages}
        settle(service.database, list(ages.values()), sum(sent["by_node"].values()), sent["by_topic"].get("alert", 0))
        stored = count_stored(service.database)
    for what, seen in ages.items():
        if not seen.ms:
            raise FleetBenchError(f"{what}: no alert came through")
    lost, duplicates = balance(sent, stored)
    times = {f"{what}_p{p}_ms": ms for what, seen in ages.items() for p, ms in zip((50, 99), seen.percentiles(), strict=True)}
    return {
        "nodes": nodes,
        "seconds": round(sent["seconds"], 1),
        "sent": sum(sent["by_node"].values()),
        "stored": sum(stored["by_node"].values()),
        "lost": lost,
        "lost_by_the_fleets_count": stored["lost"],
        "duplicates": duplicates,
        "reconnects": sent["reconnects"],
        "resent": sent["resent"],
        "unreceipted": sent["unreceipted"],
        "alerts": sent["by_topic"]["alert"],
        "alerts_seen": len(listener.ages.ms),
        "alerts_repeated": listener.ages.repeated,
        **times,
        "telemetry_s": TELEMETRY_S,
        "alert_s": alert_s,
    }


def balance(sent: dict[str, Any], stored: dict[str, Any]) -> tuple[int, int]:
    """Lost and duplicates, so that one does not hide the other: lost by node, duplicates by kind (rows above what was sent)."""
    lost = sum(max(0, count - stored["by_node"].get(name, 0)) for name, count in sent["by_node"].items())
    surplus = [stored["by_topic"][topic] - sent["by_topic"].get(topic, 0) for topic in ("telemetry", "alert")]
    return lost, sum(max(0, count) for count in surplus)


def settle(database: Database, seen: list[Ages], sent: int, alerts: int) -> None:
    """Until all is stored and seen, or nothing has come for ten seconds."""
    before, since = (-1, -1), time.monotonic()
    give_up = time.monotonic() + _SETTLE_S
    while time.monotonic() < give_up:
        with database.read() as session:
            now = (
                session.scalar(select(func.sum(BootCount.received))) or 0,
                min((len(ages.ms) for ages in seen), default=alerts),
            )
        if now >= (sent, alerts):
            return
        if now != before:
            before, since = now, time.monotonic()
        elif time.monotonic() - since > _QUIET_S:
            return
        time.sleep(0.1)


def count_stored(database: Database) -> dict[str, Any]:
    """Messages by node, rows by topic (of alerts: what nodes changed), alerts in the ledger, and what the fleet counts lost."""
    changes = select(func.count()).select_from(AlertChange)
    with database.read() as session:
        names = {node.id: node.name for node in session.scalars(select(Node))}
        rows = session.execute(select(BootCount.node_id, func.sum(BootCount.received)).group_by(BootCount.node_id))
        return {
            "by_node": {names[node_id]: int(count) for node_id, count in rows},
            "by_topic": {
                "telemetry": session.scalar(select(func.count()).select_from(Telemetry)) or 0,
                "alert": session.scalar(changes.where(AlertChange.who != alerts.FLEET)) or 0,
            },
            "alerts": session.scalar(select(func.count()).select_from(Message).where(Message.topic == "alert")) or 0,
            "lost": sum(count["lost"] for count in devices.counts(session, list(names)).values()),
        }
