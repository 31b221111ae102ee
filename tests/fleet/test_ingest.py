"""Ingest on a real broker: acknowledges only what is committed, and one bad message does not hold up the others."""

from __future__ import annotations

import datetime
import ipaddress
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import select, text

from whir_fleet.db import Database
from whir_fleet.errors import BrokerError, LeaseLostError
from whir_fleet.ingest import LEASE, Ingest
from whir_fleet.leases import acquire
from whir_fleet.link import BrokerAddress, client
from whir_fleet.models import DeadLetter, Telemetry
from whir_fleet.settings import Settings


class Running:
    """Ingest in a thread, with the error that ended it."""

    def __init__(self, settings: Settings, database: Database, address: BrokerAddress) -> None:
        self.ingest = Ingest(settings, database, address)
        self.error: Exception | None = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.ingest.run()
        except Exception as error:
            self.error = error

    def stop(self) -> None:
        self.ingest.stop()
        self.thread.join(10)


@pytest.fixture
def start(database: Database, mosquitto: Callable[..., Any]) -> Iterator[Callable[..., Running]]:
    broker = mosquitto(persistence=True)
    running: list[Running] = []

    def make(password: str = broker.password) -> Running:
        address = BrokerAddress(broker.host, broker.port, broker.user, password)
        running.append(Running(Settings.load(linger_ms=200), database, address))
        return running[-1]

    yield make
    for one in running:
        one.stop()


@pytest.fixture
def publish() -> Callable[..., None]:
    """Sends telemetry of node n1 with these numbers; `verdict` for all of them."""

    def send(running: Running, seqs: range, verdict: str = "normal") -> None:
        address = running.ingest._address
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        client.username_pw_set(address.user, address.password)
        client.connect(address.host, address.port)
        client.loop_start()
        for seq in seqs:
            body = {"v": 1, "boot": 1, "seq": seq, "ts": seq, "synced": True, "verdict": verdict, "p": 900, "windows": 1}
            client.publish("whir/v1/lab/n1/telemetry", json.dumps(body), 1).wait_for_publish(10)
        client.disconnect()
        client.loop_stop()

    return send


def until(what: Callable[[], bool], seconds: float = 15) -> None:
    give_up = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < give_up, "it did not come"
        time.sleep(0.02)


def stored(database: Database) -> list[int]:
    with database.read() as session:
        return list(session.scalars(select(Telemetry.seq).order_by(Telemetry.seq)))


def test_a_message_that_the_database_refuses_is_buried_and_its_batch_is_stored(
    database: Database, start: Callable[..., Running], publish: Callable[..., None]
) -> None:
    refuse = "CREATE TRIGGER refuse BEFORE INSERT ON telemetry WHEN NEW.verdict = 'poison' BEGIN SELECT RAISE(ABORT, 'no'); END"
    if not database.is_sqlite:
        refuse = "ALTER TABLE telemetry ADD CONSTRAINT refuse CHECK (verdict <> 'poison')"
    with database.write() as session:
        session.execute(text(refuse))
    running = start()
    until(lambda: running.ingest.connected)
    publish(running, range(1, 10))
    publish(running, range(10, 11), verdict="poison")
    publish(running, range(11, 20))
    until(lambda: len(stored(database)) == 18)
    with database.read() as session:
        letter = session.scalars(select(DeadLetter)).one()
    assert "cannot be stored" in letter.reason
    assert b'"seq": 10' in letter.payload
    assert running.ingest.counters.unreadable == 1


def test_what_was_not_committed_stays_with_the_broker_for_the_next_ingest(
    database: Database, start: Callable[..., Running], publish: Callable[..., None]
) -> None:
    first = start()
    until(lambda: first.ingest.connected)
    publish(first, range(1, 2))
    until(lambda: stored(database) == [1])
    with database.write() as session:  # somebody else takes over: from now on the first one must write nothing
        session.execute(text("UPDATE lease SET expires_ms = 0"))
        assert acquire(session, LEASE, "other", 0)
    publish(first, range(2, 30))
    first.thread.join(10)
    assert isinstance(first.error, LeaseLostError)
    assert stored(database) == [1]
    with database.write() as session:
        session.execute(text("UPDATE lease SET expires_ms = 0"))
    second = start()
    until(lambda: stored(database) == list(range(1, 30)))
    assert second.ingest.counters.duplicates == 0


def test_a_wrong_password_ends_it_with_what_to_do(start: Callable[..., Running]) -> None:
    running = start(password="wrong")
    running.thread.join(10)
    assert isinstance(running.error, BrokerError)
    assert "check user name and password" in str(running.error)
    assert "wrong" not in str(running.error)


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test broker")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "broker.pem", folder / "broker.key"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pkcs8 = serialization.PrivateFormat.PKCS8
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, pkcs8, serialization.NoEncryption()))
    return files


def test_mqtts_speaks_tls_and_trusts_nobody_by_default(
    database: Database,
    mosquitto: Callable[..., Any],
    free_port: Callable[[], int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    certificate, key = _certificate(tmp_path)
    port = free_port()
    extra = f"listener {port} 127.0.0.1\ncertfile {certificate}\nkeyfile {key}"
    broker = mosquitto(extra=extra)
    address = BrokerAddress.parse(f"mqtts://{broker.user}@127.0.0.1:{port}", broker.password)
    with pytest.raises(ssl.SSLCertVerificationError):
        client(address, "stranger", persistent=False).connect(address.host, address.port)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    running = Running(Settings.load(), database, address)
    until(lambda: running.ingest.connected)
    running.stop()
    assert running.error is None


def test_the_passwords_of_an_address_are_not_shown(tmp_path: Path) -> None:
    address = BrokerAddress.parse("mqtts://fleet@plant", "secret")
    assert (address.port, address.tls, repr(address)) == (8883, True, "BrokerAddress(mqtts://fleet@plant:8883)")
