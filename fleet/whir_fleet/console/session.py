"""Signing in: an API token, or the word of an identity provider, is exchanged for a signed cookie, which names the token and
nothing else. Behind a person whom a provider knows there is a token, too, which is good for that and nothing else.

The cookie is HttpOnly and SameSite=Strict, and a request that changes something must come from a page of this very address.
What the token may do is looked up at every request, so a revoked token ends its sessions.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import Request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.responses import Response

from whir_fleet import auth
from whir_fleet.api.context import Context, Ctx, address_of, confine
from whir_fleet.auth import Identity, secret_file
from whir_fleet.clock import now_ms
from whir_fleet.errors import CredentialError, ForbiddenError
from whir_fleet.said import Said

COOKIE = "whir_session"
LASTS_S = 12 * 3600  # a shift, with what comes before and after it
_SAFE = ("GET", "HEAD")


def _serializer(ctx: Context) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secret_file(ctx.settings.signing_secret), salt="whir-console")


def open_session(request: Request, ctx: Context, text: str, response: Response) -> Identity:
    """Checks a token as the API does, limit of failures included, and sets the cookie. CredentialError, TooManyTriesError."""
    token, address, now = auth.token_id(text), address_of(request), now_ms()
    ctx.sign_in.check(address, token, now)
    try:
        with ctx.database.read() as session:
            who = auth.identify(session, text, now)
    except CredentialError:
        ctx.sign_in.failed(address, token, now)
        raise
    set_session(request, ctx, who.token_id, response)
    return who


def set_session(request: Request, ctx: Context, token_id: str, response: Response) -> None:
    """For whoever has shown the token, or has been vouched for."""
    response.set_cookie(
        COOKIE,
        _serializer(ctx).dumps(token_id),
        max_age=LASTS_S,
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def close_session(response: Response) -> None:
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")


def visitor(request: Request, ctx: Ctx) -> Identity:
    """Who looks at the page: takes the place of the API's `identity` for every route of the console."""
    return confine(request, signed_in(request, ctx))


def signed_in(request: Request, ctx: Context) -> Identity:
    """Whoever the cookie says, whatever may be seen. CredentialError where nobody has signed in."""
    try:
        token_id = _serializer(ctx).loads(request.cookies.get(COOKIE, ""), max_age=LASTS_S)
    except BadSignature as error:
        raise CredentialError(Said("sign in first")) from error
    with ctx.database.read() as session:
        return auth.of_token(session, token_id, now_ms())


def same_origin(request: Request) -> None:
    """Refuses what another site's page sends. Browsers say where a request comes from; plain HTTP on a plant's network has
    `Origin` only."""
    if request.method in _SAFE:
        return
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin", "")
    if site == "same-origin" or (site is None and urlsplit(origin).netloc == request.headers.get("host")):
        return
    raise ForbiddenError(Said("this came from another site's page"))
