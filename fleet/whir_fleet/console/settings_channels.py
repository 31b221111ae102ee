"""Webhooks and e-mail: who is told of alerts, and what could not be told."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Form, Request, Response

from whir_fleet.api import notifications as api_notifications
from whir_fleet.api.context import Admin, Ctx, Reading, Writing
from whir_fleet.console.pages import back_to, render

router = APIRouter(prefix="/settings")

PAGE: Final = 50
Text = Annotated[str, Form(max_length=2000)]


@router.get("/channels", tags=["notifications"])
def channels(request: Request, session: Reading, who: Admin) -> Response:
    return _channels(request, session, who, None)


def _channels(request: Request, session: Reading, who: Admin, made: api_notifications.NewChannel | None) -> Response:
    dead = api_notifications.deliveries(session, who, None, PAGE, None).items if who.sites is None else []
    listed = api_notifications.channels(session, who)
    return render(request, "settings_channels.html", who, channels=listed, deliveries=dead, made=made)


@router.post("/channels", tags=["notifications"])
def add(
    request: Request,
    ctx: Ctx,
    session: Writing,
    who: Admin,
    name: Text = "",
    kind: Text = "",
    target: Text = "",
    min_severity: Text = "",
    minutes: Annotated[int, Form(ge=0)] = 0,
    sites: Text = "",
) -> Response:
    asked = {
        "name": name.strip(),
        "kind": kind,
        "target": target.strip(),
        "min_severity": min_severity,
        "after_s": minutes * 60,
    }
    asked["sites"] = sites.replace(",", " ").split() or None
    made = api_notifications.add(ctx, session, who, api_notifications.ChannelRequest.model_validate(asked))
    return _channels(request, session, who, made)


@router.post("/channels/{channel_id}/test", tags=["notifications"])
def test(session: Writing, who: Admin, channel_id: str) -> Response:
    api_notifications.test(session, who, channel_id)
    return back_to("/settings/channels")


@router.post("/channels/{channel_id}/remove", tags=["notifications"], name="remove")
def remove_channel(session: Writing, who: Admin, channel_id: str) -> Response:
    api_notifications.remove(session, who, channel_id)
    return back_to("/settings/channels")


@router.post("/deliveries/{delivery_id}/retry", tags=["notifications"])
def retry(session: Writing, who: Admin, delivery_id: int) -> Response:
    api_notifications.retry(session, who, str(delivery_id))
    return back_to("/settings/channels")
