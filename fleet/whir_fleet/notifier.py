"""Carries deliveries out: webhooks signed as Standard Webhooks asks for, and e-mail by SMTP. One elected notifier."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import smtplib
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

import httpx
from sqlalchemy.exc import DBAPIError

from whir_fleet import leases, notify
from whir_fleet.clock import now_ms
from whir_fleet.db import Database
from whir_fleet.errors import DeliveryError, LeaseLostError, SettingsError
from whir_fleet.models import Channel, Delivery
from whir_fleet.settings import Settings

log = logging.getLogger("whir.fleet.notifier")

LEASE = "notify"
_POLL_S = 0.5
_TIMEOUT_S = 10.0
_BATCH = 200
_AT_ONCE = 8  # channels; one that hangs holds up no other


class Notifier:
    """Takes what is due, a thread for each channel; what fails comes again by `notify.BACKOFF_S`."""

    def __init__(self, settings: Settings, database: Database, secret: str) -> None:
        self._settings = settings
        self._database = database
        self._secret = secret
        self._stop = threading.Event()
        self._fence: int | None = None
        self._renewed_ms = 0

    def stop(self) -> None:
        self._stop.set()

    def run(self) -> None:
        """Until `stop()`."""
        self._http = httpx.Client(timeout=_TIMEOUT_S, follow_redirects=False, trust_env=False)
        with self._http, ThreadPoolExecutor(_AT_ONCE, "whir-notify") as pool:
            while not self._stop.is_set():
                try:
                    if self._elected():
                        self._pass(pool)
                except LeaseLostError:
                    self._fence = None
                except DBAPIError as error:
                    log.warning("%s; trying again", error)
                self._stop.wait(_POLL_S)
        if self._fence is not None:
            with self._database.write() as session:
                leases.release(session, LEASE, self._fence)

    def _elected(self) -> bool:
        now = now_ms()
        if self._fence is None:
            with self._database.write() as session:
                self._fence = leases.acquire(session, LEASE, f"notify-{self._settings.instance}", now)
            self._renewed_ms = now
        elif now - self._renewed_ms > leases.RENEW_MS:
            with self._database.write() as session:
                leases.renew(session, LEASE, self._fence, now)
            self._renewed_ms = now
        return self._fence is not None

    def _pass(self, pool: ThreadPoolExecutor) -> None:
        with self._database.read() as session:
            due = notify.due(session, now_ms(), _BATCH)
        channels: dict[str, list[tuple[Delivery, Channel]]] = {}
        for delivery, channel in due:
            channels.setdefault(channel.id, []).append((delivery, channel))
        # a pass ends with its slowest channel, whose tries are few and short: well within the lease
        for _ in pool.map(self._deliver, channels.values()):
            pass

    def _deliver(self, queue: list[tuple[Delivery, Channel]]) -> None:
        """In their order, up to the first that fails."""
        give_up = time.monotonic() + leases.TTL_MS / 1000 - _TIMEOUT_S
        for delivery, channel in queue:
            if self._stop.is_set() or time.monotonic() > give_up:
                return
            try:
                send = self._webhook if channel.kind == "webhook" else self._email
                send(delivery, channel)
            except DeliveryError as error:
                log.warning("channel %s, delivery %d: %s", channel.name, delivery.id, error)
                with self._database.write() as session:
                    leases.check(session, LEASE, self._fence or 0)
                    notify.failed(session, delivery.id, str(error), now_ms())
                return
            with self._database.write() as session:
                notify.delivered(session, delivery.id, now_ms())

    def _webhook(self, delivery: Delivery, channel: Channel) -> None:
        now = now_ms()
        body = json.dumps({"type": f"alert.{delivery.what}", "timestamp": _iso(delivery.created_ms), "data": delivery.message})
        secret = notify.webhook_secret(self._secret, channel.id)
        headers = {"Content-Type": "application/json"} | signed(secret, f"msg_{delivery.id}", now // 1000, body)
        try:
            answer = self._http.post(channel.target, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise DeliveryError(f"{error.__class__.__name__}: {error}") from error
        if not answer.is_success:
            raise DeliveryError(f"HTTP {answer.status_code}")

    def _email(self, delivery: Delivery, channel: Channel) -> None:
        message = email(delivery, channel.target, self._settings.smtp_from)
        try:
            with _smtp(self._settings) as connection:
                connection.send_message(message)
        except (OSError, smtplib.SMTPException, ValueError, SettingsError) as error:
            raise DeliveryError(f"{error.__class__.__name__}: {error}") from error


def signed(secret: str, message_id: str, at_s: int, body: str) -> dict[str, str]:
    """The headers of Standard Webhooks. The id stays the same at a further try, so a receiver knows what it has had."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = base64.b64encode(hmac.digest(key, f"{message_id}.{at_s}.{body}".encode(), hashlib.sha256)).decode()
    return {"webhook-id": message_id, "webhook-timestamp": str(at_s), "webhook-signature": f"v1,{signature}"}


def email(delivery: Delivery, to: str, sender: str) -> EmailMessage:
    """A short text; what nodes say is cleaned of line breaks before it becomes part of a header."""
    data = delivery.message
    message = EmailMessage()
    message["From"], message["To"] = sender, to
    message["Message-ID"] = f"<whir-{delivery.id}@{sender.rpartition('@')[2]}>"
    if delivery.what == "test":
        message["Subject"] = "[whir] test"
        message.set_content(f"This channel works: {data['channel']}.\n")
        return message
    machine = _flat(f"{data['site']}/{data['machine']}" + (f" {data['point']}" if data["point"] else ""))
    message["Subject"] = f"[whir] {delivery.what}: {machine} {_flat(data['verdict'])} ({data['severity']})"
    lines = {
        "Machine": machine,
        "Fault": f"{_flat(data['verdict'])}, {data['severity']}",
        "State": data["state"],
        "Opened": _iso(data["opened_ms"]),
        "Heard by": data["node"],
        "Model": " ".join(str(part) for part in (data["model"], data["model_version"]) if part),
        "Why": data["why"],
        "Alert": data["alert_id"],
    }
    message.set_content("".join(f"{name}: {_flat(str(value))}\n" for name, value in lines.items() if value))
    return message


def _flat(text: str) -> str:
    return " ".join(text.split())


def _iso(ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ms / 1000))


def _smtp(settings: Settings) -> Any:
    """A connection that is signed in. Its password never goes over an open line: the settings see to that."""
    if settings.smtp is None:
        raise DeliveryError("no mail server: set WHIR_FLEET_SMTP")
    parts = urlsplit(settings.smtp)
    host = parts.hostname or ""
    context = ssl.create_default_context()
    if parts.scheme == "smtps":
        connection: smtplib.SMTP = smtplib.SMTP_SSL(host, parts.port or 465, timeout=_TIMEOUT_S, context=context)
    else:
        connection = smtplib.SMTP(host, parts.port or (587 if parts.scheme == "smtp+starttls" else 25), timeout=_TIMEOUT_S)
    try:
        if parts.scheme == "smtp+starttls":
            connection.starttls(context=context)
        if parts.username:
            connection.login(parts.username, settings.smtp_secret())
    except BaseException:
        connection.close()
        raise
    return connection
