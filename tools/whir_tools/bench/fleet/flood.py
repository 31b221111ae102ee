"""Many nodes behind one MQTT connection, as fast as the broker takes it: fills queues, and shows what a kill on the way loses.

    python -m whir_tools.bench.fleet.flood PORT USER NODES TELEMETRY_PER_NODE ALERTS_PER_NODE   (password on stdin)

Prints `sent <n>` as it goes and at the end one line of JSON: what was sent, what had to be sent again.
"""

from __future__ import annotations

import json
import sys
import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from whir_node.swarm_node import Outgoing, ProtocolNode
from whir_tools.bench.fleet.errors import TooLongError

SITE = "flood"
UNACKED_MAX = 2000
GIVE_UP_S = 120.0


class Flood:
    """Publishes for all its nodes; paho's thread brings PUBACKs and receipts."""

    def __init__(self, port: int, user: str, password: str, nodes: int) -> None:
        self.nodes = {name: ProtocolNode(SITE, name) for name in (f"n{i:03d}" for i in range(nodes))}
        self.sent = self.acked = 0
        self._lock = threading.Lock()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="flood", clean_session=False)
        self.client.username_pw_set(user, password)
        self.client.max_inflight_messages_set(1000)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = lambda client, *_: client.subscribe(f"whir/v1/{SITE}/+/cmd", 1)
        self.client.on_message = self._command
        self.client.on_publish = self._puback
        self.client.connect("127.0.0.1", port, 10)
        self.client.loop_start()

    @property
    def unreceipted(self) -> int:
        return sum(node.unreceipted for node in self.nodes.values())

    def _command(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        with self._lock:
            self.nodes[message.topic.split("/")[3]].receive(bytes(message.payload))

    def _puback(self, *_: object) -> None:
        self.acked += 1

    def statuses(self) -> None:
        for node in self.nodes.values():
            self._publish(node.status(time.time()))

    def round(self, alert: str | None) -> None:
        """One telemetry of every node, and a raise of this fault where one is given."""
        for node in self.nodes.values():
            self._publish(node.telemetry(time.time()))
            if alert:
                with self._lock:
                    raised, _ = node.alert(time.time(), alert)
                self._publish(raised)

    def resend(self) -> None:
        with self._lock:
            late = [message for node in self.nodes.values() for message in node.late(time.time())]
        for message in late:
            self._publish(message)

    def _publish(self, message: Outgoing) -> None:
        give_up = time.monotonic() + GIVE_UP_S
        while self.sent - self.acked > UNACKED_MAX:
            if time.monotonic() > give_up:
                raise TooLongError(f"the broker takes nothing: not within {GIVE_UP_S:.0f} s")
            time.sleep(0.002)
        self.sent += 1
        self.client.publish(message.topic, message.payload, 1)


def main() -> None:
    port, user, nodes, telemetry, alerts = int(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:6])
    flood = Flood(port, user, sys.stdin.readline().strip(), nodes)
    flood.statuses()
    begun = time.monotonic()
    for i in range(telemetry):
        step = i * alerts // telemetry
        flood.round(f"fault-{step}" if step != (i + 1) * alerts // telemetry else None)
        if alerts:
            flood.resend()
        print("sent", (i + 1) * nodes, flush=True)
    give_up = time.monotonic() + GIVE_UP_S
    while flood.unreceipted and time.monotonic() < give_up:
        flood.resend()
        time.sleep(0.05)
    flood.statuses()  # the last number of every node, so that a loss before it shows
    while flood.acked < flood.sent and time.monotonic() < give_up:
        time.sleep(0.02)
    by_node = [node.seq for node in flood.nodes.values()]
    result = {
        "nodes": nodes,
        "messages": sum(by_node),
        "by_node": by_node,
        "resent": sum(node.resent for node in flood.nodes.values()),
        "unreceipted": flood.unreceipted,
        "unacknowledged": flood.sent - flood.acked,
        "seconds": time.monotonic() - begun,
    }
    print(json.dumps(result), flush=True)
    flood.client.disconnect()
    flood.client.loop_stop()


if __name__ == "__main__":
    main()
