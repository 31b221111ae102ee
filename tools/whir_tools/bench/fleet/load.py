"""Many nodes for a while: what arrives, what does not, and how long an alert takes from the node to a subscriber."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import paho.mqtt.client as mqtt
from sqlalchemy import func, select

from whir_contracts import contract
from whir_fleet import devices
from whir_fleet.link import BrokerAddress, client, connect
from whir_fleet.models import AlertChange, BootCount, Node, Telemetry
from whir_tools.bench.fleet.errors import FleetBenchError
from whir_tools.bench.fleet.processes import HOST, Broker, Say, Service, SwarmProcess
from whir_tools.bench.fleet.swarm import SwarmSettings

TELEMETRY_S = 1.0
ALERT_S = 10.0
_SETTLE_S = 30.0


class AlertListener:
    """A subscriber of the fleet's alerts, as anybody's would be; it notes how old each was."""

    def __init__(self, broker: Broker) -> None:
        address = BrokerAddress(HOST, broker.port, "subscriber", broker.passwords["subscriber"])
        self._client = client(address, "bench-subscriber", persistent=False)
        self._address = address
        self._subscribed = threading.Event()
        self.ages_ms: dict[tuple[str, int, int], float] = {}
        self.repeated = 0
        self._client.on_connect = lambda made, *_: made.subscribe(f"{contract.TOPIC_PREFIX}/+/_fleet/alert/+", 1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._message

    def _message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        now_ms = time.time() * 1000
        if message.payload:  # the empty one takes a resolved alert's retained message away
            body = json.loads(message.payload)
            key = (body["node"], body["boot"], body["seq"])
            self.repeated += key in self.ages_ms
            self.ages_ms.setdefault(key, now_ms - body["ts"])

    def __enter__(self) -> AlertListener:
        connect(self._client, self._address)
        self._client.loop_start()
        if not self._subscribed.wait(10):
            raise FleetBenchError("the subscriber of alerts was not let in")
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def measure(folder: Path, nodes: int, seconds: float, say: Say) -> dict[str, Any]:
    """Sent, stored, and the ages of alerts at a subscriber; `lost_by_the_fleets_count` is what the API says of it."""
    settings = {"site": "swarm", "nodes": nodes, "telemetry_s": TELEMETRY_S, "alert_s": ALERT_S}
    with Broker(folder / "broker") as broker, Service(folder / "data", broker) as service, AlertListener(broker) as listener:
        say(f"swarm: {nodes} nodes connect", 0, 0)
        account = {"port": broker.port, "user": "nodes", "password": broker.passwords["nodes"]}
        with SwarmProcess(SwarmSettings(**account, **settings)) as swarm:  # type: ignore[arg-type]
            begun = time.monotonic()
            while (passed := time.monotonic() - begun) < seconds:
                say(f"swarm: {nodes} nodes", passed, seconds)
                time.sleep(0.1)
            sent = swarm.finish()
        say("swarm: what was stored", 0, 0)
        _settle(service, listener, sum(sent["by_node"].values()), sent["by_topic"].get("alert", 0))
        stored = _stored(service)
        ages_ms = list(listener.ages_ms.values())
    if not ages_ms:
        raise FleetBenchError("no alert reached the subscriber")
    lost, duplicates = balance(sent, stored)
    return {
        "nodes": nodes,
        "seconds": round(sent["seconds"], 1),
        "sent": sum(sent["by_node"].values()),
        "stored": sum(stored["by_node"].values()),
        "lost": lost,
        "lost_by_the_fleets_count": stored["lost"],
        "duplicates": duplicates,
        "resent": sent["resent"],
        "unreceipted": sent["unreceipted"],
        "alerts": sent["by_topic"]["alert"],
        "alerts_seen": len(ages_ms),
        "alerts_repeated": listener.repeated,
        "alert_p50_ms": round(float(np.percentile(ages_ms, 50)), 1),
        "alert_p99_ms": round(float(np.percentile(ages_ms, 99)), 1),
        "telemetry_s": TELEMETRY_S,
        "alert_s": ALERT_S,
    }


def balance(sent: dict[str, Any], stored: dict[str, Any]) -> tuple[int, int]:
    """Lost and duplicates, so that one does not hide the other: lost by node, duplicates by kind (rows above what was sent)."""
    lost = sum(max(0, count - stored["by_node"].get(name, 0)) for name, count in sent["by_node"].items())
    surplus = [stored["by_topic"][topic] - sent["by_topic"].get(topic, 0) for topic in ("telemetry", "alert")]
    return lost, sum(max(0, count) for count in surplus)


def _settle(service: Service, listener: AlertListener, sent: int, alerts: int) -> None:
    """Until all is stored and seen, or nothing has come for two seconds."""
    before, since = (-1, -1), time.monotonic()
    give_up = time.monotonic() + _SETTLE_S
    while time.monotonic() < give_up:
        with service.database.read() as session:
            now = (session.scalar(select(func.sum(BootCount.received))) or 0, len(listener.ages_ms))
        if now >= (sent, alerts):
            return
        if now != before:
            before, since = now, time.monotonic()
        elif time.monotonic() - since > 2.0:
            return
        time.sleep(0.1)


def _stored(service: Service) -> dict[str, Any]:
    with service.database.read() as session:
        names = {node.id: node.name for node in session.scalars(select(Node))}
        rows = session.execute(select(BootCount.node_id, func.sum(BootCount.received)).group_by(BootCount.node_id))
        return {
            "by_node": {names[node_id]: count for node_id, count in rows},
            "by_topic": {
                "telemetry": session.scalar(select(func.count()).select_from(Telemetry)) or 0,
                "alert": session.scalar(select(func.count()).select_from(AlertChange)) or 0,
            },
            "lost": sum(count["lost"] for count in devices.counts(session, list(names)).values()),
        }
