"""Puts the API together: routes, the size limit, and the one place where errors become HTTP."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import DataError, OperationalError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whir_fleet import console, web
from whir_fleet.api import (
    alerts,
    artifacts,
    audit,
    captures,
    commands,
    devices,
    health,
    history,
    machines,
    maintenance,
    nodes,
    notifications,
    rollouts,
    tokens,
)
from whir_fleet.api.context import Context, Viewer
from whir_fleet.artifacts import UPLOAD_MAX_BYTES
from whir_fleet.errors import FleetError, RequestError, TooLargeError, TooManyTriesError
from whir_fleet.said import Said

__all__ = ["Context", "create_app"]

log = logging.getLogger("whir.fleet.api")

JSON_MAX_BYTES = 64 * 1024
_FORM_BYTES = 4096  # what a form says around the file in it
_LIMITS = {
    "/api/v1/artifacts": UPLOAD_MAX_BYTES,
    machines.IMPORT_PATH: machines.IMPORT_MAX_BYTES,
    console.UPLOAD_PATH: UPLOAD_MAX_BYTES + _FORM_BYTES,
    console.IMPORT_PATH: machines.IMPORT_MAX_BYTES + _FORM_BYTES,
}


_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Problem(BaseModel):
    """Every error looks like this."""

    code: str
    text: str


class SizeLimit:
    """Refuses a body that is too long, also one that does not state its length."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = _LIMITS.get(scope["path"], JSON_MAX_BYTES)
        stated = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not stated.isdigit() or int(stated) > limit:
            await _problem(TooLargeError(Said("the body may have %(limit)s bytes", limit=limit)))(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise TooLargeError(Said("the body may have %(limit)s bytes", limit=limit))
            return message

        await self._app(scope, counted, send)


class SecurityHeaders:
    """What a browser must not do with an answer: guess its type, frame it, run it, keep it, or tell others where it was."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


def _problem(error: FleetError) -> JSONResponse:
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
    if isinstance(error, TooManyTriesError):
        headers = {"Retry-After": str(error.wait_s)}
    return JSONResponse({"code": error.code, "text": str(error)}, error.status, headers)


def create_app(context: Context) -> FastAPI:
    """The ASGI application. The OpenAPI document is for holders of a token, as everything but `health` is."""
    app = FastAPI(
        title="Whir fleet",
        version="1",
        description="Nodes, machines, alerts, artifacts and rollouts. Every request but `health` needs a bearer token.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    app.state.context = context
    app.add_middleware(SizeLimit)
    app.add_middleware(SecurityHeaders)
    v1 = APIRouter(prefix="/api/v1", responses={code: {"model": Problem} for code in (401, 403, 404, 409, 413, 422, 429)})
    for module in (
        health,
        devices,
        nodes,
        commands,
        history,
        captures,
        machines,
        alerts,
        maintenance,
        artifacts,
        rollouts,
        notifications,
        tokens,
        audit,
    ):
        v1.include_router(module.router)

    @v1.get("/openapi.json", include_in_schema=False)
    def openapi(_: Viewer) -> dict[str, Any]:
        return app.openapi()

    app.include_router(v1)
    app.mount(console.PATH, console.create_console(context), "console")
    app.add_route("/", lambda _: RedirectResponse(console.PATH + "/"), ["GET"], include_in_schema=False)
    web.add_pages(app, context.settings.web_dir or web.default_folder())

    @app.exception_handler(FleetError)
    async def fleet_error(_: Request, error: FleetError) -> JSONResponse:
        return _problem(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
        return _problem(RequestError(f"{place}: {first['msg']}"))

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"code": "http", "text": str(error.detail)}, error.status_code, error.headers)

    @app.exception_handler(DataError)
    async def not_storable(_: Request, _error: DataError) -> JSONResponse:
        return _problem(RequestError("a value that the database cannot hold"))

    @app.exception_handler(OperationalError)
    async def database_error(_: Request, error: OperationalError) -> JSONResponse:
        log.error("database: %s", error)
        return JSONResponse({"code": "database", "text": "the database does not answer; try again"}, 503)

    return app
