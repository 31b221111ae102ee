"""Sign-in, sign-out, and what a viewer chooses for himself."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from whir_fleet.api.context import Ctx
from whir_fleet.console import languages, units
from whir_fleet.console.pages import PATH, back_to, place, render
from whir_fleet.console.session import close_session, open_session
from whir_fleet.errors import CredentialError, TooManyTriesError

router = APIRouter()

_YEAR_S = 365 * 86_400


@router.get("/sign-in")
def sign_in(request: Request, ctx: Ctx, next: str = "/") -> Response:
    return render(request, "sign_in.html", None, next=place(next), text=None, provider=ctx.settings.oidc_issuer is not None)


@router.post("/sign-in")
def sign_in_with(
    request: Request, ctx: Ctx, token: Annotated[str, Form()] = "", next: Annotated[str, Form()] = "/"
) -> Response:
    response = back_to(place(next))
    try:
        open_session(request, ctx, token.strip(), response)
    except (CredentialError, TooManyTriesError) as error:
        known = ctx.settings.oidc_issuer is not None
        return render(request, "sign_in.html", None, error.status, next=place(next), text=error.text, provider=known)
    return response


@router.post("/sign-out")
def sign_out() -> Response:
    response = back_to("/sign-in")
    close_session(response)
    return response


@router.post("/units")
def choose_units(key: Annotated[str, Form()], next: Annotated[str, Form()] = "/") -> Response:
    return _keep(units.COOKIE, units.chosen(key).key, next)


@router.post("/language")
def choose_language(key: Annotated[str, Form()], next: Annotated[str, Form()] = "/") -> Response:
    return _keep(languages.COOKIE, key if key in languages.languages() else languages.ENGLISH, next)


def _keep(cookie: str, choice: str, next: str) -> Response:
    response = back_to(place(next))
    response.set_cookie(cookie, choice, max_age=_YEAR_S, path=PATH, httponly=True, samesite="strict")
    return response
