"""What every route needs: the context, the caller's identity, and pages."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, SkipValidation
from sqlalchemy import Select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from whir_fleet import audit, auth
from whir_fleet.artifacts import Signer
from whir_fleet.auth import Identity, Role
from whir_fleet.bundle_store import BundleStore
from whir_fleet.clock import now_ms
from whir_fleet.db import Database
from whir_fleet.errors import CredentialError, RequestError
from whir_fleet.metrics import Metrics
from whir_fleet.said import Said
from whir_fleet.settings import Settings
from whir_fleet.sign_in import FailureLimit

LIMIT_MAX = 1000


@dataclass(frozen=True, slots=True)
class Context:
    """`wake` tells the worker that there is something to do; `ingest_connected`: this process's ingest is at work."""

    settings: Settings
    database: Database
    signer: Signer
    wake: Callable[[], None]
    ingest_connected: Callable[[], bool]
    sign_in: FailureLimit
    bundles: BundleStore
    metrics: Metrics


def context(request: Request) -> Context:
    found: Context = request.app.state.context
    return found


Ctx = Annotated[Context, Depends(context)]
_bearer = HTTPBearer(auto_error=False, description="`whir fleet token create --role viewer`")


def address_of(request: Request) -> str:
    return request.client.host if request.client is not None else ""


def identity(
    request: Request, ctx: Ctx, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Identity:
    """Who asks. A token is held to its areas by the tag of the route, and to its sites where the request names one; what a
    route finds out later (lists, an alert's site) it checks itself."""
    text = credentials.credentials if credentials else None
    token, address, now = auth.token_id(text), address_of(request), now_ms()
    ctx.sign_in.check(address, token, now)
    try:
        with ctx.database.read() as session:
            who = auth.identify(session, text, now)
    except CredentialError:
        ctx.sign_in.failed(address, token, now)
        raise
    return confine(request, who)


def confine(request: Request, who: Identity) -> Identity:
    """ForbiddenError where the route is not of the caller's areas, or the request names a site that is not his."""
    route = request.scope["route"]
    if route.tags:
        who.within(route.tags[0])
    if (site := request.path_params.get("site") or request.query_params.get("site")) is not None:
        who.at(site)
    return who


Caller = Annotated[Identity, Depends(identity)]


def _role(role: Role) -> Callable[[Identity], Identity]:
    def check(who: Caller) -> Identity:
        who.require(role)
        return who

    return check


Viewer = Annotated[Identity, Depends(_role(Role.VIEWER))]
Operator = Annotated[Identity, Depends(_role(Role.OPERATOR))]
Admin = Annotated[Identity, Depends(_role(Role.ADMIN))]


def _reading(ctx: Ctx) -> Iterator[Session]:
    with ctx.database.read() as session:
        yield session


def _writing(request: Request, ctx: Ctx, who: Caller) -> Iterator[Session]:
    with ctx.database.write() as session:
        yield session
        record(request, session, who)


def record(request: Request, session: Session, who: Identity) -> None:
    """Every change goes into the audit log, with what its route has noted."""
    route, path = request.scope["route"], request.path_params
    for name, value in (("site", path.get("site")), ("object", "/".join(v for k, v in path.items() if k != "site") or None)):
        if name not in session.info.get("audit", {}):
            audit.note(session, **{name: value})
    action = f"{route.tags[0]}.{route.name}"
    audit.record(session, now_ms(), who.label, action, token_id=who.token_id, address=address_of(request))


# scope="function": committed before the answer leaves, not after it
Reading = Annotated[Session, Depends(_reading, scope="function")]
Writing = Annotated[Session, Depends(_writing, scope="function")]

# Of an answer: in the API its English text, for the console still what `Said` remembers.
Sentence = Annotated[str, SkipValidation]

T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """A page of a list. `next` goes back as `cursor` for the following page; null on the last one."""

    items: list[T]
    next: str | None = None


Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="items on a page")]
Cursor = Annotated[str | None, Query(description="`next` of the page before", max_length=500)]


def page(
    session: Session,
    query: Select[*tuple[Any, ...]],
    keys: Sequence[InstrumentedAttribute[Any]],
    cursor: str | None,
    limit: int,
    *,
    newest: bool,
) -> tuple[list[Any], str | None]:
    """Rows of `query` by `keys` (newest first or oldest first) and the cursor of the page after. Keys must be unique together.

    The place is held by key values, so rows that come meanwhile neither repeat nor hide anything.
    """
    if cursor is not None:
        place = tuple_(*_decode(cursor, [key.type.python_type for key in keys]))
        query = query.where(tuple_(*keys) < place if newest else tuple_(*keys) > place)
    query = query.order_by(*(key.desc() if newest else key for key in keys)).limit(limit + 1)
    rows = list(session.execute(query))
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1][0]
    return rows[:limit], _encode([getattr(last, key.key) for key in keys])


def _encode(values: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(values, separators=(",", ":")).encode()).decode().rstrip("=")


def _decode(cursor: str, types: list[type]) -> list[Any]:
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError as error:
        raise RequestError(Said("cursor: not one that this API gave out")) from error
    if not isinstance(values, list) or [type(value) for value in values] != types:
        raise RequestError(Said("cursor: not one that this API gave out"))
    if any(type(v) is int and abs(v) >= 2**63 for v in values):
        raise RequestError(Said("cursor: not one that this API gave out"))
    return values
