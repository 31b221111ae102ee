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

from whir_fleet import devices
from whir_fleet.broker import EmbeddedBroker, Users
from whir_fleet.clock import now_ms
from whir_fleet.db import Database
from whir_fleet.errors import BrokerError
from whir_fleet.ingest import LEASE, Ingest, drain, telemetry_filter, telemetry_session
from whir_fleet.leases import acquire
from whir_fleet.link import BrokerAddress
from whir_fleet.models import DeadLetter, Event, Node, Telemetry
from whir_fleet.mqtt_session import Session
from whir_fleet.settings import Settings
from whir_tools.bench.fleet.postgres import Postgres


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
        self.thread.join(60)
        assert not self.thread.is_alive()


@pytest.fixture
def broker(mosquitto: Callable[..., Any]) -> Any:
    return mosquitto(persistence=True)


@pytest.fixture
def address(broker: Any) -> BrokerAddress:
    return BrokerAddress(broker.host, broker.port, broker.user, broker.password)


@pytest.fixture
def start(database: Database, address: BrokerAddress) -> Iterator[Callable[..., Running]]:
    running: list[Running] = []

    def make(password: str = address.password, **settings: Any) -> Running:
        own = BrokerAddress(address.host, address.port, address.user, password)
        running.append(Running(Settings.load(**{"linger_ms": 200, **settings}), database, own))
        return running[-1]

    yield make
    for one in running:
        one.stop()


@pytest.fixture
def publish(address: BrokerAddress) -> Callable[..., None]:
    """Sends one message of node n1 for each of these numbers."""

    def send(seqs: range, topic: str = "telemetry", **fields: Any) -> None:
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        client.username_pw_set(address.user, address.password)
        client.connect(address.host, address.port)
        client.loop_start()
        own = {"telemetry": {"verdict": "normal", "p": 900, "windows": 1}, "event": {"kind": "boot"}}[topic]
        for seq in seqs:
            body = {"v": 1, "boot": 1, "seq": seq, "ts": seq, "synced": True, **own, **fields}
            sent = client.publish(f"whir/v1/lab/n1/{topic}", json.dumps(body), 1)
        until(sent.is_published)
        client.disconnect()
        client.loop_stop()

    return send


def until(what: Callable[[], bool], seconds: float = 120) -> None:
    give_up = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < give_up, "it did not come"
        time.sleep(0.02)


def stored(database: Database, model: type[Telemetry | Event] = Telemetry) -> list[int]:
    with database.read() as session:
        return list(session.scalars(select(model.seq).order_by(model.seq)))


def counted(database: Database) -> list[tuple[int, int]]:
    """(received, lost) per boot of node n1; by its name, as a process that lost the race to insert it used up an id."""
    with database.read() as session:
        node_id = session.scalars(select(Node.id).where(Node.name == "n1")).one()
        return [(boot["received"], boot["lost"]) for boot in devices.boots(session, node_id)]


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
    publish(range(1, 10))
    publish(range(10, 11), verdict="poison")
    publish(range(11, 20))
    until(lambda: len(stored(database)) == 18)
    with database.read() as session:
        letter = session.scalars(select(DeadLetter)).one()
    assert "cannot be stored" in letter.reason
    assert b'"seq": 10' in letter.payload
    until(lambda: running.ingest.counters.unreadable == 1)


def test_who_loses_the_lease_writes_nothing_more_and_the_messages_wait_at_the_broker(
    database: Database, start: Callable[..., Running], publish: Callable[..., None]
) -> None:
    running = start()
    until(lambda: running.ingest.connected)
    publish(range(1, 2), "event")
    until(lambda: stored(database, Event) == [1])
    with database.write() as session:  # somebody else takes over
        session.execute(text("UPDATE lease SET expires_ms = 0"))
        assert acquire(session, LEASE, "other", now_ms())
    publish(range(2, 30), "event")
    until(lambda: running.ingest.standby)
    assert stored(database, Event) == [1]
    with database.write() as session:
        session.execute(text("UPDATE lease SET expires_ms = 0"))
    until(lambda: stored(database, Event) == list(range(1, 30)))
    assert running.ingest.connected and not running.ingest.standby
    assert running.ingest.counters.duplicates == 0


def test_two_share_the_telemetry_and_one_of_them_reads_the_rest(
    database: Database, start: Callable[..., Running], publish: Callable[..., None]
) -> None:
    both = [start(instance="a"), start(instance="b")]
    until(lambda: all(one.ingest.connected for one in both) and sum(one.ingest.standby for one in both) == 1)
    publish(range(1, 301))
    publish(range(301, 311), "event")
    until(lambda: stored(database) == list(range(1, 301)) and stored(database, Event) == list(range(301, 311)))
    until(lambda: sum(one.ingest.counters.new for one in both) == 310)
    assert all(one.ingest.counters.new > 10 for one in both)  # in what parts, the broker decides
    assert counted(database) == [(310, 0)]


