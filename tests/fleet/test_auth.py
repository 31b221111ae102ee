"""Tokens: only the hash is kept, roles contain each other, a revoked one opens nothing."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from whir_fleet import auth
from whir_fleet.auth import Identity, Role, secret_file
from whir_fleet.db import Database
from whir_fleet.errors import CredentialError, ForbiddenError, NotFoundError
from whir_fleet.models import Token


def test_a_token_identifies_its_holder_and_its_text_is_nowhere_in_the_database(database: Database, tmp_path: Path) -> None:
    with database.write() as session:
        row, token = auth.create(session, "dashboard", Role.OPERATOR, 5)
    with database.read() as session:
        assert auth.identify(session, token, 6) == Identity(row.id, "dashboard", Role.OPERATOR)
    secret = token.split("_", 2)[2].encode()
    assert not any(secret in path.read_bytes() for path in tmp_path.glob("fleet.db*"))


@pytest.mark.parametrize(
    "change", [lambda t: None, lambda t: "", lambda t: t[:-1], lambda t: t + "x", lambda t: "whir_x_y", str.upper]
)
def test_a_wrong_token_is_refused(database: Database, change: object) -> None:
    with database.write() as session:
        _, token = auth.create(session, "a", Role.VIEWER, 5)
    with database.read() as session, pytest.raises(CredentialError):
        auth.identify(session, change(token), 6)


def test_a_revoked_token_is_refused_and_revoking_keeps_its_first_time(database: Database) -> None:
    with database.write() as session:
        row, token = auth.create(session, "a", Role.VIEWER, 5)
        auth.revoke(session, row.id, 6)
        auth.revoke(session, row.id, 7)
        assert session.get_one(Token, row.id).revoked_ms == 6
        with pytest.raises(CredentialError):
            auth.identify(session, token, 8)
        with pytest.raises(NotFoundError):
            auth.revoke(session, "nope", 8)


@pytest.mark.parametrize("has", Role)
@pytest.mark.parametrize("needs", Role)
def test_each_role_may_do_what_the_ones_before_it_may(has: Role, needs: Role) -> None:
    who = Identity("1", "x", has)
    if has >= needs:
        who.require(needs)
    else:
        with pytest.raises(ForbiddenError, match=needs.name.lower()):
            who.require(needs)


def test_a_generated_secret_is_made_once_and_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    assert secret_file(path) == secret_file(path)
    assert len(secret_file(path)) >= 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_token_ends_with_its_last_day(database: Database) -> None:
    with database.write() as session:
        _, token = auth.create(session, "a", Role.VIEWER, 0, days=2)
        auth.identify(session, token, 2 * 86_400_000 - 1)
        with pytest.raises(CredentialError, match="expired"):
            auth.identify(session, token, 2 * 86_400_000)


def test_a_role_is_granted_on_sites_and_for_areas(database: Database) -> None:
    with database.write() as session:
        _, token = auth.create(session, "a", Role.OPERATOR, 0, sites=["lab", "plant"], areas=["alerts"])
        who = auth.identify(session, token, 1)
    who.at("lab", "plant")
    who.within("alerts")
    for refused in (lambda: who.at("lab", "other"), who.everywhere, lambda: who.within("tokens")):
        with pytest.raises(ForbiddenError):
            refused()
    everywhere = Identity("1", "x", Role.VIEWER)
    everywhere.at("any")
    everywhere.everywhere()
    everywhere.within("tokens")
