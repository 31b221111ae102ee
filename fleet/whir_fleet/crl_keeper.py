"""Keeps the broker's list of revoked certificates right and in date, and closes the connections of retired nodes.

mosquitto refuses every client once the list is past `nextUpdate`: it is signed anew long before. The broker reads it again on
SIGHUP; a connection that stands is not checked again, so the session of a retired node is taken over, which closes it, and the
certificate is refused when it comes back.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import paho.mqtt.client as mqtt

from whir_fleet import alerts, enrolment, renewal, site_alerts
from whir_fleet.broker import PID_FILE
from whir_fleet.crl import LIFETIME, RENEW_BEFORE, WARN_BEFORE, make_crl, seconds_left, utc_now
from whir_fleet.db import Database
from whir_fleet.generations import Generation
from whir_fleet.link import BrokerAddress, client
from whir_fleet.models import Alert, Device
from whir_fleet.said import Number, Said

log = logging.getLogger("whir.fleet.crl")

CRL_FILE = "crl.pem"
CLOSE_FOR_MS = 60_000  # a retired node is taken off again and again for this long
_CLOSE_EVERY_S = 5.0
_CONNECT_S = 5.0
CRL_ENDS, _SEVERITY = "crl_ends", "critical"


class CrlKeeper:
    """Called by the elected worker; `step()` does what is due.

    Args:
        broker_dir: of `whir fleet broker-config`; holds the list and the broker's pid.
        address: where the fleet itself connects, with passwords: from there sessions can be taken over.
    """

    def __init__(self, generations: list[Generation], broker_dir: Path, database: Database, address: BrokerAddress) -> None:
        self._generations = generations
        self._dir = broker_dir
        self._database = database
        self._address = address
        self._revoked: dict[str, int] | None = None  # as written; number → when
        self._issued: dict[str, list[str]] = {}  # numbers of all certificates of a retired node, by its serial
        self._closed_s = 0.0

    def step(self, now: datetime | None = None) -> None:
        now = now or utc_now()
        now_ms = int(now.timestamp() * 1000)
        with self._database.read() as session:
            revoked = {row.number: row.revoked_ms for row in enrolment.revocations(session)}
            retired = enrolment.retired_since(session, 0)
            for device in retired:
                if device.serial not in self._issued:
                    self._issued[device.serial] = [device.certificate_number, *renewal.issued(session, device)]
                revoked |= dict.fromkeys(self._issued[device.serial], device.retired_ms or now_ms)
            generation_of = {row.number: row.generation for row in enrolment.revocations(session)}
        left = crl_seconds_left(self._dir, now)
        if revoked != self._revoked or left is None or left < RENEW_BEFORE.total_seconds():
            self._write(revoked, generation_of, now)
            left = crl_seconds_left(self._dir, now)
        self._alert(left or 0.0, now_ms)
        fresh = [device for device in retired if (device.retired_ms or 0) > now_ms - CLOSE_FOR_MS]
        if fresh and time.monotonic() - self._closed_s > _CLOSE_EVERY_S:
            self._closed_s = time.monotonic()
            for device in fresh:
                self._close(device)

    def _alert(self, left_s: float, now_ms: int) -> None:
        """One for each site with nodes while the list is about to end: it could not be renewed, and people must see to it."""
        ends = left_s < WARN_BEFORE.total_seconds()
        with self._database.write() as session:
            for site in enrolment.sites(session):
                alert = alerts.unresolved(session, site, alerts.SITE, CRL_ENDS)
                if ends and alert is None:
                    why = Said(
                        "%(file)s ends in %(days)s days: after that no node connects",
                        file=str(self._dir / CRL_FILE),
                        days=Number(f"{left_s / 86400:.1f}"),
                    )
                    log.error("%s", why)
                    alert = Alert(site=site, machine=alerts.SITE, verdict=CRL_ENDS, severity=_SEVERITY, opened_ms=now_ms)
                    alert.updated_ms = now_ms
                    alert.last = site_alerts.last(CRL_ENDS, _SEVERITY, now_ms) | {"node": "_fleet"}
                    alerts.step(session, alerts.make(session, alert, now_ms), "open", now_ms, alerts.FLEET, why)
                elif not ends and alert is not None:
                    alerts.step(session, alert, "clear", now_ms, alerts.FLEET, Said("the list is renewed"))

    def _write(self, revoked: dict[str, int], generation_of: dict[str, int], now: datetime) -> None:
        """One list per generation; a number whose generation the factory has not told stands on all."""
        lists = []
        for generation in self._generations:
            entries = [
                (int(number), datetime.fromtimestamp(at_ms // 1000, UTC))
                for number, at_ms in revoked.items()
                if generation_of.get(number, generation.number) == generation.number
            ]
            lists.append(make_crl(generation.certificate, generation.sign, entries, int(now.timestamp()), now))
        part = self._dir / f".{CRL_FILE}.part"
        try:
            part.write_bytes(b"".join(lists))
            part.replace(self._dir / CRL_FILE)
        except OSError as error:
            log.error("%s: %s; what is revoked is not refused yet", self._dir / CRL_FILE, error.strerror)
            return
        self._revoked = revoked
        log.info("revoked certificates: %d, list signed for %d days", len(revoked), LIFETIME.days)
        self._reload()

    def _reload(self) -> None:
        path = self._dir / PID_FILE
        try:
            os.kill(int(path.read_text()), signal.SIGHUP)
        except FileNotFoundError:
            log.info("%s: no broker runs there; it will read the list when it starts", path)
        except (OSError, ValueError) as error:
            log.error("%s: %s; reload the broker by hand", path, error)

    def _close(self, device: Device) -> None:
        """Takes the session over under the node's client id, and ends it."""
        taker = client(self._address, f"{device.site}/{device.node}", persistent=False)
        try:
            taker.connect(self._address.host, self._address.port, 10)
            until = time.monotonic() + _CONNECT_S
            while not taker.is_connected() and time.monotonic() < until:
                if taker.loop(0.1) != mqtt.MQTT_ERR_SUCCESS:
                    break
            taker.disconnect()
        except OSError as error:
            log.warning("broker %s: %s; %s/%s may still be connected", self._address.url, error, device.site, device.node)


def crl_seconds_left(broker_dir: Path, now: datetime) -> float | None:
    """Until nobody is let in any more; None without a readable list."""
    try:
        return seconds_left((broker_dir / CRL_FILE).read_bytes(), now)
    except (OSError, ValueError):
        return None
