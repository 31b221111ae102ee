"""Sparkplug B: each site is an edge node with a session of its own, each node in service one of its devices.

A session begins with NBIRTH, then DBIRTH for each device that is online; DDATA has what changed, DDEATH tells of one that goes.
The broker holds our NDEATH as the session's last will, with NBIRTH's bdSeq. `seq` counts over all messages of the edge node,
from NBIRTH's 0 on, modulo 256.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Final

import paho.mqtt.client as mqtt

from whir_fleet.bridge.sparkplug_payload import BOOLEAN, DOUBLE, INT64, STRING, Metric, encode, flags
from whir_fleet.bridge.view import NodeView
from whir_fleet.clock import now_ms
from whir_fleet.link import BrokerAddress, client, connect

log = logging.getLogger("whir.fleet.sparkplug")

_NAMESPACE: Final = "spBv1.0"
_REBIRTH: Final = "Node Control/Rebirth"
_COUNTS_TO: Final = 256


class Sparkplug:
    """`show()` brings all edge nodes up to date; the account may write below `spBv1.0/` and read its NCMD."""

    def __init__(self, address: BrokerAddress, group: str) -> None:
        self._address, self._group = address, group
        self._edges: dict[str, EdgeNode] = {}

    def start(self) -> None:
        """Sessions begin with the first look at their site."""

    def stop(self) -> None:
        for edge in self._edges.values():
            edge.stop()

    def show(self, views: Iterable[NodeView]) -> None:
        found = {site: list(nodes) for site, nodes in groupby(views, lambda view: view.site)}
        for site in found.keys() - self._edges.keys():
            self._edges[site] = edge = EdgeNode(self._address, self._group, site)
            edge.start()
        for site, edge in self._edges.items():
            edge.show({view.name: metrics(view) for view in found.get(site, []) if view.online})


class EdgeNode:
    """One session."""

    def __init__(self, address: BrokerAddress, group: str, name: str, clock: Callable[[], int] = now_ms) -> None:
        self._address, self._clock = address, clock
        self._topic = f"{_NAMESPACE}/{group}/{{kind}}/{name}"
        self._bd_seq, self._seq = -1, 0
        self._devices: dict[str, dict[str, Metric]] = {}  # as they were told last, in this session
        self._born = threading.Event()
        self._subscribed = threading.Event()
        self._client = client(address, f"whir-fleet-sparkplug-{name}", persistent=False)
        self._client.on_pre_connect = self._before
        self._client.on_connect = self._connected
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._command

    def start(self) -> None:
        connect(self._client, self._address)
        self._client.loop_start()

    def stop(self) -> None:
        """A session that is ended in order has no last will, so its death is told before."""
        if self._client.is_connected() and self._born.is_set():
            self._client.publish(self._topic.format(kind="NDEATH"), self._death(), 1).wait_for_publish(5)
        self._client.disconnect()
        self._client.loop_stop()

    def show(self, devices: dict[str, dict[str, Metric]]) -> None:
        """What the devices that are online say now; the others are dead."""
        if not self._client.is_connected() or not self._subscribed.is_set():
            return
        if not self._born.is_set():
            self._born.set()
            self._seq, self._devices = 0, {}
            self._publish("NBIRTH", None, {"bdSeq": (INT64, self._bd_seq, None), _REBIRTH: (BOOLEAN, False, None)})
        for name in self._devices.keys() - devices.keys():
            self._publish("DDEATH", name, {})
            del self._devices[name]
        for name, now in devices.items():
            before = self._devices.get(name)
            changed = now if before is None else {key: metric for key, metric in now.items() if before[key] != metric}
            if changed:
                self._publish("DBIRTH" if before is None else "DDATA", name, changed)
                self._devices[name] = now

    def _publish(self, kind: str, device: str | None, values: dict[str, Metric]) -> None:
        topic = self._topic.format(kind=kind) + (f"/{device}" if device else "")
        self._client.publish(topic, encode(self._clock(), values, self._seq), 0)
        self._seq = (self._seq + 1) % _COUNTS_TO

    def _death(self) -> bytes:
        return encode(self._clock(), {"bdSeq": (INT64, self._bd_seq, None)}, None)

    def _before(self, made: mqtt.Client, _data: object) -> None:
        """Each connection has a last will of its own."""
        self._born.clear()
        self._subscribed.clear()
        self._bd_seq = (self._bd_seq + 1) % _COUNTS_TO
        made.will_set(self._topic.format(kind="NDEATH"), self._death(), 1, False)

    def _connected(self, made: mqtt.Client, *_: object) -> None:
        made.subscribe(self._topic.format(kind="NCMD"), 1)

    def _command(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        try:
            if flags(bytes(message.payload)).get(_REBIRTH):
                self._born.clear()  # with the next look
        except ValueError as error:
            log.warning("%s: %s", message.topic, error)


def metrics(view: NodeView) -> dict[str, Metric]:
    """Always the same names: DBIRTH has to name all that DDATA ever will."""
    return {
        "State": (STRING, view.state, None),
        "Machine": (STRING, view.machine, None),
        "Point": (STRING, view.point, None),
        "Model": (STRING, view.model, None),
        "Verdict": (STRING, view.verdict, None),
        "Probability": (DOUBLE, view.p, None),
        "Velocity": (DOUBLE, view.velocity, "mm/s"),
        "Alert/Severity": (STRING, view.severity, None),
        "Alert/Faults": (STRING, ", ".join(view.faults), None),
    }
