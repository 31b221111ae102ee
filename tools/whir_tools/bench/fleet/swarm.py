"""Many nodes on one event loop, each with an MQTT connection, a last will and a beat of its own; they answer `update`.

    python -m whir_tools.bench.fleet.swarm   (settings as one line of JSON on stdin; the end of stdin ends it)

Prints `connected`, and after the end one line of JSON: what was sent, by node and by topic.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from whir_node.bundle import inspect
from whir_node.crypto import load_public_key
from whir_tools.bench.fleet.errors import FleetBenchError
from whir_tools.bench.fleet.node import Outgoing, ProtocolNode

_FILES_PER_NODE = 4
_KEEPALIVE_S = 60
_SETTLE_S = 60.0  # for what is still under way at the end
_DOWNLOADS = 16  # at a time; a plant's uplink is no wider
_TRIAL_S = (0.3, 1.5)  # a node proves a bundle in about that


@dataclass(frozen=True, slots=True)
class SwarmSettings:
    """`telemetry_s`, `alert_s`: one message each so many seconds; alerts are raises and clears in turn. 0 = none.

    `failing` and `silent` are places of nodes that refuse an update, and that never answer one. `key_file`, `key_id`: the
    public key under which nodes accept a bundle.
    """

    port: int
    user: str
    password: str
    site: str
    nodes: int
    telemetry_s: float
    alert_s: float
    failing: tuple[int, ...] = ()
    silent: tuple[int, ...] = ()
    key_file: str = ""
    key_id: int = 0


class Member:
    """One node of the swarm and its connection."""

    def __init__(self, swarm: Swarm, place: int) -> None:
        self.node = ProtocolNode(swarm.settings.site, f"n{place:05d}")
        self._swarm = swarm
        self._place = place
        self._updates: set[str] = set()
        self.ready = asyncio.Event()
        self.unacked = 0
        self.client = client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"{self.node.site}-{self.node.name}")
        client.username_pw_set(swarm.settings.user, swarm.settings.password)
        loop = swarm.loop
        # paho without a thread: the loop says when its socket may be read or written
        client.on_socket_open = lambda c, _, sock: loop.add_reader(sock, c.loop_read)
        client.on_socket_close = self._closed
        client.on_socket_register_write = lambda c, _, sock: loop.add_writer(sock, c.loop_write)
        client.on_socket_unregister_write = self._written
        client.on_connect = lambda c, *_: c.subscribe(self.node.topic("cmd"), 1)
        client.on_subscribe = lambda *_: self._greet()
        client.on_publish = lambda *_: self._puback()
        client.on_message = lambda _c, _d, message: self._command(bytes(message.payload))
        client.on_disconnect = lambda *_: swarm.disconnected()

    def _closed(self, _client: mqtt.Client, _data: object, sock: Any) -> None:
        self._swarm.loop.remove_reader(sock)

    def _written(self, _client: mqtt.Client, _data: object, sock: Any) -> None:
        self._swarm.loop.remove_writer(sock)

    def connect(self) -> None:
        will = self.node.will()
        self.client.will_set(will.topic, will.payload, 1, will.retain)
        self.client.connect("127.0.0.1", self._swarm.settings.port, _KEEPALIVE_S)

    def publish(self, message: Outgoing) -> None:
        self.unacked += 1
        self.client.publish(message.topic, message.payload, 1, message.retain)

    def _puback(self) -> None:
        self.unacked -= 1

    def _greet(self) -> None:
        self.publish(self.node.status(time.time()))
        self.ready.set()

    def _command(self, payload: bytes) -> None:
        command = self.node.receive(payload)
        if command is None or command["c"] != "update" or self._place in self._swarm.settings.silent:
            return
        self.publish(self.node.ack(time.time(), command, "accepted"))
        if command["id"] not in self._updates:  # the fleet may send it again
            self._updates.add(command["id"])
            self._swarm.spawn(self._update(command))

    async def _update(self, command: dict[str, Any]) -> None:
        """Fetch, check with the core's own code, trial, confirm: with the events of a real node."""
        action = command["id"]
        self.publish(self.node.event(time.time(), "update_started", action=action))
        data = await self._swarm.fetch(command["url"])
        info = inspect(data, self._swarm.keys)
        if self._place in self._swarm.settings.failing or len(data) != command["bytes"]:
            self.publish(self.node.event(time.time(), "update_refused", action=action, code="bundle_golden"))
            return
        model = {"model": info.model_name, "model_version": info.model_version, "counter": info.security_counter}
        self.publish(self.node.event(time.time(), "update_trial", action=action, **model))
        await asyncio.sleep(random.uniform(*_TRIAL_S))  # noqa: S311
        self.node.model = model
        self.publish(self.node.event(time.time(), "update_confirmed", action=action, **model))
        self.publish(self.node.status(time.time()))

    async def beat(self) -> None:
        """Telemetry and alerts at their intervals, from a phase of its own on, so that the fleet sees no bursts."""
        settings = self._swarm.settings
        occurrence: str | None = None
        next_telemetry = time.monotonic() + random.uniform(0, settings.telemetry_s)  # noqa: S311
        next_alert = time.monotonic() + random.uniform(0, settings.alert_s)  # noqa: S311
        while True:
            now = time.monotonic()
            if settings.telemetry_s and now >= next_telemetry:
                self.publish(self.node.telemetry(time.time()))
                next_telemetry += settings.telemetry_s
            if settings.alert_s and now >= next_alert:
                message, raised = self.node.alert(time.time(), "bearing", occurrence)
                self.publish(message)
                occurrence = None if occurrence else raised
                next_alert += settings.alert_s
            due = [at for at, on in ((next_telemetry, settings.telemetry_s), (next_alert, settings.alert_s)) if on]
            await asyncio.sleep(max(0.0, min(due, default=now + 1.0) - time.monotonic()))


