"""Many nodes at protocol level behind one MQTT connection: QoS 1, one counter over all topics, alerts kept until their receipt.

    python swarm.py PORT USER NODES TELEMETRY_PER_NODE ALERTS_PER_NODE   (password on stdin)

Prints `sent <n>` as it goes and at the end one line of JSON: what was sent, what had to be sent again.
"""

from __future__ import annotations

import json
import sys
import threading
import time

import paho.mqtt.client as mqtt

SITE = "swarm"
UNACKED_MAX = 2000
RESEND_S = 3.0
GIVE_UP_S = 120.0


class Swarm:
    def __init__(self, port: int, user: str, password: str, nodes: int) -> None:
        self.seq = [0] * nodes
        self.sent = self.acked = self.resent = 0
        self.pending: dict[tuple[str, int], tuple[bytes, float]] = {}
        self.lock = threading.Lock()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="swarm", clean_session=False)
        self.client.username_pw_set(user, password)
        self.client.max_inflight_messages_set(1000)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = lambda client, *_: client.subscribe(f"whir/v1/{SITE}/+/cmd", 1)
        self.client.on_message = self._command
        self.client.on_publish = self._puback
        self.client.connect("127.0.0.1", port, 10)
        self.client.loop_start()

    def _command(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        body = json.loads(message.payload)
        if body["c"] == "receipt":
            node = message.topic.split("/")[3]
            with self.lock:
                for seq in body["seq"]:
                    self.pending.pop((node, seq), None)

    def _puback(self, *_: object) -> None:
        self.acked += 1

    def send(self, node: int, topic: str, **fields: object) -> None:
        self.seq[node] += 1
        seq, name = self.seq[node], f"n{node:03d}"
        body = {"v": 1, "boot": 1, "seq": seq, "ts": int(time.time() * 1000), "synced": True, **fields}
        if topic == "alert":
            body["occurrence"] = f"{name}-1-{seq}"
        payload = json.dumps(body, separators=(",", ":")).encode()
        if topic == "alert":
            with self.lock:
                self.pending[name, seq] = (payload, time.monotonic())
        self._publish(name, topic, payload)

    def _publish(self, name: str, topic: str, payload: bytes) -> None:
        while self.sent - self.acked > UNACKED_MAX:
            time.sleep(0.002)
        self.sent += 1
        self.client.publish(f"whir/v1/{SITE}/{name}/{topic}", payload, 1)

    def resend(self) -> None:
        now = time.monotonic()
        with self.lock:
            late = [(key, payload) for key, (payload, at) in self.pending.items() if now - at > RESEND_S]
            for key, payload in late:
                self.pending[key] = (payload, now)
        for (name, _), payload in late:
            self.resent += 1
            self._publish(name, "alert", payload)


def main() -> None:
    port, user, nodes, telemetry, alerts = int(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:6])
    swarm = Swarm(port, user, sys.stdin.readline().strip(), nodes)
    status = {"conn": 1, "state": "ok", "next_s": 60, "hardware": "host", "model": "m", "model_version": "1", "counter": 1}
    for node in range(nodes):
        swarm.send(node, "status", **status)
    begun = time.monotonic()
    for i in range(telemetry):
        for node in range(nodes):
            swarm.send(
                node, "telemetry", next_s=60, verdict="normal", p=940, windows=8, quality=0, novelty=None, zone=None, rms=31,
                unit="g", classes={"normal": 940, "imbalance": 40, "bearing": 20}, model="m", counter=1, slot="a",
            )  # fmt: skip
            if i * alerts // telemetry != (i + 1) * alerts // telemetry:
                fault = f"fault-{i * alerts // telemetry}"
                swarm.send(node, "alert", state="active", severity="warning", verdict=fault, p=910, model="m", counter=1)
        swarm.resend()
        print("sent", (i + 1) * nodes, flush=True)
    give_up = time.monotonic() + GIVE_UP_S
    while swarm.pending and time.monotonic() < give_up:
        swarm.resend()
        time.sleep(0.05)
    for node in range(nodes):  # the last number of every node, so that a loss before it shows
        swarm.send(node, "status", **status)
    while swarm.acked < swarm.sent and time.monotonic() < give_up:
        time.sleep(0.02)
    seconds = time.monotonic() - begun
    result = {
        "nodes": nodes,
        "messages": sum(swarm.seq),
        "by_node": swarm.seq,
        "resent": swarm.resent,
        "unreceipted": len(swarm.pending),
        "seconds": seconds,
    }
    print(json.dumps(result), flush=True)
    swarm.client.disconnect()
    swarm.client.loop_stop()


if __name__ == "__main__":
    main()
