"""Ingest: from the broker into the database. A message is acknowledged to the broker only after its commit.

Each process has a session of its own for telemetry, which the broker deals out among all of them (`$share`; the embedded
one cannot, and has one process). What changes the state of a node, an alert or a rollout (`status`, `alert`, `event`, `ack`),
and `capture`, go through one more session, read by one elected process: it overtakes any queue of telemetry, and one node's
messages stay in order. docs/adr/0004 says why.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, fields

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, StatementError

from whir_contracts import contract
from whir_fleet import leases
from whir_fleet.clock import now_ms
from whir_fleet.db import Database
from whir_fleet.errors import BrokerError, LeaseLostError
from whir_fleet.link import CONNECT_TRIES_S, BrokerAddress
from whir_fleet.messages import CAPTURE, TOPICS, Inbound, Name, receipts, topic
from whir_fleet.metrics import Metrics
from whir_fleet.mqtt_session import RefusedError, Session, SessionError
from whir_fleet.settings import Settings
from whir_fleet.store import Stored, bury, store

log = logging.getLogger("whir.fleet.ingest")

LEASE = "ingest"
STATE_SESSION = "whir-fleet-ingest"  # one name for whoever is elected: the successor finds what was queued for its predecessor
STATE_FILTERS = [f"{contract.TOPIC_PREFIX}/+/+/{name}" for name in [*TOPICS, CAPTURE] if name != "telemetry"]
SHARED_TELEMETRY = f"$share/ingest/{contract.TOPIC_PREFIX}/+/+/telemetry"
_RETRY_S = 0.5
_RECONNECT_S = 1.0
_WAIT_S = 0.5
_DRAINED_S = 4.0  # silent for so long, the broker has nothing more; a process that still runs has long been back


def telemetry_session(instance: str) -> str:
    return f"whir-fleet-ingest-{instance}"


def telemetry_filter(address: BrokerAddress) -> str:
    """Shared among all ingest processes where the broker can."""
    return SHARED_TELEMETRY if address.shared_subscriptions else SHARED_TELEMETRY.removeprefix("$share/ingest/")


@dataclass
class Counters:
    """Since the start of this process."""

    new: int = 0
    duplicates: int = 0
    unreadable: int = 0
    batches: int = 0

    def __add__(self, other: Counters) -> Counters:
        return Counters(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


class Ingest:
    """Telemetry as one of many, and all the rest when elected. A process that is not waits for the lease meanwhile."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        address: BrokerAddress,
        wake: Callable[[], None] = lambda: None,
        metrics: Metrics | None = None,
    ) -> None:
        self._database = database
        self._holder = f"ingest-{settings.instance}"
        self._stop = threading.Event()
        self._standby = threading.Event()
        self._failure: BaseException | None = None
        parts = settings, database, address, self._stop, wake, metrics or Metrics()
        self._telemetry = _Consumer(telemetry_session(settings.instance), [telemetry_filter(address)], *parts)
        self._state = _Consumer(STATE_SESSION, STATE_FILTERS, *parts)

    @property
    def counters(self) -> Counters:
        return self._telemetry.counters + self._state.counters

    @property
    def connected(self) -> bool:
        """Messages are being stored by this process."""
        return self._telemetry.connected.is_set() and (self._state.connected.is_set() or self.standby)

    @property
    def standby(self) -> bool:
        """Another process is elected; this one takes its share of telemetry only."""
        return self._standby.is_set()

    def stop(self) -> None:
        self._stop.set()

    def run(self) -> None:
        """Until `stop()`."""
        telemetry = threading.Thread(target=self._run_telemetry, name="whir-ingest-telemetry")
        telemetry.start()
        try:
            self._run_state()
        finally:
            self._stop.set()
            telemetry.join()
        if self._failure is not None:
            raise self._failure

    def _run_telemetry(self) -> None:
        try:
            self._telemetry.run()
        except BaseException as error:
            self._failure = error
            self._stop.set()

    def _run_state(self) -> None:
        while not self._stop.is_set():
            try:
                with self._database.write() as session:
                    fence = leases.acquire(session, LEASE, self._holder, now_ms())
                if fence is None:
                    if not self.standby:
                        log.info("another ingest is elected; this one is its standby and takes telemetry only")
                        self._standby.set()
                    self._stop.wait(1.0)
                    continue
                self._standby.clear()
                try:
                    self._state.run(fence)
                finally:
                    with self._database.write() as session:
                        leases.release(session, LEASE, fence)
            except LeaseLostError as error:
                log.warning("%s", error)
            except (OperationalError, InterfaceError) as error:
                log.warning("database: %s; trying again", error.orig)
                self._stop.wait(_RETRY_S)


