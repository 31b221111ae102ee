"""Runs a virtual node against a real broker and real HTTP: replay in, MQTT out, one loop, the clock injected.

    with NodeRunner(config, replay, broker, password, public_keys=keys, first_bundle=bundle) as runner:
        runner.run(stop)

`speed` is how much faster than real time the node's clock runs. Only at speed 1 does the node learn the wall clock
(`synced`); faster, its timestamps count from its boot.
"""

from __future__ import annotations

import math
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from whir_contracts.contract import Severity
from whir_node.download import Download
from whir_node.errors import CoreError
from whir_node.mqtt import BrokerAddress, BrokerRefusedError, Command, Down, MqttConnection, Refused, Up
from whir_node.node import NodeConfig, PowerError, Store, Verdict, VirtualNode
from whir_node.replay import Block, Replay

BLOCK_MS = 50  # of the node's clock at speed 1
BLOCK_MS_MAX = 400
OFF_S = 0.5  # how long a node whose power was cut stays off, real time


class Observer:
    """What a runner tells; override what is of interest. Called from the runner's thread."""

    def on_link(self, up: bool, reason: str) -> None:
        """The connection came up or went down."""

    def on_message(self, topic: str, payload: bytes) -> None:
        """The node published something."""

    def on_verdict(self, verdict: Verdict, label: str) -> None:
        """A verdict, and the label of the recording that was playing."""

    def on_output(self, severity: Severity) -> None:
        """The local alarm changed."""

    def on_identify(self, seconds: int) -> None:
        """The board is to show itself for so long."""

    def on_power(self, on: bool) -> None:
        """The power was cut, or the node has booted again."""


