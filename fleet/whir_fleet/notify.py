"""Whom to tell of an alert: channels, and the deliveries to them, which are rows until they have arrived or are given up.

A delivery is queued in the transaction of the change that it tells, so nothing is forgotten and nothing told twice by us.
`notifier` carries them out; `escalation` adds those of channels that wait.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any, Final

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session
from ulid import ULID

from whir_contracts import contract
from whir_fleet import maintenance
from whir_fleet.errors import ConflictError, NotFoundError
from whir_fleet.models import Alert, Channel, Delivery
from whir_fleet.said import Said

PENDING, DELIVERED, DEAD = "pending", "delivered", "dead"
# After a failure the next try comes so much later; after the last it is dead, and waits for a person.
BACKOFF_S: Final = (5, 30, 120, 600, 3600, 21_600)

_BEGINS: Final = ("open", "worsen", "announce")  # told to channels that do not wait
_ENDS: Final = ("clear", "resolve", "join")  # told to whoever was told of the beginning


def severities(least: str) -> list[str]:
    """This one and those above."""
    return [severity.name.lower() for severity in contract.Severity if severity >= contract.Severity[least.upper()]]


def add_channel(session: Session, channel: Channel, now_ms: int) -> Channel:
    channel.id, channel.created_ms = str(ULID()), now_ms
    session.add(channel)
    session.flush()
    return channel


def find_channel(session: Session, channel_id: str) -> Channel:
    channel = session.get(Channel, channel_id, with_for_update=True)
    if channel is None or channel.removed_ms is not None:
        raise NotFoundError(Said("no channel %(channel)s", channel=channel_id))
    return channel


def remove_channel(session: Session, channel_id: str, now_ms: int) -> Channel:
    """What has not gone out goes out no more; what did stays listed."""
    channel = find_channel(session, channel_id)
    channel.removed_ms = now_ms
    waiting = update(Delivery).where(Delivery.channel_id == channel_id, Delivery.state == PENDING)
    session.execute(waiting.values(state=DEAD, error="the channel was removed"))
    return channel


def queue(session: Session, alert: Alert, what: str, why: str | None, now_ms: int) -> None:
    """Called with every change that is told to subscribers."""
    if what in _ENDS:
        told = select(Delivery.channel_id).where(Delivery.alert_id == alert.alert_id)
        channels = select(Channel).where(Channel.removed_ms.is_(None), Channel.id.in_(told))
    elif what in _BEGINS:
        channels = select(Channel).where(Channel.removed_ms.is_(None), Channel.after_s == 0)
    else:
        return
    wanted = [c for c in session.scalars(channels.order_by(Channel.id)) if what in _ENDS or concerns(c, alert)]
    if not wanted or (what in _BEGINS and maintenance.covers(session, alert.site, alert.machine, now_ms)):
        return
    for channel in wanted:
        add(session, channel, alert, what, why, now_ms)


def concerns(channel: Channel, alert: Alert) -> bool:
    return (channel.sites is None or alert.site in channel.sites) and alert.severity in severities(channel.min_severity)


def add(session: Session, channel: Channel, alert: Alert, what: str, why: str | None, now_ms: int) -> None:
    message = {
        name: getattr(alert, name)
        for name in ("alert_id", "site", "machine", "point", "verdict", "state", "severity", "occurrences", "opened_ms",
                     "model", "model_version", "assigned_to")
    }  # fmt: skip
    message |= {"node": alert.last.get("node"), "p": alert.last.get("p"), "why": why}
    _enter(session, channel, what, message, now_ms, alert.alert_id)


def add_test(session: Session, channel: Channel, now_ms: int) -> Delivery:
    """A message that tells of nothing but that the channel works."""
    return _enter(session, channel, "test", {"channel": channel.name}, now_ms, None)


def _enter(
    session: Session, channel: Channel, what: str, message: dict[str, Any], now_ms: int, alert_id: str | None
) -> Delivery:
    delivery = Delivery(channel_id=channel.id, alert_id=alert_id, what=what, message=message, state=PENDING, attempts=0)
    delivery.created_ms = delivery.next_ms = now_ms
    session.add(delivery)
    session.flush()
    return delivery


def due(session: Session, now_ms: int, limit: int) -> list[tuple[Delivery, Channel]]:
    """Oldest first: within a channel they arrive in their order."""
    query = select(Delivery, Channel).join(Channel, Channel.id == Delivery.channel_id)
    query = query.where(Delivery.state == PENDING, Delivery.next_ms <= now_ms).order_by(Delivery.id).limit(limit)
    return [(delivery, channel) for delivery, channel in session.execute(query)]


def delivered(session: Session, delivery_id: int, now_ms: int) -> None:
    delivery = session.get_one(Delivery, delivery_id, with_for_update=True)
    delivery.attempts += 1
    delivery.state, delivery.delivered_ms, delivery.error = DELIVERED, now_ms, None


def failed(session: Session, delivery_id: int, error: str, now_ms: int) -> None:
    """Tries again later, or gives up; the others of this channel wait as long, so that their order stays."""
    delivery = session.get_one(Delivery, delivery_id, with_for_update=True)
    if delivery.state != PENDING:
        return  # its channel was removed meanwhile
    delivery.attempts += 1
    delivery.error = error[:500]
    if delivery.attempts > len(BACKOFF_S):
        delivery.state = DEAD
        return
    wait_ms = BACKOFF_S[delivery.attempts - 1] * 1000
    session.flush()
    behind = update(Delivery).where(Delivery.channel_id == delivery.channel_id, Delivery.state == PENDING)
    behind = behind.where(or_(Delivery.id == delivery.id, Delivery.next_ms < now_ms + wait_ms))
    session.execute(behind.values(next_ms=now_ms + wait_ms), execution_options={"synchronize_session": False})


def retry(session: Session, delivery_id: int, now_ms: int) -> Delivery:
    """A dead one, from the beginning."""
    delivery = session.get(Delivery, delivery_id, with_for_update=True)
    if delivery is None:
        raise NotFoundError(Said("no delivery %(delivery)s", delivery=delivery_id))
    if delivery.state != DEAD:
        raise ConflictError(Said("delivery %(delivery)s is %(state)s, not dead", delivery=delivery_id, state=delivery.state))
    find_channel(session, delivery.channel_id)
    delivery.state, delivery.attempts, delivery.next_ms = PENDING, 0, now_ms
    return delivery


def webhook_secret(secret: str, channel_id: str) -> str:
    """What signs a channel's webhooks, in the form of Standard Webhooks. It follows from the service's own secret and is stored
    nowhere."""
    return "whsec_" + base64.b64encode(hmac.digest(secret.encode(), f"webhook {channel_id}".encode(), hashlib.sha256)).decode()
