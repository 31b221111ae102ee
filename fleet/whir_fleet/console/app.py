"""Puts the console together: an application of its own under `/console`, with pages for errors and a cookie for callers.

The routes call the API's own functions, so what a role may do, what is checked and what the audit log says is one thing.
"""

from __future__ import annotations

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from whir_fleet.api.context import Context, identity
from whir_fleet.console import (
    alerts,
    captures,
    machines,
    models,
    oidc,
    overview,
    rollouts,
    settings,
    settings_channels,
    settings_machines,
    sign_in,
    stream,
    words,
)
from whir_fleet.console.pages import HEADERS, PATH, STATIC, render
from whir_fleet.console.session import same_origin, signed_in, visitor
from whir_fleet.errors import CredentialError, FleetError
from whir_fleet.invalid import first


class Files(StaticFiles):
    """The console's own files: asked for again at each visit, answered with 304 when they are the same."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "no-cache"
        return response


def create_console(context: Context) -> FastAPI:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, dependencies=[Depends(same_origin)])
    app.state.context = context
    app.dependency_overrides[identity] = visitor  # roles, sites, areas and the audit log go on from there
    for module in (
        sign_in,
        oidc,
        overview,
        stream,
        alerts,
        captures,
        machines,
        models,
        rollouts,
        settings,
        settings_machines,
        settings_channels,
    ):
        app.include_router(module.router)
    app.mount("/static", Files(directory=STATIC), "static")

    @app.exception_handler(FleetError)
    def fleet_error(request: Request, error: FleetError) -> Response:
        if isinstance(error, CredentialError) and request.url.path != f"{PATH}/sign-in":
            return _sign_in_first(request)
        return _problem(request, error.status, error.text)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        return _problem(request, 422, first(error.errors()))

    @app.exception_handler(ValidationError)
    def invalid_form(request: Request, error: ValidationError) -> Response:
        return _problem(request, 422, first(error.errors()))

    @app.exception_handler(HTTPException)
    def http_error(request: Request, error: HTTPException) -> Response:
        return _problem(request, error.status_code, words.http.get(error.status_code, str(error.detail)))

    @app.exception_handler(Exception)
    def mistake(request: Request, error: Exception) -> Response:
        """Ours: the log has it, whoever looks gets a page all the same."""
        return _problem(request, 500, words.http[500])

    return app


def _problem(request: Request, status: int, text: str) -> Response:
    """With the way on to other pages for whoever has signed in, if that can still be told."""
    try:
        who = signed_in(request, request.app.state.context)
    except (FleetError, SQLAlchemyError):
        who = None
    return render(request, "problem.html", who, status, text=text, problem=words.problem(status))


def _sign_in_first(request: Request) -> Response:
    """A page goes to the sign-in page as a whole, also where only a part of it was asked for."""
    place = f"{PATH}/sign-in?next={request.url.path.removeprefix(PATH)}"
    if request.headers.get("hx-request"):
        return Response(status_code=204, headers={"HX-Redirect": place, **HEADERS})
    return RedirectResponse(place, 303)
