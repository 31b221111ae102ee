"""Channels and deliveries: who is told of alerts, and what has not arrived."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from whir_fleet import audit, notify
from whir_fleet.api.context import Admin, Ctx, Cursor, Limit, Page, Reading, Writing, page
from whir_fleet.auth import Identity, secret_file
from whir_fleet.clock import now_ms
from whir_fleet.errors import RequestError
from whir_fleet.machine_specs import Name
from whir_fleet.models import Channel, Delivery
from whir_fleet.said import Said
from whir_fleet.settings import Settings

router = APIRouter(tags=["notifications"])

_CHANNEL: dict[str, Any] = {
    "name": "on-call", "kind": "webhook", "target": "https://hooks.plant/whir", "sites": ["plant-1"], "min_severity": "warning",
    "after_s": 0,
}  # fmt: skip
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253}[A-Za-z0-9])?")


class ChannelRequest(BaseModel):
    """`target`: the URL of a webhook, or an e-mail address. `after_s`: 0 is at once; else after so long unacknowledged."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _CHANNEL})

    name: str = Field(min_length=1, max_length=64)
    kind: Literal["webhook", "email"]
    target: str = Field(min_length=3, max_length=500)
    sites: list[Name] | None = Field(None, min_length=1, max_length=100, description="null: all")
    min_severity: Literal["advisory", "warning", "critical"] = "warning"
    after_s: int = Field(0, ge=0, le=604_800)


_STORED = _CHANNEL | {"id": "01JZ7V0M4Q8W2N5R6T9XAYB3CD", "created_ms": 1790000000000, "created_by": "anna"}


class ChannelView(ChannelRequest):
    model_config = ConfigDict(from_attributes=True, json_schema_extra={"example": _STORED})

    id: str
    created_ms: int
    created_by: str


class NewChannel(ChannelView):
    """`secret` verifies the signatures of a webhook (standardwebhooks.com); null for e-mail. It is shown this once."""

    model_config = ConfigDict(json_schema_extra={"example": _STORED | {"secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}})

    secret: str | None


class DeliveryView(BaseModel):
    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "example": {
                "id": 17, "channel_id": "01JZ7V0M4Q8W2N5R6T9XAYB3CD", "alert_id": "01JZ7V0M4Q8W2N5R6T9XAYB3CE",
                "what": "open", "state": "dead", "attempts": 7, "created_ms": 1790000000000, "next_ms": 1790000600000,
                "delivered_ms": None, "error": "HTTP 500",
            }
        },
    )  # fmt: skip

    id: int
    channel_id: str
    alert_id: str | None
    what: str
    state: Literal["pending", "delivered", "dead"]
    attempts: int
    created_ms: int
    next_ms: int
    delivered_ms: int | None
    error: str | None


def _may(who: Identity, sites: list[str] | None) -> None:
    if sites is None:
        who.everywhere()
    else:
        who.at(*sites)


def _check(request: ChannelRequest, settings: Settings) -> None:
    if request.kind == "webhook":
        try:
            parts = urlsplit(request.target)
            fits = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.username
        except ValueError:
            fits = False
        if not fits:
            raise RequestError(Said("target: not http(s)://host/…, without a user name"))
    elif not _EMAIL.fullmatch(request.target):
        raise RequestError(Said("target: not an e-mail address"))
    elif settings.smtp is None:
        raise RequestError(Said("kind: no mail server is set; WHIR_FLEET_SMTP names it"))


@router.post("/channels", status_code=201)
def add(ctx: Ctx, session: Writing, who: Admin, request: ChannelRequest) -> NewChannel:
    """Alerts of these sites from this severity on are told there; see docs/ALERTS.md."""
    _may(who, request.sites)
    _check(request, ctx.settings)
    channel = notify.add_channel(session, Channel(**request.model_dump(), created_by=who.label), now_ms())
    audit.note(session, object=channel.id, **request.model_dump(exclude={"target"}))  # a URL may hold a secret
    secret = None
    if channel.kind == "webhook":
        secret = notify.webhook_secret(secret_file(ctx.settings.signing_secret), channel.id)
    return NewChannel(**ChannelView.model_validate(channel).model_dump(), secret=secret)


@router.get("/channels")
def channels(session: Reading, who: Admin) -> list[ChannelView]:
    rows = session.scalars(select(Channel).where(Channel.removed_ms.is_(None)).order_by(Channel.id))
    return [
        ChannelView.model_validate(row) for row in rows if who.sites is None or (row.sites and who.sites.issuperset(row.sites))
    ]


@router.delete("/channels/{channel_id}", status_code=204)
def remove(session: Writing, who: Admin, channel_id: str) -> Response:
    """What has not gone out goes out no more."""
    _may(who, notify.remove_channel(session, channel_id, now_ms()).sites)
    return Response(status_code=204)


@router.post("/channels/{channel_id}/test", status_code=201)
def test(session: Writing, who: Admin, channel_id: str) -> DeliveryView:
    """Sends a message that tells of nothing; whether it has arrived is in the deliveries."""
    channel = notify.find_channel(session, channel_id)
    _may(who, channel.sites)
    return DeliveryView.model_validate(notify.add_test(session, channel, now_ms()))


@router.get("/deliveries")
def deliveries(
    session: Reading,
    who: Admin,
    state: Annotated[Literal["pending", "delivered", "dead"] | None, Query()] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[DeliveryView]:
    """Newest first; `dead` ones have been given up."""
    who.everywhere()
    query = select(Delivery) if state is None else select(Delivery).where(Delivery.state == state)
    rows, following = page(session, query, [Delivery.id], cursor, limit, newest=True)
    return Page(items=[DeliveryView.model_validate(row) for (row,) in rows], next=following)


@router.post("/deliveries/{delivery_id}/retry")
def retry(session: Writing, who: Admin, delivery_id: Annotated[str, Path(pattern=r"^[0-9]{1,18}$")]) -> DeliveryView:
    """A dead one, from the beginning."""
    who.everywhere()
    return DeliveryView.model_validate(notify.retry(session, int(delivery_id), now_ms()))