class Swarm:
    def __init__(self, settings: SwarmSettings, loop: asyncio.AbstractEventLoop, http: httpx.AsyncClient) -> None:
        self.settings = settings
        self.loop = loop
        self.keys = {settings.key_id: load_public_key(Path(settings.key_file))} if settings.key_file else {}
        self._http = http
        self._downloads = asyncio.Semaphore(_DOWNLOADS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._ending = False
        self.members = [Member(self, place) for place in range(settings.nodes)]

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = self._failure or task.exception()

    def disconnected(self) -> None:
        if not self._ending:
            self._failure = self._failure or FleetBenchError("a node lost its connection to the broker")

    async def fetch(self, url: str) -> bytes:
        async with self._downloads:
            answer = await self._http.get(url)
            answer.raise_for_status()
            return answer.content

    async def run(self, ended: asyncio.Event) -> dict[str, Any]:
        """Connects all, beats until `ended`, waits for receipts, says goodbye. Returns what was sent."""
        self.spawn(self._housekeeping())
        for member in self.members:
            member.connect()
            await asyncio.sleep(0.002)  # the broker's backlog of new connections is short
        for member in self.members:
            await asyncio.wait_for(member.ready.wait(), 30)
        print("connected", flush=True)
        beats = [self.spawn(member.beat()) for member in self.members]
        begun = time.monotonic()
        while not ended.is_set() and self._failure is None:
            await asyncio.sleep(0.1)
        seconds = time.monotonic() - begun
        for beat in beats:
            beat.cancel()
        await self._settle()
        self._ending = True
        for member in self.members:
            member.client.disconnect()
        await asyncio.sleep(0.2)
        if self._failure is not None:
            raise self._failure
        return self._result(seconds)

    async def _housekeeping(self) -> None:
        """Keep-alive, and what is without a receipt for too long."""
        while True:
            for member in self.members:
                member.client.loop_misc()
                for message in member.node.late(time.time()):
                    member.publish(message)
            await asyncio.sleep(1.0)

    async def _settle(self) -> None:
        """The receipts of what was sent, and a last number of every node, so that a loss before it shows."""
        give_up = time.monotonic() + _SETTLE_S
        while any(member.node.unreceipted for member in self.members) and time.monotonic() < give_up:
            await asyncio.sleep(0.05)
        for member in self.members:
            member.publish(member.node.status(time.time()))
        while any(member.unacked for member in self.members) and time.monotonic() < give_up:
            await asyncio.sleep(0.05)
        for task in list(self._tasks):
            task.cancel()

    def _result(self, seconds: float) -> dict[str, Any]:
        nodes = [member.node for member in self.members]
        topics: Counter[str] = Counter()
        for node in nodes:
            topics.update(node.sent)
        return {
            "seconds": seconds,
            "by_node": {node.name: node.seq for node in nodes},
            "by_topic": dict(topics),
            "resent": sum(node.resent for node in nodes),
            "unreceipted": sum(node.unreceipted for node in nodes),
        }


def raise_file_limit(nodes: int) -> None:
    """Sockets are files: lifts this process's soft limit where the hard one allows it. FleetBenchError where it does not."""
    wanted = nodes * _FILES_PER_NODE + 256
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise FleetBenchError(f"{nodes} nodes need {wanted} open files, the limit is {hard}: ulimit -Hn {wanted}")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _main(settings: SwarmSettings) -> dict[str, Any]:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def read() -> None:
        if not sys.stdin.readline():
            loop.remove_reader(sys.stdin)
            ended.set()

    loop.add_reader(sys.stdin, read)
    async with httpx.AsyncClient(timeout=30) as http:
        return await Swarm(settings, loop, http).run(ended)


def main() -> None:
    settings = SwarmSettings(**json.loads(sys.stdin.readline()))
    raise_file_limit(settings.nodes)
    print(json.dumps(asyncio.run(_main(settings))), flush=True)


def as_line(settings: SwarmSettings) -> str:
    return json.dumps(asdict(settings)) + "\n"


if __name__ == "__main__":
    main()
