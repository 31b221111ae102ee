"""Home Assistant and Sparkplug B through a real broker: what their clients see while the fleet changes."""

from __future__ import annotations

import json
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from jinja2 import Environment
from sparkplub_b_packets.core.sparkplug_b_pb2 import Payload

from whir_fleet import enrolment, machines
from whir_fleet.bridge.home_assistant import HomeAssistant
from whir_fleet.bridge.run import run
from whir_fleet.bridge.sparkplug import Sparkplug
from whir_fleet.bridge.view import FleetView
from whir_fleet.clock import now_ms
from whir_fleet.db import Database
from whir_fleet.link import BrokerAddress
from whir_fleet.machine_specs import MachineSpec
from whir_fleet.messages import Inbound
from whir_fleet.store import store

Says = Callable[..., Inbound]
WAIT_S = 60.0
FACTS = {
    "site": "lab", "node": "n1", "mac": "24:0a:c4:00:00:01", "board": "esp32dev", "certificate_number": "17",
    "certificate_sha256": "9f" * 32, "claim_sha256": "3c" * 32, "development": False,
}  # fmt: skip


def until(what: Callable[[], Any]) -> None:
    give_up = time.monotonic() + WAIT_S
    while not what():
        assert time.monotonic() < give_up, "it did not come"
        time.sleep(0.01)


class Listener:
    """All that is on the broker below a topic, and what it retains."""

    def __init__(self, broker: Any, below: str) -> None:
        self.heard: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.now: dict[str, bytes] = {}
        self.subscribed = threading.Event()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self.client.username_pw_set(broker.user, broker.password)
        self.client.on_connect = lambda client, *_: client.subscribe(below, 1)
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.on_message = self.message
        self.client.connect(broker.host, broker.port)
        self.client.loop_start()
        assert self.subscribed.wait(WAIT_S)

    def message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        payload = bytes(message.payload)
        if payload:
            self.now[message.topic] = payload
        else:
            self.now.pop(message.topic, None)
        self.heard.put((message.topic, payload))

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def listen(mosquitto: Callable[..., Any]) -> Iterator[Callable[[str], Listener]]:
    broker = mosquitto()
    made: list[Listener] = []

    def start(below: str) -> Listener:
        made.append(Listener(broker, below))
        made[-1].broker = broker
        return made[-1]

    yield start
    for one in made:
        one.close()


class Bridge:
    """An adapter in a thread."""

    def __init__(self, adapter: Any, database: Database) -> None:
        self.stop = threading.Event()
        self.thread = threading.Thread(target=run, args=(adapter, database, self.stop, 0.05))
        self.thread.start()

    def __enter__(self) -> Bridge:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join(WAIT_S)


@pytest.fixture
def say(migrated_file: Any, tmp_path: Any, says: Says) -> Iterator[Callable[..., None]]:
    """Stores a message as if it came now; `say.database` is where."""
    database = Database(f"sqlite:///{shutil.copy(migrated_file, tmp_path / 'fleet.db')}")
    seq = iter(range(1, 1000))

    def one(topic: str, **fields: Any) -> None:
        with database.write() as session:
            store(session, [says(topic, **{"seq": next(seq), "received_ms": now_ms(), **fields})], 100)

    one.database = database
    yield one
    database.close()


def address(broker: Any) -> BrokerAddress:
    return BrokerAddress(broker.host, broker.port, broker.user, broker.password)


# Home Assistant ---------------------------------------------------------------------------------------------------------


class Home:
    """As Home Assistant shows it: what discovery says, with its templates (Jinja2, as there) over the states."""

    def __init__(self, heard: Listener) -> None:
        self.heard = heard
        self.jinja = Environment()
        self.jinja.filters["tojson"] = json.dumps

    def entity(self, name: str) -> dict[str, Any]:
        found = [json.loads(v) for t, v in self.heard.now.items() if t.endswith("/config") and t.endswith(f"_{name}/config")]
        assert len(found) == 1, found
        return found[0]

    def _of(self, topic: str, template: str | None) -> str:
        payload = self.heard.now[topic].decode()
        if template is None:
            return payload
        return self.jinja.from_string(template).render(value_json=json.loads(payload), value=payload)

    def state(self, name: str) -> str | None:
        """None: unavailable."""
        config = self.entity(name)
        for place in config["availability"]:
            if self._of(place["topic"], place.get("value_template")) != "online":
                return None
        return self._of(config["state_topic"], config["value_template"])

    def attributes(self, name: str) -> Any:
        config = self.entity(name)
        return json.loads(self._of(config["json_attributes_topic"], config["json_attributes_template"]))


def test_home_assistant_finds_a_machine_follows_it_and_loses_a_node_that_is_retired(
    listen: Callable[[str], Listener], say: Any
) -> None:
    heard = listen("homeassistant/#")
    home = Home(heard)
    say("status")
    say("telemetry", velocity=2345, velocity_hz=1000)
    with say.database.write() as session:
        machines.put(session, "lab", "pump", MachineSpec.model_validate({"points": [{"name": "de"}]}), now_ms())
        machines.assign(session, "lab", machines.find_point(session, "lab", "pump", "de"), "n1", now_ms(), "anna")
        enrolment.enrol(session, "WH-000001", FACTS, now_ms())
    with Bridge(HomeAssistant(address(heard.broker)), say.database):
        until(
            lambda: len([t for t in heard.now if t.endswith("/config")]) == 3 and "homeassistant/whir/lab/n1/state" in heard.now
        )
        assert (home.state("state"), home.state("alert"), home.state("velocity")) == ("ok", "OFF", "2.345")
        device = home.entity("state")["device"]
        assert (device["name"], device["suggested_area"]) == ("pump de", "lab")
        assert len({home.entity(name)["unique_id"] for name in ("state", "alert", "velocity")}) == 3
        say("alert", severity="critical")
        until(lambda: home.state("alert") == "ON")
        assert home.attributes("alert") == {"severity": "critical", "faults": ["bearing"]}
        assert home.attributes("state")["verdict"] == "normal"
        say("alert", state="cleared")
        until(lambda: home.state("alert") == "OFF")
        say("status", state="lost", seq=..., conn=1)
        until(lambda: home.state("state") == "lost")
        assert home.state("velocity") is None  # unavailable, while state and alert are still told
        late = Home(listen("homeassistant/#"))
        until(lambda: len(late.heard.now) == len(heard.now))
        assert late.state("state") == "lost"  # retained
    until(lambda: home.state("state") is None)  # the bridge is away
    with say.database.write() as session:
        enrolment.retire(session, "WH-000001", now_ms())
    with Bridge(HomeAssistant(address(heard.broker)), say.database):
        until(lambda: list(heard.now) == ["homeassistant/whir/bridge"] and heard.now["homeassistant/whir/bridge"] == b"online")