class _Consumer:
    """One persistent session: receive, commit, receipt, acknowledge; again and again, over lost connections too."""

    def __init__(
        self,
        client_id: str,
        filters: list[str],
        settings: Settings,
        database: Database,
        address: BrokerAddress,
        stop: threading.Event,
        wake: Callable[[], None],
        metrics: Metrics,
    ) -> None:
        self._metrics = metrics
        self.counters = Counters()
        self.connected = threading.Event()
        self._client_id = client_id
        self._filters = filters
        self._settings = settings
        self._database = database
        self._address = address
        self._stop = stop
        self._wake = wake
        self._known: dict[Name, int] = {}
        self._fence: int | None = None
        self._renewed_ms = 0

    def run(self, fence: int | None = None) -> None:
        """Until stopped. With a fence it writes only while it holds the lease; LeaseLostError when another has taken over."""
        self._fence, self._renewed_ms = fence, now_ms()
        give_up = time.monotonic() + CONNECT_TRIES_S
        before = False
        while not self._stop.is_set():
            try:
                session = Session(self._address, self._client_id)
                try:
                    session.subscribe(self._filters)
                    what = "resumed" if session.present else "new"
                    log.info("connected to %s as %s, session %s", self._address.url, self._client_id, what)
                    before = True
                    self.connected.set()
                    while not self._stop.is_set():
                        self._renew()
                        self._step(session, _WAIT_S)
                finally:
                    self.connected.clear()
                    session.close()
            except (OSError, SessionError) as error:
                if not before and isinstance(error, RefusedError):  # wrong account: no use in trying again
                    text = f"broker {self._address.url} refuses us: {error}; check user name and password"
                    raise BrokerError(text) from error
                if not before and time.monotonic() > give_up:
                    raise BrokerError(f"broker {self._address.url} cannot be reached: {error}") from error
                if before:
                    log.warning(
                        "broker %s: connection of %s lost (%s); trying again", self._address.url, self._client_id, error
                    )
                self._renew()
                self._stop.wait(_RECONNECT_S if before else 0.2)

    def drain(self) -> None:
        """Takes what is queued for the session, then ends it for good. BrokerError while a process still uses it."""
        try:
            session = Session(self._address, self._client_id)
            if session.present:
                session.unsubscribe(self._filters)
                silent_since = time.monotonic()
                while not self._stop.is_set() and time.monotonic() - silent_since < _DRAINED_S:
                    if self._step(session, _WAIT_S):
                        silent_since = time.monotonic()
            session.close()
            if not self._stop.is_set():
                Session(self._address, self._client_id, clean=True).close()
        except (OSError, SessionError) as error:
            raise BrokerError(f"broker {self._address.url}: {error}; does a process still run as {self._client_id}?") from error

    def _renew(self) -> None:
        now = now_ms()
        if self._fence is not None and now - self._renewed_ms > leases.RENEW_MS:
            try:
                with self._database.write() as session:
                    leases.renew(session, LEASE, self._fence, now)
            except (OperationalError, InterfaceError) as error:
                log.warning("database: %s; trying again", error.orig)
            self._renewed_ms = now

    def _step(self, session: Session, wait_s: float) -> int:
        """The next batch; the number of its messages."""
        batch = session.receive(self._settings.batch_max, wait_s, self._settings.linger_ms / 1000)
        if not batch:
            return 0
        stored = self._store(batch, session.keep_alive)
        if stored is None:
            return 0  # stopped while the database was away: nothing acknowledged, the broker has it all
        session.publish(
            (topic(*name, "cmd"), payload) for name, committed in stored.receipts.items() for payload in receipts(committed)
        )
        session.acknowledge(batch)
        self.counters += Counters(stored.new, stored.duplicates, stored.unreadable, 1)
        self._metrics.stored(stored.new, stored.duplicates, stored.unreadable, batch[0].received_ms)
        if stored.wake_worker:
            self._wake()
        return len(batch)

    def _store(self, batch: list[Inbound], keep_alive: Callable[[], None]) -> Stored | None:
        """Commits the batch. While the database is away it tries again: the messages stay with the broker meanwhile."""
        while not self._stop.is_set():
            try:
                with self._database.write() as session:
                    if self._fence is not None:
                        leases.check(session, LEASE, self._fence)
                    own = self._settings
                    stored = store(session, batch, own.dead_letters_max, own.enrolled_only, self._known)
                self._known |= stored.ids
                return stored
            except (OperationalError, InterfaceError) as error:
                log.warning("database: %s; trying again", error.orig)
                keep_alive()
                self._stop.wait(_RETRY_S)
            except (StatementError, DBAPIError) as error:
                self._known.clear()
                if len(batch) > 1:
                    return self._one_by_one(batch, keep_alive)
                log.error("message on %s cannot be stored: %s", batch[0].topic, error)
                with self._database.write() as session:
                    bury(session, batch[0], f"cannot be stored: {error.__class__.__name__}")
                return Stored(unreadable=1)
        return None

    def _one_by_one(self, batch: list[Inbound], keep_alive: Callable[[], None]) -> Stored | None:
        """One message breaks the batch: find it, so that the others are not held up."""
        total = Stored()
        for message in batch:
            one = self._store([message], keep_alive)
            if one is None:
                return None
            total.new += one.new
            total.duplicates += one.duplicates
            total.unreadable += one.unreadable
            total.wake_worker |= one.wake_worker
            for name, committed in one.receipts.items():
                total.receipts[name] += committed
        return total


def drain(settings: Settings, database: Database, address: BrokerAddress, stop: threading.Event) -> Counters:
    """Empties and ends the telemetry session of `settings.instance`, whose process will not come back."""
    session = telemetry_session(settings.instance)
    consumer = _Consumer(session, [SHARED_TELEMETRY], settings, database, address, stop, lambda: None, Metrics())
    consumer.drain()
    return consumer.counters
