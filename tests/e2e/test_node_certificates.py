"""Nodes with certificates: a real mosquitto with the generated configuration, and the fleet service that keeps its list."""

from __future__ import annotations

import getpass
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import paho.mqtt.client as mqtt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from paho.mqtt.enums import CallbackAPIVersion

from whir_fleet import crl
from whir_fleet.auth import Role
from whir_fleet.broker import NodeTls, Users, mosquitto_tls_files
from whir_fleet.service import FleetService
from whir_fleet.settings import Settings
from whir_tools.provision.ca import DeviceCa, Names, fingerprint, new_number
from whir_tools.provision.keys import FileSigner, KeyFolder, Passphrase, new_p256

PASSPHRASE = "a passphrase of the tests"
WAIT_S = 60.0
PEM = serialization.Encoding.PEM
PLAIN = (PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def until(condition: Callable[[], bool], what: str) -> None:
    give_up = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < give_up, what
        time.sleep(0.05)


class Plant:
    """Broker, device CA and fleet service in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = datetime.now(UTC)
        self.ca_dir = folder / "device-ca"
        self.ca_dir.mkdir()
        keys = KeyFolder(self.ca_dir, Passphrase(PASSPHRASE.encode()))
        keys.add(new_p256(), 1)
        self.ca = DeviceCa.create(keys.signer(1), 1, self.now, False)
        (self.ca_dir / "1.crt.pem").write_bytes(self.ca.certificate.public_bytes(PEM))
        self.port, self.tls_port = free_port(), free_port()
        self.broker_dir = folder / "broker"
        self.broker_dir.mkdir()
        self.users = Users.load(self.broker_dir / "users.toml")
        self._broker_pki()
        tls = NodeTls(self.tls_port, self.ca_dir / "1.crt.pem", folder / "broker.pem", folder / "broker.key")
        self.config = mosquitto_tls_files(self.broker_dir, self.port, self.users, tls, "127.0.0.1", getpass.getuser())
        self.broker: subprocess.Popen[bytes] | None = None
        self.clients: list[mqtt.Client] = []

    def _broker_pki(self) -> None:
        key, name = new_p256(), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        made = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(new_number()).not_valid_before(self.now - timedelta(days=1))
            .not_valid_after(self.now + timedelta(days=4000))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )  # fmt: skip
        (self.folder / "broker.pem").write_bytes(made.public_bytes(PEM))
        (self.folder / "broker.key").write_bytes(key.private_bytes(*PLAIN))

    def write_crl(self, at: datetime) -> bytes:
        made = crl.make_crl(self.ca.certificate, self.ca.signer.sign, [], int(at.timestamp()), at)
        (self.broker_dir / "crl.pem").write_bytes(made)
        return made

    def start_broker(self, *wrapper: str) -> None:
        if self.broker is not None:
            self.broker.kill()
            self.broker.wait()
        command = [*wrapper, "mosquitto", "-c", str(self.config)]
        self.broker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def answers() -> bool:
            try:
                socket.create_connection(("127.0.0.1", self.tls_port), 1).close()
                return True
            except OSError:
                return False

        until(answers, "mosquitto does not start")

    def certificate(
        self, node: str, ca: DeviceCa | None = None, at: datetime | None = None, years: float = 10
    ) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        key = new_p256()
        names = Names("plant", node, "WH-000001")
        return (ca or self.ca).issue(key.public_key(), names, new_number(), at or self.now, years), key

    def client(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> mqtt.Client:
        """Connecting, again and again, as a node does."""
        stem = self.folder / f"client-{len(self.clients)}"
        stem.with_suffix(".crt").write_bytes(certificate.public_bytes(PEM))
        stem.with_suffix(".key").write_bytes(key.private_bytes(*PLAIN))
        made = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"any-{len(self.clients)}")
        made.tls_set(str(self.folder / "broker.pem"), str(stem.with_suffix(".crt")), str(stem.with_suffix(".key")))
        made.reconnect_delay_set(1, 1)
        made.connect_async("localhost", self.tls_port)
        made.loop_start()
        self.clients.append(made)
        return made

    def lets_in(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> bool:
        """Whether it is connected and can subscribe within a few tries. TLS 1.3 refuses a client after its first message."""
        client = self.client(certificate, key)
        subscribed = threading.Event()
        client.on_connect = lambda c, d, f, r, p: c.subscribe("whir/v1/plant/x/cmd", 1)
        client.on_subscribe = lambda c, d, m, r, p: subscribed.set()
        found = subscribed.wait(3)
        client.disconnect()
        client.loop_stop()
        return found

    def close(self) -> None:
        for client in self.clients:
            client.disconnect()
            client.loop_stop()
        if self.broker is not None:
            self.broker.kill()
            self.broker.wait()


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    made = Plant(tmp_path)
    made.write_crl(made.now)
    made.start_broker()
    yield made
    made.close()


@pytest.fixture
def service(plant: Plant) -> Iterator[FleetService]:
    (plant.folder / "passphrase").write_text(PASSPHRASE)
    (plant.folder / "password").write_text(plant.users.passwords["fleet"])
    settings = Settings.load(
        data_dir=plant.folder / "data", api_port=0, broker=f"mqtt://fleet@127.0.0.1:{plant.port}",
        broker_password_file=plant.folder / "password", broker_dir=plant.broker_dir, device_ca_dir=plant.ca_dir,
        device_ca_passphrase_file=plant.folder / "passphrase",
    )  # fmt: skip
    with FleetService(settings) as started:
        yield started


@pytest.fixture
def admin(service: FleetService) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {service.create_token('factory', Role.ADMIN)}"}
    with httpx.Client(base_url=f"{service.url}/api/v1", headers=headers, timeout=10) as client:
        yield client


def test_only_a_certificate_of_our_ca_and_in_date_is_let_in(plant: Plant) -> None:
    stranger = FileSigner(new_p256())
    other = DeviceCa.create(stranger, 1, plant.now, False)  # the same names, another key
    past = plant.now - timedelta(days=800)
    assert plant.lets_in(*plant.certificate("pump-1"))
    assert not plant.lets_in(*plant.certificate("pump-1", ca=other))
    assert not plant.lets_in(*plant.certificate("pump-1", at=past, years=1))


def test_a_node_reaches_its_own_topics_and_no_other_s(plant: Plant) -> None:
    heard: list[str] = []
    fleet = mqtt.Client(CallbackAPIVersion.VERSION2)
    fleet.username_pw_set("fleet", plant.users.passwords["fleet"])
    fleet.on_message = lambda c, d, message: heard.append(message.topic)
    fleet.connect("127.0.0.1", plant.port)
    fleet.subscribe("whir/v1/#", 1)
    fleet.loop_start()
    plant.clients.append(fleet)
    node = plant.client(*plant.certificate("pump-1"))
    got: list[str] = []
    node.on_message = lambda c, d, message: got.append(message.topic)
    until(node.is_connected, "the node does not connect")
    node.subscribe([("whir/v1/plant/pump-1/cmd", 1), ("whir/v1/plant/pump-2/cmd", 1)])
    for name in ("plant/pump-2", "other/pump-1", "plant/pump-1"):
        node.publish(f"whir/v1/{name}/event", b"{}", 1).wait_for_publish(10)
    until(lambda: bool(heard), "nothing arrives")
    for name in ("pump-2", "pump-1"):
        fleet.publish(f"whir/v1/plant/{name}/cmd", b"{}", 1)
    until(lambda: bool(got), "no command arrives")
    assert [topic for topic in heard if topic.endswith("event")] == ["whir/v1/plant/pump-1/event"]
    assert got == ["whir/v1/plant/pump-1/cmd"]


def test_a_retired_node_is_off_the_broker_within_a_minute_and_does_not_come_back(plant: Plant, admin: httpx.Client) -> None:
    certificate, key = plant.certificate("pump-1")
    facts = {
        "site": "plant", "node": "pump-1", "mac": "24:0a:c4:00:00:01", "board": "esp32dev", "development": False,
        "certificate_number": str(certificate.serial_number), "claim_sha256": "3c" * 32,
        "certificate_sha256": fingerprint(certificate.public_bytes(serialization.Encoding.DER)),
    }  # fmt: skip
    assert admin.put("/devices/WH-000001", json=facts).status_code == 200
    retired, good = plant.client(certificate, key), plant.client(*plant.certificate("pump-2"))
    until(lambda: retired.is_connected() and good.is_connected(), "the nodes do not connect")
    assert admin.post("/devices/WH-000001/retire").status_code == 200
    until(lambda: not retired.is_connected(), "a retired node is still on the broker")
    assert not plant.lets_in(certificate, key)
    assert good.is_connected()


def test_the_list_is_renewed_in_time_and_good_nodes_connect_after_reload_restart_and_the_old_end(
    plant: Plant, service: FleetService, admin: httpx.Client
) -> None:
    aged = plant.now - (crl.LIFETIME - crl.RENEW_BEFORE) - timedelta(hours=1)
    written = plant.write_crl(aged)
    assert crl.seconds_left(written, plant.now) < crl.RENEW_BEFORE.total_seconds()

    def renewed() -> bool:
        left = float(admin.get("/metrics").text.split()[-1])
        return (plant.broker_dir / "crl.pem").read_bytes() != written and left > crl.RENEW_BEFORE.total_seconds()

    until(renewed, "the worker does not renew the list")
    node = plant.certificate("pump-1")
    assert plant.lets_in(*node), "after the reload"
    plant.start_broker()
    assert plant.lets_in(*node), "after a restart"
    written = plant.write_crl(plant.now - crl.LIFETIME - timedelta(days=1))
    plant.start_broker()
    until(renewed, "a list past its end is not renewed")
    until(lambda: plant.lets_in(*node), "a broker that began with a list past its end lets nobody in after its renewal")


def test_a_broker_whose_list_has_ended_lets_nobody_in(plant: Plant) -> None:
    plant.write_crl(plant.now - crl.LIFETIME - timedelta(days=1))
    plant.start_broker()
    assert not plant.lets_in(*plant.certificate("pump-1"))
