"""The worker: advances rollouts, watches for silence, sends commands, publishes what stands in the outbox."""

from __future__ import annotations

import json
import logging
import threading
import time
from datetime import timedelta

import paho.mqtt.client as mqtt
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from whir_fleet import (
    alerts,
    captures,
    certificate_ends,
    commands,
    desired,
    drift,
    escalation,
    leases,
    messages,
    partitions,
    retention,
    rollout_steps,
    silence,
    site_alerts,
)
from whir_fleet.artifacts import Signer
from whir_fleet.clock import now_ms
from whir_fleet.crl_keeper import CrlKeeper
from whir_fleet.db import Database
from whir_fleet.errors import BrokerError, LeaseLostError
from whir_fleet.generations import Generation
from whir_fleet.generations import load as load_ca
from whir_fleet.link import BrokerAddress, client, connect
from whir_fleet.models import Command, Node
from whir_fleet.renewal import Renewals
from whir_fleet.settings import Settings

log = logging.getLogger("whir.fleet.worker")

LEASE = "worker"
_POLL_S = 0.2  # another process may have written; in this one `wake()` comes first
_OUTBOX_BATCH = 200
_PUBACK_S = 10.0
_WATCH_MS = 1000
_PRUNE_MS = 60_000
_AGEING_S = 5.0  # for a slice in hand; a day that is cut off is whole again
_CERTIFICATES_MS = 60_000
_JUDGE_MS = 15 * 60_000


