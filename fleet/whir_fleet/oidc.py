"""Signing people in by OpenID Connect: authorization code with PKCE, any provider that has a discovery document.

No state here: what has to be remembered between the two steps is the `Request`, which the caller keeps in the person's browser.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import quote

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, KeySetSerialization

from whir_fleet.auth import Grant
from whir_fleet.errors import CredentialError, ForbiddenError, IdentityProviderError
from whir_fleet.said import Said
from whir_fleet.settings import Settings

_TIMEOUT_S: Final = 10.0
_LEEWAY_S: Final = 60  # clocks differ
# no secrets that are shared
_ALGORITHMS: Final = [
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
]
_NAMES: Final = ("email", "preferred_username", "name", "sub")


@dataclass(frozen=True, slots=True)
class Request:
    """What the answer of the provider is held against."""

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class Person:
    """Who signed in: `subject` never changes, `name` is for people."""

    subject: str
    name: str
    grant: Grant


class Provider:
    """The provider of the settings. Its discovery document is read each time: people sign in seldom, and keys are rotated."""

    def __init__(self, settings: Settings, redirect_uri: str) -> None:
        assert settings.oidc_issuer is not None, "asked for by whoever made us"
        self._settings = settings
        self._issuer = settings.oidc_issuer
        self._redirect_uri = redirect_uri

    def begin(self) -> tuple[str, Request]:
        """Where to send the browser, and what to remember."""
        wanted = Request(*(secrets.token_urlsafe(48) for _ in range(3)))
        with self._client() as client:
            endpoint = httpx.URL(self._discover(client)["authorization_endpoint"])
        question = {
            "response_type": "code",
            "client_id": self._settings.oidc_client_id,
            "redirect_uri": self._redirect_uri,
            "scope": self._settings.oidc_scope,
            "state": wanted.state,
            "nonce": wanted.nonce,
            "code_challenge": _s256(wanted.verifier),
            "code_challenge_method": "S256",
        }
        return str(endpoint.copy_merge_params(question)), wanted

    def finish(self, wanted: Request, answer: Mapping[str, str]) -> Person:
        """From the query that the browser came back with.

        Raises:
            CredentialError: the provider refused, or the answer is not to our question.
            ForbiddenError: the person has no role here.
            IdentityProviderError: the provider cannot be reached, or answers nonsense.
        """
        if not secrets.compare_digest(answer.get("state", "").encode(), wanted.state.encode()):
            raise CredentialError(Said("this sign-in was not begun here, or too long ago; try again"))
        if "code" not in answer:
            raise self._no(answer.get("error", "?"))
        with self._client() as client:
            metadata = self._discover(client)
            token = self._token(client, metadata, answer["code"], wanted.verifier)
            claims = self._claims(client, metadata, token, wanted.nonce)
            if self._settings.oidc_claim.split(".")[0] not in claims and "userinfo_endpoint" in metadata:
                claims = self._more(client, metadata["userinfo_endpoint"], token, claims)
        names = _texts(_at(claims, self._settings.oidc_claim))
        grant = Grant.highest(found for name, found in self._settings.oidc_grants.items() if name in names)
        name = next(str(claims[key]) for key in _NAMES if claims.get(key))
        if grant is None:
            raise ForbiddenError(
                Said("%(person)s has no role here: groups %(groups)s", person=name, groups=", ".join(sorted(names)) or "–")
            )
        return Person(f"{self._issuer} {claims['sub']}", name, grant)

    def _client(self) -> httpx.Client:
        return httpx.Client(timeout=_TIMEOUT_S, headers={"Accept": "application/json"})

    def _discover(self, client: httpx.Client) -> dict[str, Any]:
        metadata = self._get(client, f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        if metadata.get("issuer") != self._issuer:
            raise self._wrong(f"the discovery document is of {metadata.get('issuer')}")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not isinstance(metadata.get(name), str):
                raise self._wrong(f"no {name} in the discovery document")
        return metadata

    def _get(self, client: httpx.Client, url: str, **headers: str) -> dict[str, Any]:
        try:
            answer = client.get(url, headers=headers)
            answer.raise_for_status()
            found = answer.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise self._down(error) from error
        if not isinstance(found, dict):
            raise self._wrong(f"{url}: no JSON object")
        return found

    def _down(self, error: Exception) -> IdentityProviderError:
        return self._wrong(f"{error.__class__.__name__}: {error}")

    def _wrong(self, what: str) -> IdentityProviderError:
        return IdentityProviderError(Said("identity provider %(issuer)s: %(what)s", issuer=self._issuer, what=what))

    @staticmethod
    def _no(why: str) -> CredentialError:
        return CredentialError(Said("the identity provider said no: %(why)s", why=why[:100]))

    def _token(self, client: httpx.Client, metadata: dict[str, Any], code: str, verifier: str) -> dict[str, Any]:
        own, secret = self._settings.oidc_client_id, self._settings.oidc_secret()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
            "client_id": own,
        }
        auth: httpx.BasicAuth | httpx.Auth = httpx.Auth()
        if secret is not None:
            methods = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
            if "client_secret_basic" in methods:
                auth = httpx.BasicAuth(quote(own, safe=""), quote(secret, safe=""))
            else:
                form["client_secret"] = secret
        try:
            answer = client.post(metadata["token_endpoint"], data=form, auth=auth)
            token = answer.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise self._down(error) from error
        if not isinstance(token, dict) or answer.is_server_error:
            raise self._wrong(f"HTTP {answer.status_code} without a token")
        if "error" in token:
            raise self._no(str(token["error"]))
        if not isinstance(token.get("id_token"), str):
            raise self._wrong("no ID token; is `openid` in oidc_scope?")
        return token

    def _claims(self, client: httpx.Client, metadata: dict[str, Any], token: dict[str, Any], nonce: str) -> dict[str, Any]:
        """Of the ID token: signed by the provider, for us, just now, in answer to our question."""
        own = self._settings.oidc_client_id
        there: jwt.ClaimsOption = {"essential": True}
        wanted = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": own},
            nonce={"essential": True, "value": nonce},
            sub=there,
            exp=there,
            iat=there,
        )
        try:
            keys = KeySet.import_key_set(cast(KeySetSerialization, self._get(client, metadata["jwks_uri"])))
            claims = jwt.decode(token["id_token"], keys, algorithms=_ALGORITHMS).claims
            wanted.validate(claims)
        except (JoseError, ValueError) as error:
            raise CredentialError(Said("the identity provider's token is not valid: %(why)s", why=str(error))) from error
        if claims.get("azp", own) != own:
            raise CredentialError(Said("the identity provider's token is not valid: %(why)s", why="azp"))
        return claims

    def _more(self, client: httpx.Client, url: str, token: dict[str, Any], claims: dict[str, Any]) -> dict[str, Any]:
        """Providers that keep the ID token small tell the groups when asked."""
        told = self._get(client, url, Authorization=f"Bearer {token.get('access_token')}")
        if told.get("sub") != claims["sub"]:
            raise CredentialError(Said("the identity provider's token is not valid: %(why)s", why="userinfo: sub"))
        return told | claims


def _s256(verifier: str) -> str:
    """The challenge of PKCE (RFC 7636)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _at(claims: Mapping[str, Any], path: str) -> Any:
    """`groups`, or `realm_access.roles` in an object; a claim's own name may have dots (a URL)."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _texts(value: Any) -> set[str]:
    values = value if isinstance(value, list) else [value]
    return {one for one in values if isinstance(one, str)}
