"""Health for a load balancer, readiness for people, and what could not be read."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict
from sqlalchemy import func, select

from whir_fleet.api.context import Ctx, Cursor, Limit, Page, Reading, Viewer, page
from whir_fleet.clock import now_ms
from whir_fleet.ingest import LEASE
from whir_fleet.metrics import CONTENT_TYPE
from whir_fleet.models import DeadLetter, Lease

router = APIRouter(tags=["service"])


class Health(BaseModel):
    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """`ingest`: connected here, elsewhere (another process holds the lease), or away."""

    ready: bool
    database: bool
    ingest: Literal["here", "elsewhere", "away"]


class DeadLetterView(BaseModel):
    """`payload` is hexadecimal, its first 2,048 bytes."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": 7, "received_ms": 1790000000000, "topic": "whir/v1/plant-1/pump-3/alert", "reason": "field p: not u32",
                "payload": "7b2276223a317d",
            }
        }
    )  # fmt: skip

    id: int
    received_ms: int
    topic: str
    reason: str
    payload: str


class DeadLetters(Page[DeadLetterView]):
    """`total` counts all that ever came, also those deleted since."""

    total: int


@router.get("/health")
def health() -> Health:
    """The process runs. Says nothing else, so it needs no token."""
    return Health()


@router.get("/ready", responses={503: {"model": Ready}})
def ready(ctx: Ctx, session: Reading, _: Viewer, response: Response) -> Ready:
    """Whether messages are being stored at present."""
    ingest: Literal["here", "elsewhere", "away"] = "here" if ctx.ingest_connected() else "away"
    if ingest == "away":
        expires_ms = session.scalar(select(Lease.expires_ms).where(Lease.name == LEASE)) or 0
        ingest = "elsewhere" if expires_ms > now_ms() else "away"
    if ingest == "away":
        response.status_code = 503
    return Ready(ready=ingest != "away", database=True, ingest=ingest)


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(ctx: Ctx, who: Viewer) -> Response:
    """For Prometheus: this process and the fleet. The same is on `ops_port`, without a token."""
    who.everywhere()
    return Response(ctx.metrics.text(), media_type=CONTENT_TYPE)


@router.get("/dead-letters")
def dead_letters(session: Reading, who: Viewer, limit: Limit = 100, cursor: Cursor = None) -> DeadLetters:
    """Messages that break the contract, newest first, with topic and reason."""
    who.everywhere()
    rows, following = page(session, select(DeadLetter), [DeadLetter.id], cursor, limit, newest=True)
    items = [
        DeadLetterView(id=r.id, received_ms=r.received_ms, topic=r.topic, reason=r.reason, payload=r.payload.hex())
        for (r,) in rows
    ]
    return DeadLetters(items=items, next=following, total=session.scalar(select(func.max(DeadLetter.id))) or 0)