class Worker:
    """One elected worker; a second one waits as a standby."""

    def __init__(self, settings: Settings, database: Database, address: BrokerAddress, signer: Signer) -> None:
        self._settings = settings
        self._database = database
        self._signer = signer
        self._address = address
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._fence: int | None = None
        self._renewed_ms = 0
        self._since_ms = now_ms()
        self._watched_ms = 0
        self._judged_ms = 0
        self._crl: CrlKeeper | None = None
        self._renewals: Renewals | None = None
        operational: list[Generation] = []
        if settings.operational_ca_dir is not None:
            operational = load_ca(settings.operational_ca_dir, settings.operational_ca_passphrase_file, "operational_ca")
            self._renewals = Renewals(operational[-1], settings.certificate_days)
        if settings.broker_dir is not None and settings.device_ca_dir is not None:
            generations = load_ca(settings.device_ca_dir, settings.device_ca_passphrase_file, "device_ca")
            self._crl = CrlKeeper([*generations, *operational], settings.broker_dir, database, address)
        self._pruned_ms = 0
        self._looked_ms = 0
        self._ageing = threading.Thread()

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()

    def wake(self) -> None:
        """There is something to do now."""
        self._wake.set()

    def run(self) -> None:
        """Until `stop()`."""
        self._client = client(self._address, f"whir-fleet-worker-{self._settings.instance}", persistent=False)
        connect(self._client, self._address)
        self._client.loop_start()
        try:
            while not self._stop.is_set():
                self._wake.clear()
                try:
                    if self._elected():
                        self._step()
                except LeaseLostError:
                    self._fence = None
                except (DBAPIError, BrokerError) as error:
                    log.warning("%s; trying again", error)
                    self._stop.wait(1.0)
                self._wake.wait(_POLL_S)
        finally:
            self._client.disconnect()
            self._client.loop_stop()
            if self._ageing.is_alive():
                self._ageing.join(_AGEING_S)
            if self._fence is not None:
                with self._database.write() as session:
                    leases.release(session, LEASE, self._fence)

    def _elected(self) -> bool:
        now = now_ms()
        if self._fence is None:
            with self._database.write() as session:
                self._fence = leases.acquire(session, LEASE, f"worker-{self._settings.instance}", now)
            self._renewed_ms = now
        elif now - self._renewed_ms > leases.RENEW_MS:
            with self._database.write() as session:
                leases.renew(session, LEASE, self._fence, now)
            self._renewed_ms = now
        return self._fence is not None

    def _step(self) -> None:
        with self._database.read() as session:
            live = rollout_steps.any_live(session)
        if live:
            with self._database.write() as session:
                leases.check(session, LEASE, self._fence or 0)
                for rollout in rollout_steps.advance(session, now_ms()):
                    log.info("rollout %s (%s) is %s%s", rollout.id, rollout.name, rollout.state, _because(rollout.reason))
        self._watch()
        self._watch_models()
        self._watch_certificates()
        self._send_commands()
        self._publish_alerts()
        self._age()

    def _watch_models(self) -> None:
        now = now_ms()
        if now - self._judged_ms < _JUDGE_MS:
            return
        self._judged_ms = now
        with self._database.read() as session:  # a long look back: nobody waits for it
            found = drift.judge(session, now)
        if found:
            with self._database.write() as session:
                leases.check(session, LEASE, self._fence or 0)
                drift.tell(session, found, now)

    def _watch_certificates(self) -> None:
        now = now_ms()
        if now - self._looked_ms < _CERTIFICATES_MS:
            return
        self._looked_ms = now
        with self._database.write() as session:
            leases.check(session, LEASE, self._fence or 0)
            certificate_ends.check(session, now, timedelta(days=self._settings.certificate_days))

    def _age(self) -> None:
        """In a thread of its own: a day of ten thousand nodes is fourteen million rows, and alerts do not wait for it."""
        now = now_ms()
        if now - self._pruned_ms >= _PRUNE_MS and not self._ageing.is_alive():
            self._pruned_ms = now
            self._ageing = threading.Thread(target=self._prune, args=(now, self._fence or 0), name="retention", daemon=True)
            self._ageing.start()

    def _prune(self, now: int, fence: int) -> None:
        """What is too old, slice by slice; ingest has its turn between two. What cannot be done now is tried in a minute."""

        def captured(session: Session) -> bool:
            leases.check(session, LEASE, fence)
            captures.prune(session, now, self._settings.capture_days)
            return False

        def days(session: Session) -> bool:
            return partitions.keep(session.connection(), now)

        def told(session: Session) -> bool:  # without the lease, which nobody could renew meanwhile: two at once do no harm
            return retention.prune(session, now, self._settings.raw_days, self._settings.hourly_days)

        for what in (captured, days, told):
            try:
                more = True
                while more and not self._stop.is_set():
                    with self._database.write() as session:
                        more = what(session)
                    self._stop.wait(_POLL_S)
            except LeaseLostError:
                return
            except DBAPIError as error:
                log.warning("retention: %s; trying again in a minute", error.orig)

    def _watch(self) -> None:
        """What no message of a node sets off."""
        now = now_ms()
        if now - self._watched_ms < _WATCH_MS:
            return
        self._watched_ms = now
        with self._database.write() as session:
            leases.check(session, LEASE, self._fence or 0)
            silence.check(session, now, self._since_ms)
            site_alerts.gather(session, now)
            alerts.settle(session, now)
            alerts.announce(session, now)
            escalation.escalate(session, now)
            commands.expire(session, now)
            desired.reconcile(session, now)
            if self._renewals is not None:
                self._renewals.step(session, now)
        if self._crl is not None:
            self._crl.step()

    def _send_commands(self) -> None:
        with self._database.read() as session:
            due = commands.due(session, now_ms(), self._settings.resend_s)
        for command, node in due:
            payload = messages.command(command.c, id=command.id, exp=command.exp_s, **self._arguments(command, node))
            self._publish([(messages.topic(node.site, node.name, "cmd"), payload, False)])
            with self._database.write() as session:
                commands.sent(session.get_one(Command, command.id), session.get_one(Node, node.id), now_ms())

    def _arguments(self, command: Command, node: Node) -> dict[str, object]:
        """The stored ones; a bundle's URL is signed at the time of sending, for this node."""
        args = dict(command.args)
        if "sha256" in args:
            args["url"] = self._signer.url(args.pop("sha256"), node.site, node.name)
        return args

    def _publish_alerts(self) -> None:
        """Alert changes in order. A resolved one is followed by the empty payload that takes the retained message away."""
        with self._database.read() as session:
            changes = alerts.unpublished(session, _OUTBOX_BATCH)
        if not changes:
            return
        batch: list[tuple[str, bytes, bool]] = []
        for change in changes:
            topic = alerts.topic_of(change.message)
            batch.append((topic, json.dumps(change.message, separators=(",", ":")).encode(), True))
            if change.message["state"] == alerts.RESOLVED:
                batch.append((topic, b"", True))
        self._publish(batch)
        with self._database.write() as session:
            alerts.published(session, [change.id for change in changes], now_ms())

    def _publish(self, batch: list[tuple[str, bytes, bool]]) -> None:
        """Hands over, waits until the broker has taken all. BrokerError: it has not; the same again does no harm."""
        if not self._client.is_connected():  # paho would queue it, and once more at each further try
            raise BrokerError(f"broker {self._address.url} is away")
        sent = [self._client.publish(topic, payload, qos=1, retain=retain) for topic, payload, retain in batch]
        give_up = time.monotonic() + _PUBACK_S
        for info in sent:
            if info.rc != mqtt.MQTT_ERR_SUCCESS:
                raise BrokerError(f"broker {self._address.url}: {mqtt.error_string(info.rc)}")
            while not info.is_published():
                if self._stop.is_set() or time.monotonic() > give_up:
                    raise BrokerError(f"broker {self._address.url} does not answer")
                info.wait_for_publish(0.2)


def _because(reason: str | None) -> str:
    return f": {reason}" if reason else ""
