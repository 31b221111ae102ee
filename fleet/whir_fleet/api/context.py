"""What every route needs: the context, the caller's identity, and pages."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from sqlalchemy import Select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from whir_fleet import auth
from whir_fleet.artifacts import Signer
from whir_fleet.auth import Identity, Role
from whir_fleet.db import Database
from whir_fleet.errors import RequestError
from whir_fleet.settings import Settings

LIMIT_MAX = 1000


@dataclass(frozen=True, slots=True)
class Context:
    """`wake` tells the worker that there is something to do; `ingest_connected`: this process's ingest is at work."""

    settings: Settings
    database: Database
    signer: Signer
    wake: Callable[[], None]
    ingest_connected: Callable[[], bool]


def context(request: Request) -> Context:
    found: Context = request.app.state.context
    return found


Ctx = Annotated[Context, Depends(context)]
_bearer = HTTPBearer(auto_error=False, description="`whir fleet token create --role viewer`")


def identity(ctx: Ctx, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> Identity:
    with ctx.database.read() as session:
        return auth.identify(session, credentials.credentials if credentials else None)


def _role(role: Role) -> Callable[[Identity], Identity]:
    def check(who: Annotated[Identity, Depends(identity)]) -> Identity:
        who.require(role)
        return who

    return check


Viewer = Annotated[Identity, Depends(_role(Role.VIEWER))]
Operator = Annotated[Identity, Depends(_role(Role.OPERATOR))]
Admin = Annotated[Identity, Depends(_role(Role.ADMIN))]


def _reading(ctx: Ctx) -> Iterator[Session]:
    with ctx.database.read() as session:
        yield session


def _writing(ctx: Ctx) -> Iterator[Session]:
    with ctx.database.write() as session:
        yield session


# scope="function": committed before the answer leaves, not after it
Reading = Annotated[Session, Depends(_reading, scope="function")]
Writing = Annotated[Session, Depends(_writing, scope="function")]

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
        raise RequestError("cursor: not one that this API gave out") from error
    if not isinstance(values, list) or [type(value) for value in values] != types:
        raise RequestError("cursor: not one that this API gave out")
    if any(type(v) is int and abs(v) >= 2**63 for v in values):
        raise RequestError("cursor: not one that this API gave out")
    return values
