"""Sign-in by an identity provider: away with the browser, and back with its answer.

What the answer is held against lies in a cookie of its own meanwhile: signed, for ten minutes, for these two routes. It is
SameSite=Lax, since the way back begins at another site; the session's cookie is Strict, so it is a page of ours that goes on
from here, not a redirection.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from fastapi import APIRouter, Request, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.responses import RedirectResponse

from whir_fleet import audit, auth, oidc
from whir_fleet.api.context import Context, Ctx, address_of
from whir_fleet.clock import now_ms
from whir_fleet.console.pages import PATH, place, render
from whir_fleet.console.session import LASTS_S, set_session
from whir_fleet.errors import CredentialError, FleetError, NotFoundError
from whir_fleet.said import Said

router = APIRouter(prefix="/sign-in/provider")

COOKIE: Final = "whir_sign_in"
_FOR_S: Final = 600
_HERE: Final = f"{PATH}/sign-in/provider"


def _serializer(ctx: Context) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(auth.secret_file(ctx.settings.signing_secret), salt="whir-sign-in")


def _provider(request: Request, ctx: Context) -> oidc.Provider:
    if ctx.settings.oidc_issuer is None:
        raise NotFoundError(Said("no identity provider is set"))
    return oidc.Provider(ctx.settings, str(request.url.replace(path=f"{_HERE}/answer", query="")))


@router.get("")
def away(request: Request, ctx: Ctx, next: str = "/") -> Response:
    """To the provider."""
    try:
        url, wanted = _provider(request, ctx).begin()
    except FleetError as error:
        return _sign_in(request, error)
    response = RedirectResponse(url, 303)
    response.set_cookie(
        COOKIE,
        _serializer(ctx).dumps(asdict(wanted) | {"next": place(next)}),
        max_age=_FOR_S,
        path=_HERE,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return response


@router.get("/answer")
def back(request: Request, ctx: Ctx) -> Response:
    """From the provider."""
    address, now = address_of(request), now_ms()
    try:
        ctx.sign_in.check(address, COOKIE, now)
        wanted = _remembered(request, ctx)
        goes_on = wanted.pop("next")
        person = _provider(request, ctx).finish(oidc.Request(**wanted), request.query_params)
    except FleetError as error:
        if isinstance(error, CredentialError):
            ctx.sign_in.failed(address, COOKIE, now)
        return _sign_in(request, error)
    with ctx.database.write() as session:
        token = auth.sign_in(session, person.subject, person.name, person.grant, now, LASTS_S)
        audit.note(session, object=token.id, role=token.role, sites=token.sites, subject=person.subject)
        audit.record(session, now, token.label, "tokens.sign_in", token_id=token.id, address=address)
    response = render(request, "signed_in.html", None, next=goes_on)
    response.delete_cookie(COOKIE, path=_HERE, httponly=True, samesite="lax")
    set_session(request, ctx, token.id, response)
    return response


def _remembered(request: Request, ctx: Context) -> dict[str, str]:
    try:
        found: dict[str, str] = _serializer(ctx).loads(request.cookies.get(COOKIE, ""), max_age=_FOR_S)
    except BadSignature as error:
        raise CredentialError(Said("this sign-in was not begun here, or too long ago; try again")) from error
    return found


def _sign_in(request: Request, error: FleetError) -> Response:
    return render(request, "sign_in.html", None, error.status, next="/", text=error.text, provider=True)