def test_what_comes_twice_is_counted_once_also_where_two_processes_take_it(
    database: Database, start: Callable[..., Running], publish: Callable[..., None]
) -> None:
    both = [start(instance="a"), start(instance="b")]
    until(lambda: all(one.ingest.connected for one in both))
    for _ in range(3):
        publish(range(1, 201))
        publish(range(201, 211), "event")
    until(lambda: sum(one.ingest.counters.new + one.ingest.counters.duplicates for one in both) == 3 * 210)
    assert (stored(database), stored(database, Event)) == (list(range(1, 201)), list(range(201, 211)))
    assert counted(database) == [(210, 0)]


def test_the_embedded_broker_outlives_an_ingest_that_leaves_messages_unacknowledged(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path, "127.0.0.1", 0, Users.load(tmp_path / "users.toml")) as embedded:
        for sent in (5, 0):  # the second time they come again
            session = Session(embedded.address, telemetry_session("a"))
            session.subscribe([telemetry_filter(embedded.address)])
            session.publish(("whir/v1/lab/n1/telemetry", b"%d" % number) for number in range(sent))
            got: list[bytes] = []
            until(lambda session=session, got=got: got.extend(m.payload for m in session.receive(5, 0.1, 0)) or len(got) == 5)
            assert got == [b"0", b"1", b"2", b"3", b"4"]
            session.close()


def test_an_event_overtakes_a_queue_of_telemetry(
    database: Database, start: Callable[..., Running], publish: Callable[..., None]
) -> None:
    first = start()
    until(lambda: first.ingest.connected)
    first.stop()
    publish(range(1, 3001))  # three times what the broker hands out unacknowledged
    publish(range(3001, 3002), "event")
    start(batch_max=50)
    until(lambda: stored(database, Event) == [3001] and len(stored(database)) == 3000)
    with database.read() as session:
        event_ms = session.scalar(select(Event.received_ms))
        telemetry_ms = session.scalars(select(Telemetry.received_ms).order_by(Telemetry.seq)).all()
    assert event_ms is not None and event_ms < telemetry_ms[-1]


def test_a_drained_session_is_stored_and_gone_and_the_others_get_everything(
    database: Database, address: BrokerAddress, start: Callable[..., Running], publish: Callable[..., None]
) -> None:
    both = [start(instance="a"), start(instance="b")]
    until(lambda: all(one.ingest.connected for one in both))
    for one in both:
        one.stop()
    publish(range(1, 101))  # each session has its share of them
    counters = drain(Settings.load(instance="b"), database, address, threading.Event())
    assert 0 < counters.new < 100
    assert not Session(address, telemetry_session("b")).present
    publish(range(101, 201))
    start(instance="a")
    until(lambda: stored(database) == list(range(1, 201)))


def test_a_session_that_is_in_use_is_not_drained(
    database: Database, address: BrokerAddress, start: Callable[..., Running], publish: Callable[..., None]
) -> None:
    running = start()
    until(lambda: running.ingest.connected)
    with pytest.raises(BrokerError, match="does a process still run as whir-fleet-ingest-0"):
        drain(Settings.load(), database, address, threading.Event())
    until(lambda: running.ingest.connected)  # and subscribed again
    publish(range(1, 11))
    until(lambda: stored(database) == list(range(1, 11)))


def test_a_database_that_is_killed_and_a_broker_that_restarts_are_taken_up_again(
    publish: Callable[..., None], address: BrokerAddress, broker: Any
) -> None:
    with Postgres(durable=False) as server:
        database = Database(server.create("fleet"))
        database.migrate()
        running = Running(Settings.load(), database, address)
        try:
            until(lambda: running.ingest.connected)
            publish(range(1, 11))
            until(lambda: stored(database) == list(range(1, 11)))
            server.kill()
            publish(range(11, 21))
            server.start()
            until(lambda: stored(database) == list(range(1, 21)))
            broker.restart()
            until(lambda: running.ingest.connected)
            publish(range(21, 31), "event")
            until(lambda: stored(database, Event) == list(range(21, 31)))
        finally:
            running.stop()
            database.close()
    assert running.error is None


def test_a_wrong_password_ends_it_with_what_to_do(start: Callable[..., Running]) -> None:
    running = start(password="wrong")
    running.thread.join(60)
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
        Session(address, "stranger")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    running = Running(Settings.load(), database, address)
    until(lambda: running.ingest.connected)
    running.stop()
    assert running.error is None


def test_the_passwords_of_an_address_are_not_shown(tmp_path: Path) -> None:
    address = BrokerAddress.parse("mqtts://fleet@plant", "secret")
    assert (address.port, address.tls, repr(address)) == (8883, True, "BrokerAddress(mqtts://fleet@plant:8883)")
