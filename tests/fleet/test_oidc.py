"""People sign in by a real OpenID provider on this machine: what the console makes of its answers, right and wrong ones."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import oidc_provider_mock
import pytest
from sqlalchemy import select
from werkzeug.serving import make_server

from whir_fleet import auth
from whir_fleet.auth import Grant, Role
from whir_fleet.clock import now_ms
from whir_fleet.console.oidc import COOKIE
from whir_fleet.errors import SettingsError
from whir_fleet.models import AuditEntry, Token
from whir_fleet.service import FleetService
from whir_fleet.settings import Settings

ROLES = {"whir-admins": "admin", "pumps": "operator@plant-1", "fans": "operator@plant-2", "everybody": "viewer"}
ANSWER = "/console/sign-in/provider/answer"


class Pkce:
    """In front of the provider, which knows no PKCE: gives a token only for the verifier of the challenge that it saw."""

    def __init__(self, provider: Callable[..., Iterable[bytes]]) -> None:
        self._provider = provider
        self.challenges: set[str] = set()
        self.thin = False  # the ID token has no groups: they are told at the userinfo endpoint only

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/oauth2/authorize":
            query = parse_qs(environ["QUERY_STRING"])
            assert query["code_challenge_method"] == ["S256"]
            self.challenges.add(query["code_challenge"][0])
        if environ["PATH_INFO"] == "/oauth2/token":
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            environ["wsgi.input"] = io.BytesIO(body)
            verifier = parse_qs(body.decode())["code_verifier"][0]
            digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
            if digest not in self.challenges:
                start_response("400 Bad Request", [("Content-Type", "application/json")])
                return [b'{"error": "invalid_grant"}']
        return self._provider(environ, start_response)


@contextmanager
def provider(**options: Any) -> Iterator[str]:
    """Its address."""
    server = make_server("localhost", 0, Pkce(oidc_provider_mock.app(**options)), threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module", autouse=True)
def insecure() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")  # the provider's library wants https of itself
        yield


@pytest.fixture(scope="module")
def issuer(insecure: None) -> Iterator[str]:
    with provider() as url:
        yield url


@contextmanager
def fleet(folder: Path, issuer: str) -> Iterator[FleetService]:
    settings = Settings.load(
        data_dir=folder, api_port=0, broker_port=0, oidc_issuer=issuer, oidc_roles=ROLES, oidc_client_secret="console-secret"
    )
    with FleetService(settings) as started:
        yield started


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, issuer: str) -> Iterator[FleetService]:
    with fleet(tmp_path_factory.mktemp("oidc"), issuer) as started:
        yield started


class Browser:
    """Goes where it is sent, keeps cookies, and signs in at the provider as the person that it is told."""

    def __init__(self, service: FleetService) -> None:
        self.http = httpx.Client(base_url=service.url, timeout=60)

    def begin(self, **asked: str) -> str:
        """Where the console sends it."""
        answer = self.http.get("/console/sign-in/provider", params=asked)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    def agree(self, url: str, sub: str, **claims: Any) -> str:
        """Where the provider sends it back to."""
        parts = urlsplit(url)
        httpx.put(f"{parts.scheme}://{parts.netloc}/users/{sub}", json=claims).raise_for_status()
        answer = httpx.post(url, data={"sub": sub})
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]

    def sign_in(self, sub: str, **claims: Any) -> httpx.Response:
        return self.http.get(self.agree(self.begin(), sub, **claims))


@pytest.fixture
def browser(service: FleetService) -> Iterator[Browser]:
    made = Browser(service)
    yield made
    made.http.close()


def said(answer: httpx.Response) -> str:
    """The error on the page."""
    found = re.search(r'role="alert">([^<]*)<', answer.text)
    return found[1] if found else ""


def test_a_person_signs_in_with_the_role_of_his_group_and_is_named_in_the_audit_log(
    service: FleetService, browser: Browser
) -> None:
    assert "/console/sign-in/provider?next=/alerts" in browser.http.get("/console/sign-in?next=/alerts").text
    back = browser.agree(browser.begin(next="/machines"), "anna", email="anna@plant.example", groups=["pumps", "canteen"])
    signed_in = browser.http.get(back)
    assert (signed_in.status_code, 'content="0;url=/console/machines"' in signed_in.text) == (200, True)
    page = browser.http.get("/console/alerts")
    assert page.status_code == 200 and "anna@plant.example" in page.text
    assert browser.http.get("/console/settings/tokens").status_code == 403
    own = {"Origin": service.url}
    window = {"site": "plant-1", "machine": "pump", "hours": "1", "why": "oil"}
    assert browser.http.post("/console/settings/maintenance", data=window, headers=own).status_code == 303
    assert browser.http.post("/console/settings/maintenance", data=window | {"site": "plant-2"}, headers=own).status_code == 403
    with service.database.read() as session:
        entries = {entry.action: entry for entry in session.scalars(select(AuditEntry))}
    first, change = entries["tokens.sign_in"], entries["alerts.plan"]
    assert (first.who, change.who, first.token_id) == ("anna@plant.example", "anna@plant.example", change.token_id)
    assert first.detail["role"] == "operator" and first.detail["sites"] == ["plant-1"]
    assert first.detail["subject"].endswith(" anna")


def test_the_next_sign_in_has_the_role_of_the_groups_then_and_a_revoked_person_is_out_at_once(
    service: FleetService, browser: Browser
) -> None:
    browser.sign_in("ben", name="Ben", groups=["whir-admins"])
    assert browser.http.get("/console/settings/tokens").status_code == 200
    browser.sign_in("ben", name="Ben", groups=["everybody"])
    assert browser.http.get("/console/settings/tokens").status_code == 403
    with service.database.write() as session:
        (token,) = session.scalars(select(Token).where(Token.label == "Ben")).all()
        assert token.expires_ms < now_ms() + 86_400_000
        auth.revoke(session, token.id, now_ms())
    assert "/sign-in" in browser.http.get("/console/alerts").headers["location"]


@pytest.mark.parametrize(
    ("groups", "wanted"),
    [
        (["pumps", "fans"], Grant(Role.OPERATOR, frozenset({"plant-1", "plant-2"}))),
        (["pumps", "everybody"], Grant(Role.OPERATOR, frozenset({"plant-1"}))),
        (["pumps", "whir-admins"], Grant(Role.ADMIN)),
        ([], None),
    ],
)
def test_of_several_groups_the_highest_role_counts_on_all_its_sites(groups: list[str], wanted: Grant | None) -> None:
    assert Grant.highest(Grant.parse(ROLES[group]) for group in groups) == wanted


@pytest.mark.parametrize("claims", [{"groups": ["canteen"]}, {"groups": "whir"}, {"groups": None}, {}])
def test_who_has_no_role_here_stays_outside(browser: Browser, claims: dict[str, Any]) -> None:
    answer = browser.sign_in("carl", **claims)
    assert answer.status_code == 403
    assert "carl has no role here" in said(answer).lower()
    assert "/sign-in" in browser.http.get("/console/alerts").headers["location"]


def test_an_answer_to_another_question_opens_nothing(service: FleetService, browser: Browser) -> None:
    url = browser.begin()
    nonce = parse_qs(urlsplit(url).query)["nonce"][0]
    wrong = browser.http.get(browser.agree(url.replace(nonce, "another"), "anna", groups=["whir-admins"]))
    assert wrong.status_code == 401 and "nonce" in said(wrong)
    stolen = browser.agree(browser.begin(), "anna", groups=["whir-admins"])
    thief = Browser(service)
    assert "not begun here" in said(thief.http.get(stolen))  # without the cookie of the one who asked
    thief.begin()
    assert "not begun here" in said(thief.http.get(stolen))  # with one of his own
    state = parse_qs(urlsplit(thief.begin()).query)["state"][0]
    code = parse_qs(urlsplit(stolen).query)["code"][0]
    assert "said no: invalid" in said(thief.http.get(ANSWER, params={"state": state, "code": code}))
    denied = browser.begin()
    state = parse_qs(urlsplit(denied).query)["state"][0]
    assert "access_denied" in said(browser.http.get(ANSWER, params={"state": state, "error": "access_denied"}))
    assert "/sign-in" in browser.http.get("/console/alerts").headers["location"]
    thief.http.close()


def test_the_cookie_of_the_way_there_is_kept_from_scripts_and_ends_with_it(browser: Browser) -> None:
    answer = browser.http.get("/console/sign-in/provider")
    assert {"HttpOnly", "SameSite=lax", "Path=/console/sign-in/provider"} <= set(answer.headers["set-cookie"].split("; "))
    browser.http.get(browser.agree(answer.headers["location"], "dora", groups=["everybody"]))
    assert COOKIE not in browser.http.cookies
    assert browser.http.get("/console/sign-in/provider?next=//elsewhere.example").status_code == 303


def test_an_expired_token_a_foreign_discovery_document_and_a_provider_that_is_down_are_told_apart(tmp_path: Path) -> None:
    with provider(access_token_max_age=timedelta(minutes=-10)) as slow, fleet(tmp_path, slow) as service:
        browser = Browser(service)
        answer = browser.sign_in("anna", groups=["whir-admins"])
        assert answer.status_code == 401 and "expired" in said(answer)
        waiting = browser.agree(browser.begin(), "anna", groups=["whir-admins"])
        service.settings.oidc_issuer = slow + "/"
        foreign = browser.http.get("/console/sign-in/provider")
        assert foreign.status_code == 503 and "discovery document is of" in said(foreign)
        service.settings.oidc_issuer = "http://127.0.0.1:9"
        for path in ("/console/sign-in/provider", waiting):
            down = browser.http.get(path)
            assert down.status_code == 503 and "ConnectError" in said(down), path
        token = service.create_token("t", Role.VIEWER)  # a token still opens the door
        assert browser.http.post("/console/sign-in", data={"token": token}, headers={"Origin": service.url}).status_code == 303
        browser.http.close()


def test_without_a_provider_there_is_no_such_door(tmp_path: Path) -> None:
    with FleetService(Settings.load(data_dir=tmp_path, api_port=0, broker_port=0)) as service:
        assert "sign-in/provider" not in httpx.get(f"{service.url}/console/sign-in").text
        assert httpx.get(f"{service.url}/console/sign-in/provider").status_code == 404


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"oidc_issuer": "http://login.plant.example"}, "https://"),
        ({"oidc_roles": {"a": "boss"}}, "'boss' is no role"),
        ({"oidc_roles": {"a": "viewer@Plant 1"}}, "'Plant 1' are no sites"),
    ],
)
def test_a_wrong_setting_is_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        Settings.load(**wrong)
