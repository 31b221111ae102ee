"""The service with real brokers and real HTTP: alerts, receipts, rollouts, crashes, a standby."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import paho.mqtt.client as mqtt
import pytest
from sqlalchemy import select

from whir_fleet.auth import Role
from whir_fleet.errors import SettingsError
from whir_fleet.messages import Inbound
from whir_fleet.models import AlertChange, Node
from whir_fleet.service import FleetService
from whir_fleet.settings import Settings
from whir_fleet.store import store

SITE = "lab"


class Client:
    """An MQTT client with what it heard in a queue."""

    def __init__(self, host: str, port: int, user: str, password: str, *filters: str) -> None:
        self.heard: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.subscribed: queue.Queue[None] = queue.Queue()  # one for each connection
        self.mqtt = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self.mqtt.username_pw_set(user, password)
        self.mqtt.reconnect_delay_set(1, 1)
        self.mqtt.on_connect = lambda client, *_: client.subscribe([(name, 1) for name in filters])
        self.mqtt.on_subscribe = lambda *_: self.subscribed.put(None)
        self.mqtt.on_message = lambda _c, _d, message: self.heard.put((message.topic, bytes(message.payload)))
        self.mqtt.connect(host, port)
        self.mqtt.loop_start()
        self.subscribed.get(timeout=60)

    def next(self, timeout: float = 60) -> tuple[str, dict[str, Any] | None]:
        topic, payload = self.heard.get(timeout=timeout)
        return topic, json.loads(payload) if payload else None

    def close(self) -> None:
        self.mqtt.disconnect()
        self.mqtt.loop_stop()


class FakeNode(Client):
    """One node at protocol level: sends with one counter, takes receipts and commands."""

    def __init__(self, service: FleetService, users: dict[str, str], name: str) -> None:
        self.name, self.seq, self.boot = name, 0, 1
        broker = service.broker
        super().__init__(broker.host, broker.port, "nodes", users["nodes"], f"whir/v1/{SITE}/{name}/cmd")

    def send(self, topic: str, **fields: Any) -> int:
        self.seq += 1
        body = {"v": 1, "boot": self.boot, "seq": self.seq, "ts": 1000 + self.seq, "synced": False, **fields}
        self.mqtt.publish(f"whir/v1/{SITE}/{self.name}/{topic}", json.dumps(body), 1).wait_for_publish(10)
        return self.seq

    def status(self, conn: int = 1, **fields: Any) -> None:
        model = {"model": "old", "model_version": "1", "counter": 1, "trial": False}
        self.send("status", conn=conn, state="ok", next_s=60, hardware="host", **{**model, **fields})

    def alert(self, occurrence: int, state: str = "active", **fields: Any) -> int:
        body = {"occurrence": f"{self.name}-1-{occurrence}", "severity": "warning", "verdict": "bearing", "p": 910}
        return self.send("alert", state=state, **{**body, **fields})

    def command(self, c: str) -> dict[str, Any]:
        while True:
            _, body = self.next()
            if body is not None and body["c"] == c:
                return body


USERS = {"fleet": "fleet-password", "nodes": "nodes-password", "subscriber": "subscriber-password"}


@pytest.fixture(params=["embedded", "mosquitto"])
def running(
    request: pytest.FixtureRequest, tmp_path: Path, keys: Path, mosquitto: Callable[..., Any]
) -> Iterator[tuple[FleetService, dict[str, str]]]:
    """The service, once with the broker inside and once with a real mosquitto; and the MQTT passwords."""
    common = {"data_dir": tmp_path / "data", "keys_dir": keys, "api_port": 0, "resend_s": 1}
    if request.param == "embedded":
        settings = Settings.load(**common, broker_port=0)
    else:
        broker = mosquitto(users=USERS, persistence=True)
        settings = Settings.load(**common, broker=broker.url, broker_password="fleet-password")
    with FleetService(settings) as service:
        yield service, service.users or USERS


def until(what: Callable[[], bool], seconds: float = 60) -> None:
    give_up = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < give_up, "it did not come"
        time.sleep(0.02)


def test_an_alert_reaches_the_subscriber_is_retained_while_open_and_gone_after_it(
    running: tuple[FleetService, dict[str, str]],
) -> None:
    service, users = running
    account = (service.broker.host, service.broker.port, "subscriber", users["subscriber"], "whir/v1/+/_fleet/alert/+")
    subscriber, node = Client(*account), FakeNode(service, users, "n1")
    node.status()
    seq = node.alert(2)
    topic, message = subscriber.next()
    assert message is not None
    assert (message["state"], message["machine"], message["severity"]) == ("open", "n1", "warning")
    assert topic.endswith(message["alert_id"])
    assert node.command("receipt") == {"v": 1, "c": "receipt", "boot": 1, "seq": [seq]}

    late = Client(*account)
    assert late.next() == (topic, message)

    node.alert(2, "cleared")
    for client in (subscriber, late):
        _, resolved = client.next()
        assert resolved is not None and resolved["state"] == "resolved"
        assert client.next() == (topic, None)
    nobody = Client(*account)
    with pytest.raises(queue.Empty):
        nobody.next(timeout=0.5)
    for client in (subscriber, late, nobody, node):
        client.close()


def test_a_receipt_comes_again_for_a_node_that_did_not_get_the_first(running: tuple[FleetService, dict[str, str]]) -> None:
    service, users = running
    node = FakeNode(service, users, "n1")
    for _ in range(2):
        node.seq = 4
        assert node.alert(5) == 5
        assert node.command("receipt")["seq"] == [5]
    node.close()


def test_rubbish_is_buried_and_ingest_goes_on(running: tuple[FleetService, dict[str, str]]) -> None:
    service, users = running
    node = FakeNode(service, users, "n1")
    for payload in (b"", b"\xff\xff", b"[" * 900, b'{"v":1}', b"x" * 5000):
        node.mqtt.publish(f"whir/v1/{SITE}/n1/alert", payload, 1).wait_for_publish(10)
    node.mqtt.publish("whir/v1/Bad Site/n1/alert", b"{}", 1).wait_for_publish(10)
    node.alert(5)
    node.command("receipt")
    http = httpx.Client(base_url=service.url, headers={"Authorization": f"Bearer {service.create_token('t', Role.VIEWER)}"})
    letters = http.get("/api/v1/dead-letters").json()
    assert letters["total"] == 6
    assert {letter["topic"] for letter in letters["items"]} == {"whir/v1/lab/n1/alert", "whir/v1/Bad Site/n1/alert"}
    node.close()


def test_a_rollout_goes_to_the_canary_then_to_the_others_and_is_sent_again_to_a_node_that_was_away(
    running: tuple[FleetService, dict[str, str]], make_bundle: Callable[..., bytes]
) -> None:
    service, users = running
    http = httpx.Client(
        base_url=f"{service.url}/api/v1", headers={"Authorization": f"Bearer {service.create_token('t', Role.OPERATOR)}"}
    )
    bundle = make_bundle()
    sha256 = http.post("/artifacts", content=bundle).json()["sha256"]
    nodes = {name: FakeNode(service, users, name) for name in ("n1", "n2", "n3")}
    for node in nodes.values():
        node.status()
    until(lambda: len(http.get("/nodes").json()["items"]) == 3)
    made = http.post("/rollouts", json={"name": "better", "sha256": sha256, "canary": ["n2"]}).json()

    def update(name: str) -> dict[str, Any]:
        """The node gets the command, fetches the bundle and says that it is on trial."""
        command = nodes[name].command("update")
        assert f"node={SITE}/{name}&" in command["url"] and httpx.get(command["url"]).content == bundle
        assert (command["bytes"], command["deadline_s"]) == (len(bundle), 600)
        nodes[name].send("ack", id=command["id"], c="update", result="accepted")
        return command

    def confirm(name: str, command: dict[str, Any]) -> None:
        nodes[name].send(
            "event", kind="update_confirmed", action=command["id"], model="new", model_version="2", counter=2, slot="b"
        )

    confirm("n2", update("n2"))
    confirm("n1", update("n1"))
    command = update("n3")
    nodes["n3"].boot, nodes["n3"].seq = 2, 0  # the power is cut while it writes
    nodes["n3"].status()
    again = nodes["n3"].command("update")
    assert again["id"] == command["id"]
    confirm("n3", again)
    until(lambda: http.get(f"/rollouts/{made['id']}").json()["state"] == "finished")
    shown = http.get(f"/rollouts/{made['id']}").json()
    assert [(a["node"], a["group"], a["state"]) for a in shown["actions"]] == [
        ("n2", 0, "succeeded"),
        ("n1", 1, "succeeded"),
        ("n3", 1, "succeeded"),
    ]
    for node in nodes.values():
        node.close()


def test_what_was_committed_before_a_crash_is_published_after_it(tmp_path: Path, mosquitto: Callable[..., Any]) -> None:
    broker = mosquitto(users=USERS, persistence=True)
    settings = Settings.load(data_dir=tmp_path / "data", api_port=0, broker=broker.url, broker_password="fleet-password")
    settings.prepare()
    crashed = FleetService(settings)
    crashed.database.migrate()
    body = {"v": 1, "boot": 1, "ts": 1, "synced": True, "severity": "warning", "verdict": "bearing", "p": 910}
    with crashed.database.write() as session:  # ingest committed this; then the process was gone
        for seq, state in ((5, "active"), (6, "cleared")):
            message = json.dumps(body | {"seq": seq, "state": state, "occurrence": "n1-1-5"})
            store(session, [Inbound("whir/v1/lab/n1/alert", message.encode(), 1)], 100)
    crashed.database.close()
    subscriber = Client(broker.host, broker.port, "subscriber", USERS["subscriber"], "whir/v1/+/_fleet/alert/+")
    with FleetService(settings) as service:
        states = [(message or {}).get("state") for _, message in (subscriber.next() for _ in range(3))]
        assert states == ["open", "resolved", None]

        def all_published() -> bool:
            with service.database.read() as session:
                return all(change.published_ms for change in session.scalars(select(AlertChange)))

        until(all_published)
    subscriber.close()


def test_the_service_outlives_its_broker(tmp_path: Path, mosquitto: Callable[..., Any]) -> None:
    broker = mosquitto(users=USERS, persistence=True)
    settings = Settings.load(data_dir=tmp_path / "data", api_port=0, broker=broker.url, broker_password="fleet-password")
    with FleetService(settings) as service:
        node = FakeNode(service, USERS, "n1")
        node.alert(1)
        node.command("receipt")
        broker.kill()
        until(lambda: not service.ingest_connected)
        broker.start()
        until(lambda: service.ingest_connected)
        node.subscribed.get(timeout=60)
        subscriber = Client(broker.host, broker.port, "subscriber", USERS["subscriber"], "whir/v1/+/_fleet/alert/+")
        seq = node.alert(2, verdict="imbalance")
        while True:
            _, message = subscriber.next()
            if message is not None and message["verdict"] == "imbalance":
                break
        until(lambda: node.command("receipt")["seq"] == [seq])
        subscriber.close()
        node.close()


def test_the_embedded_broker_is_started_again_and_an_alert_it_took_with_it_is_sent_again(tmp_path: Path) -> None:
    with FleetService(Settings.load(data_dir=tmp_path / "data", api_port=0, broker_port=0)) as service:
        node = FakeNode(service, service.users, "n1")
        assert service.embedded is not None
        pid = service.embedded.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        until(lambda: service.embedded.pid not in (None, pid) and service.ingest_connected and node.mqtt.is_connected())
        while node.heard.empty():  # as a node does until the receipt is there
            node.seq = 4
            node.alert(5)
            time.sleep(0.2)
        assert node.command("receipt")["seq"] == [5]
        node.close()


def test_a_second_ingest_waits_and_takes_over(tmp_path: Path, mosquitto: Callable[..., Any]) -> None:
    broker = mosquitto(users=USERS, persistence=True)
    common = {"data_dir": tmp_path / "data", "api_port": 0, "broker": broker.url, "broker_password": "fleet-password"}
    first = FleetService(Settings.load(**common)).start()
    environment = {
        "WHIR_FLEET_DATA_DIR": str(tmp_path / "data"),
        "WHIR_FLEET_BROKER": broker.url,
        "WHIR_FLEET_BROKER_PASSWORD": "fleet-password",
        "WHIR_FLEET_INSTANCE": "1",
    }
    log = tmp_path / "standby.log"
    with log.open("wb") as file:
        standby = subprocess.Popen([sys.executable, "-m", "whir_tools.cli", "fleet", "ingest"], env=environment, stderr=file)
    try:
        until(lambda: "standby" in log.read_text())
        assert "as whir-fleet-ingest," not in log.read_text()
        node = FakeNode(first, USERS, "n1")
        node.status()
        first.stop()
        until(lambda: "as whir-fleet-ingest," in log.read_text())
        node.alert(2)
        node.command("receipt")
        node.close()
        with FleetService(Settings.load(**common)) as again:  # it takes its share of telemetry only
            token = again.create_token("t", Role.VIEWER)
            ready = httpx.get(f"{again.url}/api/v1/ready", headers={"Authorization": f"Bearer {token}"})
            assert (ready.status_code, ready.json()["ingest"]) == (200, "here")
    finally:
        standby.kill()
        standby.wait()


def test_the_example_subscriber_prints_alerts(running: tuple[FleetService, dict[str, str]]) -> None:
    service, users = running
    script = Path(__file__).parents[2] / "examples" / "alert_subscriber.py"
    command = [sys.executable, "-u", str(script), service.broker.host, str(service.broker.port), users["subscriber"]]
    example = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    node = FakeNode(service, users, "n1")
    node.alert(1)
    assert example.stdout is not None
    line = example.stdout.readline()
    example.kill()
    example.wait()
    node.close()
    assert "'verdict': 'bearing'" in line and "'state': 'open'" in line
    with service.database.read() as session:
        assert session.scalars(select(Node.name)).all() == ["n1"]


def test_parts_that_run_apart_do_what_one_process_does(tmp_path: Path, keys: Path, mosquitto: Callable[..., Any]) -> None:
    broker = mosquitto(users=USERS, persistence=True)
    common = {"data_dir": tmp_path / "data", "keys_dir": keys, "broker": broker.url, "broker_password": "fleet-password"}
    common |= {"public_url": "http://fleet:8080", "ops_port": 0, "api_port": 0}
    parts = [FleetService(Settings.load(**common), frozenset({part})) for part in ("api", "worker", "ingest")]
    for part in parts:
        part.start()
    api, worker, ingest = parts
    subscriber = Client("127.0.0.1", broker.port, "subscriber", USERS["subscriber"], "whir/v1/+/_fleet/alert/+")
    node = FakeNode(ingest, USERS, "n1")
    node.status()
    node.alert(2)  # ingest stores it, the worker publishes it, the API shows it
    assert (subscriber.next()[1] or {})["state"] == "open"
    http = httpx.Client(base_url=api.url, headers={"Authorization": f"Bearer {api.create_token('t', Role.VIEWER)}"})
    assert [alert["state"] for alert in http.get("/api/v1/alerts").json()["items"]] == ["open"]
    assert http.get("/api/v1/ready").json()["ingest"] == "elsewhere"
    for part in parts:
        assert httpx.get(f"http://127.0.0.1:{part.ops_port}/ready").status_code == 200
    assert "whir_ingest_messages_total" in httpx.get(f"http://127.0.0.1:{ingest.ops_port}/metrics").text
    assert 'whir_alerts{state="open"} 1' in http.get("/api/v1/metrics").text.replace(".0", "")
    for client in (subscriber, node):
        client.close()
    for part in (ingest, worker, api):
        part.stop()


def test_the_embedded_broker_comes_with_all_parts_only(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="broker of their own"):
        FleetService(Settings.load(data_dir=tmp_path), frozenset({"worker"}))
