"""Ingest: from the broker into the database. A message is acknowledged to the broker only after its commit."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import paho.mqtt.client as mqtt
from paho.mqtt.reasoncodes import ReasonCode
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, StatementError

from whir_contracts import contract
from whir_fleet import leases
from whir_fleet.clock import now_ms
from whir_fleet.db import Database
from whir_fleet.errors import BrokerError, LeaseLostError
from whir_fleet.link import BrokerAddress, client, connect
from whir_fleet.messages import TOPICS, Inbound, receipts, topic
from whir_fleet.settings import Settings
from whir_fleet.store import Stored, bury, store

log = logging.getLogger("whir.fleet.ingest")

LEASE = "ingest"
_RETRY_S = 0.5


@dataclass(frozen=True, slots=True)
class _Received:
    inbound: Inbound
    mid: int
    connection: int  # message ids mean nothing on the next connection


@dataclass
class Counters:
    """Since the start of this process."""

    new: int = 0
    duplicates: int = 0
    unreadable: int = 0
    batches: int = 0


class Ingest:
    """One elected consumer with a persistent session. A second process with another instance name waits as a hot standby."""

    def __init__(self, settings: Settings, database: Database, address: BrokerAddress, wake: Callable[[], None] = lambda: None):
        self.counters = Counters()
        self._settings = settings
        self._database = database
        self._address = address
        self._wake = wake
        self._queue: queue.Queue[_Received] = queue.Queue()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._connection = 0
        self._connected = threading.Event()
        self._standby = threading.Event()
        self._refusal: str | None = None
        self._fence = 0
        self._renewed_ms = 0

    @property
    def connected(self) -> bool:
        return self._connected.is_set()

    @property
    def standby(self) -> bool:
        """Another process does the work; this one waits for its lease."""
        return self._standby.is_set()

    def stop(self) -> None:
        self._stop.set()

    def run(self) -> None:
        """Until `stop()`. LeaseLostError when another process took over: this one has written nothing since."""
        if not self._elect():
            return
        # One name for whoever is elected: the successor finds what was queued for its predecessor.
        self._client = client(self._address, "whir-fleet-ingest", persistent=True)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        connect(self._client, self._address)
        self._client.loop_start()
        try:
            while not self._stop.is_set():
                if self._refusal is not None:
                    raise BrokerError(f"broker {self._address.url} refuses us: {self._refusal}; check user name and password")
                self._renew()
                batch = self._collect()
                if batch:
                    self._commit(batch)
        finally:
            self._client.disconnect()
            self._client.loop_stop()
            self._connected.clear()
            with self._database.write() as session:
                leases.release(session, LEASE, self._fence)

    def _elect(self) -> bool:
        holder = f"ingest-{self._settings.instance}"
        while not self._stop.is_set():
            with self._database.write() as session:
                fence = leases.acquire(session, LEASE, holder, now_ms())
            if fence is not None:
                self._fence, self._renewed_ms = fence, now_ms()
                self._standby.clear()
                return True
            if not self.standby:
                log.info("another ingest holds the lease; waiting as a standby")
                self._standby.set()
            self._stop.wait(1.0)
        return False

    def _renew(self) -> None:
        now = now_ms()
        if now - self._renewed_ms > leases.RENEW_MS:
            with self._database.write() as session:
                leases.renew(session, LEASE, self._fence, now)
            self._renewed_ms = now

    def _collect(self) -> list[_Received]:
        """The next micro-batch: what is there, or what comes within `linger_ms` of the first."""
        try:
            batch = [self._queue.get(timeout=0.5)]
        except queue.Empty:
            return []
        until = time.monotonic() + self._settings.linger_ms / 1000
        while len(batch) < self._settings.batch_max:
            try:
                batch.append(self._queue.get(timeout=max(0.0, until - time.monotonic())))
            except queue.Empty:
                break
        return batch

    def _commit(self, batch: list[_Received]) -> None:
        stored = self._store([received.inbound for received in batch])
        if stored is None:
            return  # stopped while the database was away: nothing acknowledged, the broker has it all
        for (site, node), committed in stored.receipts.items():
            for payload in receipts(committed):
                self._client.publish(topic(site, node, "cmd"), payload, qos=1)
        with self._lock:
            for received in batch:
                if received.connection == self._connection:
                    self._client.ack(received.mid, 1)
        self.counters.new += stored.new
        self.counters.duplicates += stored.duplicates
        self.counters.unreadable += stored.unreadable
        self.counters.batches += 1
        if stored.wake_worker:
            self._wake()

    def _store(self, batch: list[Inbound]) -> Stored | None:
        """Commits the batch. While the database is away it tries again: the messages stay with the broker meanwhile."""
        while not self._stop.is_set():
            try:
                with self._database.write() as session:
                    leases.check(session, LEASE, self._fence)
                    return store(session, batch, self._settings.dead_letters_max, self._settings.enrolled_only)
            except (OperationalError, InterfaceError) as error:
                log.warning("database: %s; trying again", error.orig)
                self._stop.wait(_RETRY_S)
            except LeaseLostError:
                raise
            except (StatementError, DBAPIError) as error:
                if len(batch) > 1:
                    return self._one_by_one(batch)
                log.error("message on %s cannot be stored: %s", batch[0].topic, error)
                with self._database.write() as session:
                    bury(session, batch[0], f"cannot be stored: {error.__class__.__name__}")
                return Stored(unreadable=1)
        return None

    def _one_by_one(self, batch: list[Inbound]) -> Stored | None:
        """One message breaks the batch: find it, so that the others are not held up."""
        total = Stored()
        for message in batch:
            one = self._store([message])
            if one is None:
                return None
            total.new += one.new
            total.duplicates += one.duplicates
            total.unreadable += one.unreadable
            total.wake_worker |= one.wake_worker
            for name, committed in one.receipts.items():
                total.receipts[name] += committed
        return total

    def _on_connect(
        self, made: mqtt.Client, _data: object, flags: mqtt.ConnectFlags, reason: ReasonCode, _properties: object
    ) -> None:
        if reason.is_failure:
            if self._connection == 0:  # wrong account: no use in trying again
                self._refusal = str(reason)
            log.error("broker %s refuses us: %s", self._address.url, reason)
            return
        with self._lock:
            self._connection += 1
        log.info("connected to %s, session %s", self._address.url, "resumed" if flags.session_present else "new")
        made.subscribe([(f"{contract.TOPIC_PREFIX}/+/+/{name}", 1) for name in TOPICS])
        self._connected.set()

    def _on_disconnect(
        self, _client: mqtt.Client, _data: object, _flags: object, reason: ReasonCode, _properties: object
    ) -> None:
        with self._lock:
            self._connection += 1
        self._connected.clear()
        if not self._stop.is_set():
            log.warning("broker %s: connection lost (%s); trying again", self._address.url, reason)

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        try:
            name = message.topic
        except UnicodeDecodeError:  # paho decodes late; MQTT forbids it, a broker should not let it through
            name = ""
        self._queue.put(_Received(Inbound(name, bytes(message.payload), now_ms()), message.mid, self._connection))
