"""API tokens and their roles. A token is shown once; the database keeps its SHA-256 (it is 256 random bits, not a password)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session
from ulid import ULID

from whir_fleet.errors import CredentialError, ForbiddenError, NotFoundError
from whir_fleet.models import Token

PREFIX = "whir"


class Role(IntEnum):
    """Each may do what the ones before it may."""

    VIEWER = 1  # read
    OPERATOR = 2  # acknowledge alerts, upload bundles, run rollouts
    ADMIN = 3  # tokens


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is asking."""

    token_id: str
    label: str
    role: Role

    def require(self, role: Role) -> None:
        if self.role < role:
            raise ForbiddenError(f"this needs the role {role.name.lower()}; token {self.label!r} is {self.role.name.lower()}")


def create(session: Session, label: str, role: Role, now_ms: int) -> tuple[Token, str]:
    """The row and the token itself, which cannot be had again."""
    token = Token(id=str(ULID()), label=label, role=role.name.lower(), created_ms=now_ms, hash="")
    secret = secrets.token_urlsafe(32)
    token.hash = _hash(secret)
    session.add(token)
    session.flush()
    return token, f"{PREFIX}_{token.id}_{secret}"


def identify(session: Session, text: str | None) -> Identity:
    """CredentialError without saying what was wrong with it."""
    parts = (text or "").split("_", 2)
    if len(parts) != 3 or parts[0] != PREFIX:
        raise CredentialError("a bearer token is needed: whir fleet token create --role viewer")
    token = session.get(Token, parts[1])
    if token is None or token.revoked_ms is not None or not hmac.compare_digest(token.hash, _hash(parts[2])):
        raise CredentialError("the token is not valid")
    return Identity(token.id, token.label, Role[token.role.upper()])


def listed(session: Session) -> list[Token]:
    return list(session.scalars(select(Token).order_by(Token.id)))


def revoke(session: Session, token_id: str, now_ms: int) -> None:
    token = session.get(Token, token_id)
    if token is None:
        raise NotFoundError(f"no token {token_id}")
    token.revoked_ms = token.revoked_ms or now_ms


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def secret_file(path: Path) -> str:
    """A random secret that is made once and readable by its owner only."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32))
    return path.read_text().strip()


def write_private(path: Path, text: str) -> None:
    """Writes with mode 0600 from the first byte on."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(text)