# Sparkplug B ------------------------------------------------------------------------------------------------------------


class Host:
    """A host application's side, with the schema of Eclipse Tahu: decodes what comes, and keeps to its order."""

    def __init__(self, heard: Listener) -> None:
        self.heard = heard
        self.seq = -1

    def next(self) -> tuple[str, str | None, dict[str, Any], Payload]:
        """Kind, device, metrics by name."""
        topic, data = self.heard.heard.get(timeout=WAIT_S)
        namespace, group, kind, edge, *device = topic.split("/")
        assert (namespace, group, edge) == ("spBv1.0", "whir", "lab")
        payload = Payload.FromString(data)
        if kind == "NDEATH":
            assert not payload.HasField("seq")
        elif kind != "NCMD":
            self.seq = 0 if kind == "NBIRTH" else (self.seq + 1) % 256
            assert payload.seq == self.seq, topic
        values = {m.name: None if m.is_null else getattr(m, m.WhichOneof("value")) for m in payload.metrics}
        return kind, device[0] if device else None, values, payload


def test_a_sparkplug_host_sees_births_data_and_deaths_in_order(listen: Callable[[str], Listener], say: Any) -> None:
    heard = listen("spBv1.0/#")
    host = Host(heard)
    say("status")
    say("telemetry", velocity=2345, velocity_hz=1000)
    with Bridge(Sparkplug(address(heard.broker), "whir"), say.database):
        kind, _, values, _ = host.next()
        assert (kind, values) == ("NBIRTH", {"bdSeq": 0, "Node Control/Rebirth": False})
        kind, device, born, payload = host.next()
        assert (kind, device, born["State"], born["Velocity"], born["Alert/Severity"]) == ("DBIRTH", "n1", "ok", 2.345, "none")
        assert born["Point"] is None and born["Machine"] == "n1" and born["Model"] == "old 1"
        velocity = next(metric for metric in payload.metrics if metric.name == "Velocity")
        assert (velocity.datatype, list(velocity.properties.keys)) == (10, ["engUnit"])
        assert velocity.properties.values[0].string_value == "mm/s"
        say("telemetry", velocity=4000, velocity_hz=1000)
        assert host.next()[:3] == ("DDATA", "n1", {"Velocity": 4.0})
        say("alert", severity="critical")
        assert host.next()[2] == {"Alert/Severity": "critical", "Alert/Faults": "bearing"}

        again = Payload()
        again.metrics.add(name="Node Control/Rebirth", datatype=11, boolean_value=True)
        heard.client.publish("spBv1.0/whir/NCMD/lab", b"no payload", 1)
        heard.client.publish("spBv1.0/whir/NCMD/lab", again.SerializeToString(), 1)
        heard.heard.get(timeout=WAIT_S), heard.heard.get(timeout=WAIT_S)
        assert [host.next()[:2] for _ in range(2)] == [("NBIRTH", None), ("DBIRTH", "n1")]

        heard.broker.restart()
        births = []
        while not births or births[-1][0] != "DBIRTH":  # the last will of the session before may be lost with the broker
            births.append(host.next())
        (birth,) = [values for kind, _, values, _ in births if kind == "NBIRTH"]
        assert birth["bdSeq"] == 1
        say("status", state="lost", seq=..., conn=1)
        assert host.next()[:2] == ("DDEATH", "n1")
    kind, _, values, _ = host.next()
    assert (kind, values) == ("NDEATH", {"bdSeq": 1})


def test_seq_begins_again_after_255(listen: Callable[[str], Listener], say: Any, says: Says) -> None:
    heard = listen("spBv1.0/#")
    with say.database.write() as session:
        store(session, [says("status", node=f"n{i}", seq=1, received_ms=now_ms()) for i in range(300)], 100)
    with Bridge(Sparkplug(address(heard.broker), "whir"), say.database):
        host = Host(heard)
        assert [host.next()[0] for _ in range(301)] == ["NBIRTH", *["DBIRTH"] * 300]


def test_the_last_will_of_a_killed_bridge_is_the_death_of_its_session(listen: Callable[[str], Listener], say: Any) -> None:
    heard = listen("spBv1.0/#")
    host = Host(heard)
    say("status")
    adapter = Sparkplug(address(heard.broker), "whir")
    with say.database.read() as session:
        views = FleetView().read(session, now_ms())
    until(lambda: (adapter.show(views), not heard.heard.empty())[1])
    born = host.next()[2]
    edge = adapter._edges["lab"]
    edge._client._sock.close()  # cut, not ended in order
    while (found := host.next())[0] != "NDEATH":
        pass
    assert found[2] == {"bdSeq": born["bdSeq"]}
    adapter.stop()
