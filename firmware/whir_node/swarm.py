"""Many nodes on one event loop, each with an MQTT connection, a last will and a beat of its own: what a plant says.

An `update` is carried out by the real core, which is booted for it (`swarm_update`).

SwarmError(RuntimeError)    too few open files for so many nodes; the broker refuses one
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import httpx
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from tenacity import retry, retry_if_exception, stop_after_attempt

from whir_node.download import ATTEMPTS, WAIT, may_pass
from whir_node.mqtt import BrokerAddress
from whir_node.swarm_node import Outgoing, ProtocolNode
from whir_node.swarm_update import CoreUpdate, Factory

_FILES_BESIDE = 256
_KEEPALIVE_S = 60
_READY_S = 120.0
_RECONNECT_S = (1.0, 3.0)
_SETTLE_S = 60.0  # for what is still under way at the end
_DOWNLOADS = 16  # at a time; a plant's uplink is no wider
_CORES = 256  # at a time, 860 KB of flash each


class SwarmError(RuntimeError):
    """Too few open files for so many nodes, or the broker refuses one."""


@dataclass(frozen=True, slots=True)
class SwarmSettings:
    """`telemetry_s`, `alert_s`: one message each so many seconds; alerts are raises and clears in turn. 0 = none.

    Of `failing_percent` of the nodes the line spoils each download, `silent_percent` never answer an update.
    """

    broker: BrokerAddress
    password: str | None
    site: str
    nodes: int
    telemetry_s: float
    alert_s: float
    failing_percent: float = 0
    silent_percent: float = 0
    factory: Factory | None = None


def bad_places(nodes: int, failing_percent: float, silent_percent: float) -> tuple[frozenset[int], frozenset[int]]:
    """Places of failing and of silent nodes, at least one of each that is asked for, spread evenly over all."""
    failing, silent = (max(1, round(nodes * p / 100)) if p else 0 for p in (failing_percent, silent_percent))
    places = [(2 * i + 1) * nodes // (2 * (failing + silent)) for i in range(failing + silent)]
    last = {(2 * i + 1) * len(places) // (2 * silent) for i in range(silent)}
    return (
        frozenset(place for i, place in enumerate(places) if i not in last),
        frozenset(place for i, place in enumerate(places) if i in last),
    )


class Member:
    """One node of the swarm and its connection."""

    def __init__(self, swarm: Swarm, place: int) -> None:
        self.node = ProtocolNode(swarm.settings.site, f"n{place:05d}")
        if swarm.settings.factory is not None:
            self.node.model, self.node.hardware = swarm.settings.factory.model, swarm.settings.factory.hardware
        self._swarm = swarm
        self._place = place
        self._updates: set[str] = set()
        self.ready = asyncio.Event()
        self.unacked = 0
        self.reconnects = 0
        self.client = client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"{self.node.site}-{self.node.name}")
        if swarm.settings.broker.user is not None:
            client.username_pw_set(swarm.settings.broker.user, swarm.settings.password)
        loop = swarm.loop
        # paho without a thread: the loop says when its socket may be read or written
        client.on_socket_open = lambda c, _, sock: loop.add_reader(sock, c.loop_read)
        client.on_socket_close = self._closed
        client.on_socket_register_write = lambda c, _, sock: loop.add_writer(sock, c.loop_write)
        client.on_socket_unregister_write = self._written
        client.on_connect = lambda _c, _d, _f, reason, _p: self._connected(reason)
        client.on_subscribe = lambda *_: self._greet()
        client.on_publish = lambda *_: self._puback()
        client.on_message = lambda _c, _d, message: self._command(bytes(message.payload))
        client.on_disconnect = lambda *_: self._lost()

    def _closed(self, _client: mqtt.Client, _data: object, sock: Any) -> None:
        self._swarm.loop.remove_reader(sock)

    def _written(self, _client: mqtt.Client, _data: object, sock: Any) -> None:
        self._swarm.loop.remove_writer(sock)

    def connect(self) -> None:
        will = self.node.will()
        self.client.will_set(will.topic, will.payload, 1, will.retain)
        broker = self._swarm.settings.broker
        self.client.connect(broker.host, broker.port, _KEEPALIVE_S)

    def _connected(self, reason: Any) -> None:
        if reason.is_failure:
            self._swarm.fail(SwarmError(f"the broker refuses {self.node.name}: {reason}"))
        else:
            self.client.subscribe(self.node.topic("cmd"), 1)

    def _lost(self) -> None:
        if not self._swarm.ending:
            self.reconnects += 1
            self._swarm.spawn(self._reconnect())

    async def _reconnect(self) -> None:
        while True:
            await asyncio.sleep(random.uniform(*_RECONNECT_S))  # noqa: S311
            with contextlib.suppress(OSError):
                return self.connect()

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
        factory = self._swarm.settings.factory
        if command is None or command["c"] != "update" or factory is None or self._place in self._swarm.silent:
            return
        if command["id"] not in self._updates:  # the fleet may send it again
            self._updates.add(command["id"])
            self._swarm.spawn(self._update(payload, factory))

    async def _update(self, command: bytes, factory: Factory) -> None:
        async with self._swarm.cores:
            update = CoreUpdate(self._relay, self.node.keeps, self._fetch)
            after = await update.run(self.node.site, self.node.name, factory, command)
        if after is not None:
            self.node.model = after
        self.publish(self.node.status(time.time()))

    def _relay(self, topic: str, body: dict[str, Any]) -> int:
        message, number = self.node.relay(topic, time.time(), body)
        self.publish(message)
        return number

    async def _fetch(self, url: str) -> bytes:
        bundle = await self._swarm.fetch(url)
        if self._place in self._swarm.failing:
            bundle[len(bundle) // 2] ^= 1
        return bytes(bundle)

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
        self.failing, self.silent = bad_places(settings.nodes, settings.failing_percent, settings.silent_percent)
        self.cores = asyncio.Semaphore(_CORES)
        self._http = http
        self._downloads = asyncio.Semaphore(_DOWNLOADS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self.ending = False
        self.members = [Member(self, place) for place in range(settings.nodes)]

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.fail(task.exception() or SwarmError("a task ended"))

    def fail(self, error: BaseException) -> None:
        """It ends with this; the first one counts."""
        self._failure = self._failure or error

    @retry(retry=retry_if_exception(may_pass), stop=stop_after_attempt(ATTEMPTS), wait=WAIT, reraise=True)
    async def fetch(self, url: str) -> bytearray:
        """httpx.HTTPError, when it was tried often enough."""
        async with self._downloads:
            answer = await self._http.get(url)
            answer.raise_for_status()
            return bytearray(answer.content)

    async def run(self, ended: asyncio.Event, connected: Callable[[], None]) -> dict[str, Any]:
        """Connects all, calls `connected`, beats until `ended`, waits for receipts, says goodbye. Returns what was sent."""
        self.spawn(self._housekeeping())
        for member in self.members:
            member.connect()
            await asyncio.sleep(0.002)  # the broker's backlog of new connections is short
        for member in self.members:
            await asyncio.wait_for(member.ready.wait(), _READY_S)
        connected()
        beats = [self.spawn(member.beat()) for member in self.members]
        begun = time.monotonic()
        while not ended.is_set() and self._failure is None:
            await asyncio.sleep(0.1)
        seconds = time.monotonic() - begun
        for beat in beats:
            beat.cancel()
        await self._settle()
        self.ending = True
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
            "reconnects": sum(member.reconnects for member in self.members),
            "resent": sum(node.resent for node in nodes),
            "unreceipted": sum(node.unreceipted for node in nodes),
        }


def raise_file_limit(nodes: int) -> None:
    """Sockets are files: lifts this process's soft limit where the hard one allows it. SwarmError where it does not."""
    wanted = nodes + _FILES_BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise SwarmError(f"{nodes} nodes need {wanted} open files, the limit is {hard}: ulimit -Hn {wanted}")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def run(settings: SwarmSettings, seconds: float | None, connected: Callable[[], None]) -> dict[str, Any]:
    """For so long after all are connected, or (None) until SIGTERM or Ctrl-C. What was sent, by node and by topic."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)

    def begun() -> None:
        connected()
        if seconds is not None:
            loop.call_later(seconds, ended.set)

    async with httpx.AsyncClient(timeout=120) as http:
        return await Swarm(settings, loop, http).run(ended, begun)
