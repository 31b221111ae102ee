"""Deliveries arrive: webhooks at an HTTP server, verified by the library of Standard Webhooks; e-mail at an SMTP server."""

from __future__ import annotations

import datetime
import ipaddress
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import select
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from whir_fleet import notify
from whir_fleet.db import Database
from whir_fleet.errors import SettingsError
from whir_fleet.messages import Inbound
from whir_fleet.models import Channel, Delivery
from whir_fleet.notifier import Notifier
from whir_fleet.settings import Settings
from whir_fleet.store import store

SECRET = "the service's own secret"
Says = Callable[..., Inbound]


class Hook:
    """An HTTP server that answers what it is told to, and keeps what it got."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the library's name
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.got.append((dict(self.headers), body))
                self.send_response(hook.answers.pop(0) if hook.answers else 204)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.server.shutdown()
    made.server.server_close()


@contextmanager
def running(database: Database, **settings: object) -> Iterator[None]:
    notifier = Notifier(Settings.load(**settings), database, SECRET)
    thread = threading.Thread(target=notifier.run)
    thread.start()
    try:
        yield
    finally:
        notifier.stop()
        thread.join()


def channel(database: Database, target: str, kind: str = "webhook") -> str:
    values: dict[str, Any] = {"sites": None, "min_severity": "warning", "after_s": 0, "created_by": "x"}
    with database.write() as session:
        return notify.add_channel(session, Channel(name="c", kind=kind, target=target, **values), 1).id


def put(database: Database, *messages: Inbound) -> None:
    for message in messages:
        with database.write() as session:
            store(session, [message], 100)


def states(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(select(Delivery.state).order_by(Delivery.id)))


def wait(done: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 30
    while not done():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def test_a_webhook_is_signed_so_that_the_standards_own_library_verifies_it(database: Database, hook: Hook, says: Says) -> None:
    channel_id = channel(database, hook.url)
    put(database, says("alert", seq=5), says("alert", seq=6, state="cleared"))
    with running(database):
        wait(lambda: states(database) == ["delivered"] * 2)
    library = Webhook(notify.webhook_secret(SECRET, channel_id))
    messages = [library.verify(body, {name.lower(): value for name, value in headers.items()}) for headers, body in hook.got]
    assert [(m["type"], m["data"]["machine"], m["data"]["state"]) for m in messages] == [
        ("alert.open", "n1", "open"),
        ("alert.clear", "n1", "resolved"),
    ]
    headers, body = hook.got[0]
    for forged in (body.replace(b"warning", b"trivial"), body + b" "):
        with pytest.raises(WebhookVerificationError):
            library.verify(forged, {name.lower(): value for name, value in headers.items()})
    with pytest.raises(WebhookVerificationError):
        Webhook(notify.webhook_secret(SECRET, "another")).verify(body, {n.lower(): v for n, v in headers.items()})


def test_a_webhook_that_fails_comes_again_under_the_same_id_and_in_order_and_is_dead_in_the_end(
    database: Database, hook: Hook, says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "BACKOFF_S", (0, 0))
    channel(database, hook.url)
    hook.answers = [500, 302, 204, 204, 500, 500, 500]
    put(database, says("alert", seq=5), says("alert", seq=6, severity="critical"))
    with running(database):
        wait(lambda: states(database) == ["delivered", "delivered"])
        put(database, says("alert", seq=7, state="cleared"))
        wait(lambda: states(database)[2] == "dead")
    assert [json.loads(body)["type"] for _, body in hook.got] == [
        *["alert.open"] * 3, "alert.worsen", *["alert.clear"] * 3,
    ]  # fmt: skip
    assert len({headers["webhook-id"] for headers, _ in hook.got}) == 3
    with database.read() as session:
        assert session.scalars(select(Delivery.error).order_by(Delivery.id)).all() == [None, None, "HTTP 500"]


def test_a_channel_that_cannot_be_reached_holds_up_no_other(database: Database, hook: Hook, says: Says) -> None:
    channel(database, "http://127.0.0.1:9/")
    channel(database, hook.url)
    put(database, says("alert", seq=5))
    with running(database):
        wait(lambda: sorted(states(database)) == ["delivered", "pending"])
        wait(lambda: errors(database) != [])
    assert "ConnectError" in errors(database)[0]


def errors(database: Database) -> list[str]:
    with database.read() as session:
        return [error for error in session.scalars(select(Delivery.error)) if error is not None]


def again(database: Database) -> None:
    """Now instead of when its time has come."""
    with database.write() as session:
        session.scalars(select(Delivery)).one().next_ms = 0


class Inbox:
    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.recipients: list[list[str]] = []

    async def handle_DATA(self, _server: object, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert envelope.content is not None
        self.messages.append(message_from_bytes(bytes(envelope.content), policy=policy.default))
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 OK"


def certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - datetime.timedelta(1), now + datetime.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert, private = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return cert, private


def test_an_email_arrives_at_a_mail_server(database: Database, says: Says, free_port: Callable[[], int]) -> None:
    inbox = Inbox()
    port = free_port()
    server = Controller(inbox, hostname="127.0.0.1", port=port)
    server.start()
    channel(database, "oncall@plant.example", "email")
    put(database, says("alert", seq=5, machine="pump\r\nBcc: thief@example.org", model="m", counter=1))
    try:
        with running(database, smtp=f"smtp://127.0.0.1:{port}", smtp_from="whir@plant.example"):
            wait(lambda: states(database) == ["delivered"])
    finally:
        server.stop()
    (message,) = inbox.messages
    assert inbox.recipients == [["oncall@plant.example"]]
    assert message["Subject"] == "[whir] open: lab/pump Bcc: thief@example.org bearing (warning)"
    assert (message["From"], message["To"], message["Bcc"]) == ("whir@plant.example", "oncall@plant.example", None)
    assert "Heard by: n1" in message.get_content().splitlines()


def test_the_password_goes_over_tls_only_and_a_wrong_one_is_a_failure_that_is_told(
    database: Database, says: Says, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_port: Callable[[], int]
) -> None:
    cert, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    tries: list[bytes] = []

    def authenticate(_server: object, session: Session, _envelope: object, _mechanism: str, data: LoginPassword) -> AuthResult:
        assert session.ssl is not None
        tries.append(data.password)
        return AuthResult(success=data == LoginPassword(b"whir", b"right-word"), handled=False)

    inbox = Inbox()
    options = {"tls_context": context, "require_starttls": True, "authenticator": authenticate, "auth_required": True}
    port = free_port()
    server = Controller(inbox, hostname="127.0.0.1", port=port, **options)
    server.start()
    channel(database, "oncall@plant.example", "email")
    put(database, says("alert", seq=5))
    password = tmp_path / "password"
    password.write_text("wrong-word\n")
    try:
        mail = {"smtp": f"smtp+starttls://whir@127.0.0.1:{port}", "smtp_password_file": password}
        with running(database, **mail):
            wait(lambda: bool(errors(database)))
        assert "SSLCertVerificationError" in errors(database)[0]  # nobody vouches for it
        assert tries == []
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
        again(database)
        with running(database, **mail):
            wait(lambda: "SMTPAuthenticationError" in errors(database)[0])
        password.write_text("right-word\n")
        again(database)
        with running(database, **mail):
            wait(lambda: states(database) == ["delivered"])
    finally:
        server.stop()
    assert set(tries[:-1]) == {b"wrong-word"}
    assert tries[-1] == b"right-word"


@pytest.mark.parametrize(
    ("smtp", "why"),
    [
        ("smtp://user@host", "open line"),
        ("smtps://user:pass@host", "must not hold the password"),
        ("http://host", "is smtp"),
        ("smtps:", "is smtp"),
    ],
)
def test_a_mail_server_that_would_give_the_password_away_is_refused(smtp: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        Settings.load(smtp=smtp)
