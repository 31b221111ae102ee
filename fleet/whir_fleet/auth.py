"""API tokens: a role, on which sites, for which areas, until when.

A token is shown once; the database keeps its SHA-256 (it is 256 random bits, not a password).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final, TypeVarTuple

from sqlalchemy import Select, select
from sqlalchemy.orm import InstrumentedAttribute, Session
from ulid import ULID

from whir_contracts.contract import NAME_SITE_NODE_PATTERN
from whir_fleet import known_secrets
from whir_fleet.errors import CredentialError, ForbiddenError, NotFoundError
from whir_fleet.models import Token
from whir_fleet.said import Said

PREFIX = "whir"
DAYS = 365  # a token lasts, unless it is said otherwise
DAYS_MAX = 3650
LABEL_MAX = 64
# What a token can be confined to: the tags of the API.
AREAS: Final = (
    "service",
    "devices",
    "nodes",
    "machines",
    "alerts",
    "artifacts",
    "rollouts",
    "notifications",
    "tokens",
    "audit",
)
_DAY_MS = 86_400_000

Ts = TypeVarTuple("Ts")


class Role(IntEnum):
    """Each may do what the ones before it may."""

    VIEWER = 1  # read
    OPERATOR = 2  # acknowledge alerts, upload bundles, run rollouts
    ADMIN = 3  # tokens


@dataclass(frozen=True, slots=True)
class Grant:
    """A role, on which sites (None: all). As text: `operator` or `operator@plant-1,plant-2`."""

    role: Role
    sites: frozenset[str] | None = None

    @classmethod
    def parse(cls, text: str) -> Grant:
        """ValueError says what is wrong."""
        role, at, sites = text.partition("@")
        if role.upper() not in Role.__members__:
            raise ValueError(f"{role!r} is no role; viewer, operator or admin")
        names = frozenset(name.strip() for name in sites.split(",")) if at else None
        if names is not None and not all(re.fullmatch(NAME_SITE_NODE_PATTERN, name) for name in names):
            raise ValueError(f"{sites!r} are no sites")
        return cls(Role[role.upper()], names)

    @classmethod
    def highest(cls, grants: Iterable[Grant]) -> Grant | None:
        """The highest role, on all sites where it is granted; None where nothing is granted at all."""
        found = list(grants)
        if not found:
            return None
        role = max(grant.role for grant in found)
        sites = [grant.sites for grant in found if grant.role == role]
        everywhere = any(one is None for one in sites)
        return cls(role, None if everywhere else frozenset().union(*(one for one in sites if one is not None)))


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is asking."""

    token_id: str
    label: str
    role: Role
    sites: frozenset[str] | None = None  # None: all
    areas: frozenset[str] | None = None  # None: all

    def require(self, role: Role) -> None:
        if self.role < role:
            raise ForbiddenError(
                Said(
                    "this needs the role %(role)s; token %(token)r is %(own)s",
                    role=role.name.lower(),
                    token=self.label,
                    own=self.role.name.lower(),
                )
            )

    def within(self, area: str) -> None:
        if self.areas is not None and area not in self.areas:
            raise ForbiddenError(Said("token %(token)r is not for %(area)s", token=self.label, area=area))

    def at(self, *sites: str) -> None:
        """ForbiddenError unless the role is granted on all of these."""
        for site in sites:
            if self.sites is not None and site not in self.sites:
                raise ForbiddenError(Said("token %(token)r has no role on site %(site)s", token=self.label, site=site))

    def everywhere(self) -> None:
        """ForbiddenError unless the role is granted on all sites there may be."""
        if self.sites is not None:
            raise ForbiddenError(
                Said(
                    "this concerns all sites; token %(token)r has its role on %(sites)s",
                    token=self.label,
                    sites=", ".join(sorted(self.sites)),
                )
            )

    def only(self, query: Select[*Ts], site: InstrumentedAttribute[str]) -> Select[*Ts]:
        """The query, confined to the sites on which the role is granted."""
        return query if self.sites is None else query.where(site.in_(self.sites))


def create(
    session: Session,
    label: str,
    role: Role,
    now_ms: int,
    *,
    days: int = DAYS,
    sites: list[str] | None = None,
    areas: list[str] | None = None,
) -> tuple[Token, str]:
    """The row and the token itself, which cannot be had again."""
    token = Token(id=str(ULID()), label=label, role=role.name.lower(), created_ms=now_ms, hash="", sites=sites, areas=areas)
    token.expires_ms = now_ms + days * _DAY_MS
    secret = secrets.token_urlsafe(32)
    token.hash = _hash(secret)
    session.add(token)
    session.flush()
    return token, f"{PREFIX}_{token.id}_{secret}"


def sign_in(session: Session, subject: str, name: str, grant: Grant, now_ms: int, lasts_s: int) -> Token:
    """The token behind the sessions of a person whom an identity provider knows: one for each, with the role of the newest
    sign-in, and worth nothing outside a session. One that was revoked stays so; the next sign-in makes another."""
    token = session.scalar(select(Token).where(Token.subject == subject, Token.revoked_ms.is_(None)).with_for_update())
    if token is None:
        token, _ = create(session, "", grant.role, now_ms)
        token.subject = subject
    token.label, token.role = name[:LABEL_MAX], grant.role.name.lower()
    token.sites = sorted(grant.sites) if grant.sites is not None else None
    token.expires_ms = now_ms + lasts_s * 1000
    session.flush()
    return token


def token_id(text: str | None) -> str:
    """Which token this claims to be. CredentialError: it is none at all."""
    parts = (text or "").split("_", 2)
    if len(parts) != 3 or parts[0] != PREFIX:
        raise CredentialError("a bearer token is needed: whir fleet token create --role viewer")
    return parts[1]


def identify(session: Session, text: str | None, now_ms: int) -> Identity:
    """CredentialError without saying what was wrong with it."""
    token = session.get(Token, token_id(text))
    secret = (text or "").split("_", 2)[2]
    if token is None or not hmac.compare_digest(token.hash, _hash(secret)):
        raise CredentialError(Said("the token is not valid"))
    return _identity(token, now_ms)


def of_token(session: Session, token_id: str, now_ms: int) -> Identity:
    """Of a token that was shown before, such as the one that a console's session was opened with."""
    token = session.get(Token, token_id)
    if token is None:
        raise CredentialError(Said("the token is not valid"))
    return _identity(token, now_ms)


def _identity(token: Token, now_ms: int) -> Identity:
    if token.revoked_ms is not None:
        raise CredentialError(Said("the token is not valid"))
    if token.expires_ms <= now_ms:
        raise CredentialError(Said("the token has expired"))
    sites, areas = (frozenset(names) if names is not None else None for names in (token.sites, token.areas))
    return Identity(token.id, token.label, Role[token.role.upper()], sites, areas)


def listed(session: Session) -> list[Token]:
    return list(session.scalars(select(Token).order_by(Token.id)))


def revoke(session: Session, token_id: str, now_ms: int) -> None:
    token = session.get(Token, token_id)
    if token is None:
        raise NotFoundError(Said("no token %(token)s", token=token_id))
    token.revoked_ms = token.revoked_ms or now_ms


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def secret_file(path: Path) -> str:
    """A random secret that is made once and readable by its owner only. SettingsError: there is one that everybody knows."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32))
    return known_secrets.refuse(str(path), path.read_text().strip())


def write_private(path: Path, text: str) -> None:
    """Writes with mode 0600 from the first byte on."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(text)
