"""The console's session: a cookie that scripts and other sites do not get, and that is worth no more than its token."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from whir_fleet import auth, notify
from whir_fleet.auth import Role
from whir_fleet.clock import now_ms
from whir_fleet.console import session
from whir_fleet.service import FleetService
from whir_fleet.settings import Settings

SignIn = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetService]:
    settings = Settings.load(data_dir=tmp_path_factory.mktemp("session") / "data", api_port=0, broker_port=0)
    with FleetService(settings) as started:
        yield started


@pytest.fixture
def http(service: FleetService) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{service.url}/console", headers={"Origin": service.url}, timeout=60) as client:
        yield client


@pytest.fixture
def sign_in(service: FleetService, http: httpx.Client) -> SignIn:
    def sign(role: Role = Role.OPERATOR, **headers: str) -> httpx.Response:
        return http.post("/sign-in", data={"token": service.create_token("t", role)}, headers=headers)

    return sign


def is_in(http: httpx.Client) -> bool:
    answer = http.get("/alerts")
    assert answer.status_code == 200 or "/sign-in" in answer.headers["location"]
    return answer.status_code == 200


def test_the_cookie_is_kept_from_scripts_and_other_sites_and_holds_no_secret(http: httpx.Client, sign_in: SignIn) -> None:
    set_cookie = sign_in().headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict"} <= set(set_cookie.split("; ")) and "Secure" not in set_cookie
    assert "whir_" not in http.cookies[session.COOKIE], "the token's own text"
    assert is_in(http)
    assert "Secure" in sign_in(**{"X-Forwarded-Proto": "https"}).headers["set-cookie"].split("; ")


def test_a_forged_cookie_and_an_old_one_open_nothing(
    service: FleetService, http: httpx.Client, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in()
    payload, rest = http.cookies[session.COOKIE].split(".", 1)
    for forged in (payload, f"{payload[:-1]}{'A' if payload[-1] != 'A' else 'B'}.{rest}", ""):
        answer = httpx.get(f"{service.url}/console/alerts", headers={"Cookie": f"{session.COOKIE}={forged}"})
        assert "/sign-in" in answer.headers["location"]
    assert is_in(http)
    monkeypatch.setattr(session, "LASTS_S", -1)
    assert not is_in(http)


def test_a_session_ends_with_its_token(service: FleetService, http: httpx.Client, sign_in: SignIn) -> None:
    sign_in()
    assert is_in(http)
    with service.database.write() as database:
        for token in auth.listed(database):
            auth.revoke(database, token.id, now_ms())
    assert not is_in(http)


@pytest.mark.parametrize(
    "sent_from", [{"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": ""}]
)
def test_what_another_sites_page_sends_changes_nothing(http: httpx.Client, sign_in: SignIn, sent_from: dict[str, str]) -> None:
    sign_in(Role.ADMIN)
    token = {"label": "mine", "role": "viewer"}
    assert http.post("/settings/tokens", data=token, headers=sent_from).status_code == 403
    assert http.post("/settings/tokens", data=token).status_code < 400


def test_a_session_and_a_webhooks_secret_are_the_same_at_every_process_that_shares_the_secret_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("url-signing-secret")
    common = {"database_url": f"sqlite:///{tmp_path / 'fleet.db'}", "secret_file": tmp_path / "secret", "api_port": 0}
    common |= {"broker": "mqtt://fleet@127.0.0.1:9", "broker_password": "fleet-password"}  # the API alone needs no broker
    parts = [FleetService(Settings.load(data_dir=tmp_path / name, **common), frozenset({"api"})) for name in ("one", "two")]
    with parts[0] as one, parts[1] as two, httpx.Client(timeout=60) as http:
        token = one.create_token("t", Role.ADMIN)
        http.post(f"{one.url}/console/sign-in", data={"token": token}, headers={"Origin": one.url})
        assert http.get(f"{two.url}/console/alerts").status_code == 200
        hook = {"name": "on-call", "kind": "webhook", "target": "http://127.0.0.1:9/"}
        made = http.post(f"{one.url}/api/v1/channels", json=hook, headers={"Authorization": f"Bearer {token}"}).json()
        assert made["secret"] == notify.webhook_secret("url-signing-secret", made["id"])  # the worker signs with it
    assert not (tmp_path / "one" / "secret").exists()
