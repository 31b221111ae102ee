"""Escalation over time: a channel with `after_s` is told of what nobody has acknowledged for so long."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from whir_fleet import alerts, maintenance, notify
from whir_fleet.models import Alert, Channel, Delivery
from whir_fleet.said import Said


def escalate(session: Session, now_ms: int) -> None:
    """Each channel once for each time that an alert was opened."""
    waiting = select(Channel).where(Channel.removed_ms.is_(None), Channel.after_s > 0).order_by(Channel.after_s, Channel.id)
    for channel in session.scalars(waiting).all():
        told = select(Delivery.id).where(Delivery.channel_id == channel.id, Delivery.alert_id == Alert.alert_id)
        query = (
            select(Alert)
            .where(Alert.state == alerts.OPEN, Alert.muted.is_(False), Alert.open_ms <= now_ms - channel.after_s * 1000)
            .where(Alert.severity.in_(notify.severities(channel.min_severity)))
            .where(~told.where(Delivery.created_ms >= Alert.open_ms).exists())
            .with_for_update()
        )
        if channel.sites is not None:
            query = query.where(Alert.site.in_(channel.sites))
        for alert in session.scalars(query).all():
            if maintenance.covers(session, alert.site, alert.machine, now_ms):
                continue
            why = Said("not acknowledged for %(seconds)s s: %(channel)s is told", seconds=channel.after_s, channel=channel.name)
            alert.escalations += 1
            alerts.step(session, alert, "escalate", now_ms, alerts.FLEET, why)
            notify.add(session, channel, alert, "escalate", why, now_ms)
