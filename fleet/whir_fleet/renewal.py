"""Renews the certificates that nodes show to the broker, before they end, by a CA of the fleet's own.

A node says in its status which certificate it shows and until when. One that has only its factory's, or whose own is in the
last third of its life, is asked for a request (`renew`). The request comes as an event; what is signed goes back as the setting
`certificate`, which the node tries and keeps or takes back by itself. Only enrolled nodes get one, in their own name, and only
for a request that was asked for. What was issued stands in the commands, and each in the audit log.
"""

from __future__ import annotations

import base64
import logging
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography import x509
from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session
from ulid import ULID

from whir_fleet import alerts, audit, commands, rollouts
from whir_fleet.generations import Generation
from whir_fleet.models import Command, Device, Event, Node
from whir_fleet.node_certificates import issue, new_number, requested, setting_value

log = logging.getLogger("whir.fleet.renewal")

RENEW, SETTING, KEY, REQUEST = "renew", "setting", "certificate", "certificate_request"
REFUSED: Final = "certificate_refused"
EXPIRES_S: Final = 1800
_AGAIN_S: Final = 6 * 3600
_AT_ONCE: Final = 50  # each restarts once
_LAST_PART: Final = 3


class Renewals:
    """Called by the elected worker in its own transaction.

    Args:
        ca: signs; the newest generation of the operational CA.
        days: how long a certificate lasts.
    """

    def __init__(self, ca: Generation, days: int) -> None:
        self._ca = ca
        self._lifetime = timedelta(days=days)
        self._seen_ms = 0  # up to here every status has been looked at

    def step(self, session: Session, now_ms: int) -> None:
        self._sign(session, now_ms)
        self._ask(session, now_ms)

    def _ask(self, session: Session, now_ms: int) -> None:
        enrolled = and_(Device.site == Node.site, Device.node == Node.name, Device.retired_ms.is_(None))
        rows = session.execute(
            select(Node.id, Node.health, Node.status_ms)
            .join(Device, enrolled)
            .where(Node.status_ms > self._seen_ms, Node.health.is_not(None))
            .order_by(Node.status_ms)
        ).all()
        if not rows:
            return
        self._seen_ms = rows[-1].status_ms
        due = [row.id for row in rows if is_due(row.health, now_ms // 1000, self._lifetime)]
        asked = select(Command.node_id).where(Command.c == RENEW, Command.created_ms > now_ms - 1000 * again_s(self._lifetime))
        recently = set(session.scalars(asked.where(Command.node_id.in_(due)))) if due else set()
        under_way = select(func.count()).select_from(Command).where(Command.c == RENEW, Command.state != commands.DONE)
        under_way = under_way.where(Command.exp_s * 1000 > now_ms)
        room = _AT_ONCE - (session.scalar(under_way) or 0)
        for node_id in [id for id in due if id not in recently][: max(0, room)]:
            commands.create(session, node_id, RENEW, {}, str(ULID()), now_ms // 1000 + EXPIRES_S, now_ms)

    def _sign(self, session: Session, now_ms: int) -> None:
        rows = session.execute(
            select(Command, Node, Device, Event.text)
            .join(Node, Node.id == Command.node_id)
            .join(Event, and_(Event.node_id == Node.id, Event.kind == REQUEST, Event.action == Command.id))
            .outerjoin(Device, and_(Device.site == Node.site, Device.node == Node.name, Device.retired_ms.is_(None)))
            .where(Command.c == RENEW, Command.state != commands.DONE)
        ).all()
        for command, node, device, text in rows:
            if command.state == commands.DONE:
                continue  # the event came twice, after a restart of the node
            command.state = commands.DONE
            try:
                made = self._issue(node, device, text, now_ms)
            except ValueError as error:
                log.warning("%s/%s: request for a certificate refused: %s", node.site, node.name, error)
                audit.note(session, site=node.site, object=f"{node.site}/{node.name}", why=str(error))
                audit.record(session, now_ms, alerts.FLEET, "certificate.refuse")
                command.result, command.code = "refused", REFUSED
                rollouts.on_answer(session, command, now_ms)  # where one has asked for it
                continue
            args = {"key": KEY, "value": setting_value(made)}
            commands.create(session, node.id, SETTING, args, str(ULID()), now_ms // 1000 + EXPIRES_S, now_ms)
            end = made.not_valid_after_utc.isoformat()
            audit.note(session, site=node.site, object=device.serial, node=node.name, number=str(made.serial_number), end=end)
            audit.record(session, now_ms, alerts.FLEET, "certificate.issue")

    def _issue(self, node: Node, device: Device | None, text: str | None, now_ms: int) -> x509.Certificate:
        """ValueError: why not."""
        if device is None:
            raise ValueError("the node is not enrolled, or retired")
        public, name = requested(base64.b64decode(text or "", validate=True))
        if name != f"{node.site}/{node.name}":
            raise ValueError(f"asks for the name {name!r}")
        now = datetime.fromtimestamp(now_ms // 1000, UTC)
        ca = self._ca
        return issue(ca.certificate, ca.sign, public, name, device.serial, new_number(), now, self._lifetime)


def is_due(health: dict[str, Any], now_s: int, lifetime: timedelta) -> bool:
    """Whether the certificate that a node's status tells of is to be replaced. A node without one is left alone."""
    if health.get("cert") == "birth":
        return True
    end_s = health.get("cert_end")
    return end_s is not None and end_s - now_s < lifetime.total_seconds() / _LAST_PART


def again_s(lifetime: timedelta) -> int:
    """After which a node whose renewal has failed is asked again."""
    return min(_AGAIN_S, int(lifetime.total_seconds()) // 12)


def issued(session: Session, device: Device) -> list[str]:
    """Numbers of all certificates that were sent to it."""
    sent = select(Command.args).join(Node, Node.id == Command.node_id)
    sent = sent.where(Node.site == device.site, Node.name == device.node, Command.c == SETTING)
    values = [args["value"] for args in session.scalars(sent) if args.get("key") == KEY]
    return [str(x509.load_der_x509_certificate(base64.b64decode(value)).serial_number) for value in values]
