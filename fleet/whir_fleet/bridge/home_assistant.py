"""Home Assistant: each node is a device with its state, its machine's alert and its velocity, found by MQTT discovery.

What the broker retains is the truth: it is read when we connect, and only the difference to the fleet's view is published. So a
node that was retired while this process was away is taken out of Home Assistant as well.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from importlib import metadata
from typing import Any, Final

import paho.mqtt.client as mqtt

from whir_fleet.bridge.view import NodeView
from whir_fleet.link import BrokerAddress, client, connect

PREFIX: Final = "homeassistant"  # where Home Assistant looks for devices, unless it is told otherwise
_ALIVE: Final = f"{PREFIX}/whir/bridge"
_OWN: Final = (f"{PREFIX}/+/whir/+/config", f"{PREFIX}/whir/+/+/state")

# entity → (component, what its discovery says beside name, topics and device)
_ENTITIES: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "state": (
        "sensor",
        {
            "name": "State",
            "icon": "mdi:engine",
            "value_template": "{{ value_json.state }}",
            "json_attributes_template": "{{ value_json.about | tojson }}",
        },
    ),
    "alert": (
        "binary_sensor",
        {
            "name": "Alert",
            "device_class": "problem",
            "value_template": "{{ 'OFF' if value_json.alert.severity == 'none' else 'ON' }}",
            "json_attributes_template": "{{ value_json.alert | tojson }}",
        },
    ),
    "velocity": (
        "sensor",
        {
            "name": "Velocity",
            "device_class": "speed",
            "state_class": "measurement",
            "unit_of_measurement": "mm/s",
            "suggested_display_precision": 2,
            "value_template": "{{ value_json.velocity }}",
        },
    ),
}


class HomeAssistant:
    """`show()` brings what Home Assistant sees up to date. Its account may read and write below `homeassistant/`."""

    def __init__(self, address: BrokerAddress) -> None:
        self._address = address
        self._kept: dict[str, bytes] = {}  # what the broker retains of ours
        self._lock = threading.Lock()
        self._client = client(address, "whir-fleet-home-assistant", persistent=False)
        self._client.will_set(_ALIVE, "offline", 1, True)
        self._client.on_connect = self._connected
        self._client.on_message = self._retained

    def start(self) -> None:
        connect(self._client, self._address)
        self._client.loop_start()

    def stop(self) -> None:
        """The devices stay; Home Assistant shows them as unavailable."""
        if self._client.is_connected():
            self._client.publish(_ALIVE, "offline", 1, True).wait_for_publish(5)
        self._client.disconnect()
        self._client.loop_stop()

    def show(self, views: Iterable[NodeView]) -> None:
        if not self._client.is_connected():
            return  # all of it goes out when it is back
        wanted: dict[str, bytes] = {}
        for view in views:
            wanted |= messages(view)
        with self._lock:
            gone = self._kept.keys() - wanted.keys()
            changes = {topic: b"" for topic in sorted(gone)}  # configurations first: they sort before the states
            changes |= {topic: payload for topic, payload in wanted.items() if self._kept.get(topic) != payload}
            self._kept = wanted
        for topic, payload in changes.items():
            self._client.publish(topic, payload, 1, True)

    def _connected(self, made: mqtt.Client, *_: object) -> None:
        with self._lock:
            self._kept.clear()
        made.subscribe([(name, 1) for name in _OWN])
        made.publish(_ALIVE, "online", 1, True)

    def _retained(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        if message.retain:  # as it was when we connected; what we publish ourselves comes without the flag
            with self._lock:
                self._kept.setdefault(message.topic, bytes(message.payload))


def messages(view: NodeView) -> dict[str, bytes]:
    """By topic: a configuration for each entity, and the state that all of them read."""
    place = " ".join(part for part in (view.machine, view.point) if part)
    own, state = f"{view.site}_{view.name}", f"{PREFIX}/whir/{view.site}/{view.name}/state"
    device = {
        "identifiers": [f"whir_{own}"],
        "name": place,
        "manufacturer": "Whir",
        "suggested_area": view.site,
        **({"model": view.hardware} if view.hardware else {}),
    }
    bridge = {"topic": _ALIVE}
    node = {"topic": state, "value_template": "{{ 'online' if value_json.online else 'offline' }}"}
    found: dict[str, bytes] = {}
    for name, (component, more) in _ENTITIES.items():
        config = {
            **more,
            "unique_id": f"whir_{own}_{name}",
            "state_topic": state,
            "availability": [bridge, node] if name == "velocity" else [bridge],
            "availability_mode": "all",
            "device": device,
            "origin": {"name": "Whir", "sw_version": metadata.version("whir")},
            **({"json_attributes_topic": state} if "json_attributes_template" in more else {}),
        }
        found[f"{PREFIX}/{component}/whir/{own}_{name}/config"] = _json(config)
    about = {"node": view.name, "model": view.model, "verdict": view.verdict, "probability": view.p}
    alert = {"severity": view.severity, "faults": view.faults}
    found[state] = _json(
        {"online": view.online, "state": view.state, "velocity": view.velocity, "about": about, "alert": alert}
    )
    return found


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