class NodeRunner:
    """One virtual node, its connection, its replay.

    Args:
        config: its sensor must be the replay's.
        flash: file that keeps the flash, None = in memory.
        first_bundle: for a blank flash.
        speed: node seconds per real second.
        tls: gives what `MqttConnection` takes, at each start of the node; None connects in the open.
        store: as VirtualNode takes it.

    Raises:
        the errors of VirtualNode.
    """

    def __init__(
        self,
        config: NodeConfig,
        replay: Replay,
        broker: BrokerAddress,
        password: str | None,
        *,
        public_keys: Mapping[int, ec.EllipticCurvePublicKey],
        flash: Path | None = None,
        first_bundle: bytes | None = None,
        speed: float = 1.0,
        observer: Observer | None = None,
        tls: Callable[[VirtualNode], ssl.SSLContext] | None = None,
        store: Store | None = None,
    ) -> None:
        self._tls = tls
        self.config = config
        self.observer = observer or Observer()
        self._replay = replay
        self._broker = broker
        self._password = password
        self._speed = speed
        # paho asks for the last will from its own thread; the core knows one task only
        self._lock = threading.RLock()
        self._connection: MqttConnection | None = None
        self._download: Download | None = None
        # how a bundle is fetched; replaced where a bad line is to be played
        self.open_download: Callable[[str, int], Download] = Download
        self._held: bytes | None = None
        self._last_will = b""
        self._was_up = False
        self.node = VirtualNode(
            config,
            public_keys=public_keys,
            link=self,
            flash=flash,
            first_bundle=first_bundle,
            output=self.observer.on_output,
            identify=self.observer.on_identify,
            store=store,
        )

    def __enter__(self) -> NodeRunner:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Drops the connection if it still stands, and frees the node."""
        self._power_off()
        self.node.close()

    # --- the node's link seam ---

    def publish(self, topic: str, payload: bytes, retained: bool) -> bool:
        sent = self._connection is not None and self._connection.publish(topic, payload, retained)
        if sent:
            self.observer.on_message(topic, payload)
        return sent

    def fetch(self, url: str, size: int) -> bool:
        if self._download is not None:
            return False
        self._download = self.open_download(url, size)
        return True

    # --- the loop ---

    def run(self, stop: threading.Event) -> None:
        """Plays the replay to its end, or until `stop` is set; then takes leave of the broker.

        Raises:
            BrokerRefusedError: the broker does not take user or password at the first connection.
        """
        block_ms = min(BLOCK_MS * max(self._speed, 1.0), BLOCK_MS_MAX)
        frames = max(1, round(block_ms * self.config.sensor.rate_mhz / 1e6))
        self._power_on()
        begun, played = time.monotonic(), 0
        for block in self._replay.blocks(frames):
            with self._lock:
                self._turn(block)
            played += len(block.samples)
            behind = begun + played * 1000 / self.config.sensor.rate_mhz / self._speed - time.monotonic()
            if stop.wait(max(0.0, behind)):
                break
        self._leave()

    def _turn(self, block: Block) -> None:
        if not self.node.powered:
            self._power_cycle("power_cut")
        elif self.node.restart_asked:
            self._power_cycle("software")
        self._take_events()
        self._feed_bundle()
        if self.node.powered and block.spliced:
            self.node.gap()
        if self.node.powered:
            if math.isnan(self.config.machine.rpm):  # nobody has stated it: a tachometer would tell what was measured
                self.node.speed(block.rpm)
            for verdict in self.node.push(block.samples):
                self.observer.on_verdict(verdict, block.label)

    def _take_events(self) -> None:
        assert self._connection is not None
        while not self._connection.events.empty() and self.node.powered:
            event = self._connection.events.get()
            if isinstance(event, Command):
                self.node.command(event.payload)
            elif isinstance(event, Up):
                self._was_up = True
                self.observer.on_link(True, "")
                self.node.connected(True)
            elif isinstance(event, Down):
                self.observer.on_link(False, event.reason)
                self.node.connected(False)
            elif isinstance(event, Refused):
                self.observer.on_link(False, event.reason)
                if not self._was_up:
                    raise BrokerRefusedError(
                        f"{self._broker}: the broker refuses {self._broker.user or 'no user'}: {event.reason}"
                    )

    def _feed_bundle(self) -> None:
        download = self._download
        while download is not None and self.node.powered:
            self._held = self._held or download.next()
            try:
                if self._held is None and download.done:
                    self._download = None
                    self.node.bundle_end(failed=download.error is not None)
                    return
                if self._held is None or not self.node.bundle_data(self._held):
                    return
                self._held = None
            except (CoreError, PowerError):  # refused, and the node says why in an event; or its power was cut
                self._stop_download()
                return

    def _stop_download(self) -> None:
        if self._download is not None:
            self._download.stop()
        self._download = None
        self._held = None

    # --- power ---

    def _power_on(self) -> None:
        if self._speed == 1.0:
            self.node.set_clock(time.time_ns() // 1_000_000)
        tls = None if self._tls is None else self._tls(self.node)
        self._connection = MqttConnection(self.config.site, self.config.name, self._broker, self._password, self._will, tls)
        self._connection.start()

    def _will(self) -> bytes:
        with self._lock:
            if self.node.powered:  # else this connection is about to be dropped
                self._last_will = self.node.will()
            return self._last_will

    def _power_off(self) -> None:
        self._stop_download()
        if self._connection is not None:
            self._connection.drop()
            self._connection = None

    def _power_cycle(self, reason: str) -> None:
        """The power was cut while the node wrote, or a command restarts it: off for a while, then it boots from its flash."""
        connection, self._connection = self._connection, None
        self._stop_download()
        self.observer.on_power(False)
        self._lock.release()  # paho's thread may be waiting for it, and is about to be stopped
        try:
            if connection is not None:
                connection.drop()
            time.sleep(OFF_S)
        finally:
            self._lock.acquire()
        self.node.reboot(reason)
        self.observer.on_power(True)
        self._power_on()

    def _leave(self) -> None:
        self._stop_download()
        if self._connection is None:
            return
        with self._lock:
            if self.node.powered:
                self.node.stop()
        self._connection.stop()
        self._connection = None
