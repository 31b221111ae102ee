"""Nodes with certificates: a real mosquitto with the generated configuration, and the fleet service that keeps its list."""

from __future__ import annotations

import base64
import getpass
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import paho.mqtt.client as mqtt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from paho.mqtt.enums import CallbackAPIVersion
from rig import FAR, KEYS, SENSOR, bundle, signal

from whir_contracts.contract import SETTINGS_TRIAL_MS, Profile
from whir_contracts.recording import Recording
from whir_fleet import crl, generations, node_certificates
from whir_fleet.auth import Role
from whir_fleet.broker import NodeTls, Users, mosquitto_tls_files
from whir_fleet.service import FleetService
from whir_fleet.settings import Settings
from whir_node.crypto import public_point
from whir_node.factory import private_key_der
from whir_node.identity import Identity
from whir_node.mqtt import BrokerAddress
from whir_node.node import NodeConfig, VirtualNode
from whir_node.replay import Replay, Segment
from whir_node.runner import NodeRunner
from whir_node.store import KEPT, TRIED, MemoryStore
from whir_tools.provision.ca import DeviceCa, Names, fingerprint, new_number
from whir_tools.provision.keys import FileSigner, KeyFolder, Passphrase, new_p256

PASSPHRASE = "a passphrase of the tests"
WAIT_S = 60.0
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
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
        (folder / "passphrase").write_text(PASSPHRASE)
        self.operational_dir = folder / "operational-ca"
        made = generations.add(self.operational_dir, folder / "passphrase", self.now)
        self.operational = generations.load(self.operational_dir, folder / "passphrase", "operational_ca")[0]
        (folder / "nodes.pem").write_bytes((self.ca_dir / "1.crt.pem").read_bytes() + made.read_bytes())
        self.port, self.tls_port = free_port(), free_port()
        self.broker_dir = folder / "broker"
        self.broker_dir.mkdir()
        self.users = Users.load(self.broker_dir / "users.toml")
        self._broker_pki()
        tls = NodeTls(self.tls_port, folder / "nodes.pem", folder / "broker.pem", folder / "broker.key")
        self.config = mosquitto_tls_files(self.broker_dir, self.port, self.users, tls, "127.0.0.1", getpass.getuser())
        self.broker: subprocess.Popen[bytes] | None = None
        self.clients: list[mqtt.Client] = []

    def _broker_pki(self) -> None:
        """The broker's certificate, anew: it is its own CA."""
        number = new_number()
        key, name = new_p256(), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"broker {number}")])
        made = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(number).not_valid_before(self.now - timedelta(days=1))
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

    def write_crls(self) -> None:
        """Nobody is revoked, by either CA."""
        lists = [(self.ca.certificate, self.ca.signer.sign), (self.operational.certificate, self.operational.sign)]
        made = [crl.make_crl(certificate, sign, [], 1, self.now) for certificate, sign in lists]
        (self.broker_dir / "crl.pem").write_bytes(b"".join(made))

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
        """Whether it comes as far as MQTT with this certificate."""
        broker_ca = x509.load_pem_x509_certificate((self.folder / "broker.pem").read_bytes()).public_bytes(DER)
        return self.answers(Identity(certificate.public_bytes(DER), private_key_der(key), broker_ca).tls())

    def answers(self, tls: ssl.SSLContext) -> bool:
        """Whether both sides trust each other: TLS, and the broker's answer to CONNECT. TLS 1.3 refuses a client after it."""
        try:
            with (
                socket.create_connection(("localhost", self.tls_port), WAIT_S) as line,
                tls.wrap_socket(line, server_hostname="localhost") as secure,
            ):
                secure.sendall(b"\x10\x10\0\4MQTT\4\2\0\x3c\0\4pump")
                return secure.recv(4) == b"\x20\2\0\0"
        except (ssl.SSLError, ConnectionError):
            return False

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
    (plant.folder / "password").write_text(plant.users.passwords["fleet"])
    settings = Settings.load(
        data_dir=plant.folder / "data", api_port=0, broker=f"mqtt://fleet@127.0.0.1:{plant.port}",
        broker_password_file=plant.folder / "password", broker_dir=plant.broker_dir, device_ca_dir=plant.ca_dir,
        device_ca_passphrase_file=plant.folder / "passphrase", operational_ca_dir=plant.operational_dir,
        operational_ca_passphrase_file=plant.folder / "passphrase",
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


def facts(node: str, certificate: x509.Certificate) -> dict[str, object]:
    """What a factory tells of it."""
    return {
        "site": "plant", "node": node, "mac": "24:0a:c4:00:00:01", "board": "esp32dev", "development": False,
        "certificate_number": str(certificate.serial_number), "claim_sha256": "3c" * 32,
        "certificate_sha256": fingerprint(certificate.public_bytes(DER)),
    }  # fmt: skip


def test_a_retired_node_is_off_the_broker_within_a_minute_and_does_not_come_back(plant: Plant, admin: httpx.Client) -> None:
    certificate, key = plant.certificate("pump-1")
    assert admin.put("/devices/WH-000001", json=facts("pump-1", certificate)).status_code == 200
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


class Pump:
    """A node of this plant on a computer, with a certificate for its birth and an operational one that ends in `left_days`."""

    def __init__(self, plant: Plant, name: str = "pump-1", left_days: float = 10) -> None:
        self.birth, key = plant.certificate(name)
        broker_ca = x509.load_pem_x509_certificate((plant.folder / "broker.pem").read_bytes()).public_bytes(DER)
        self.identity = Identity(self.birth.public_bytes(DER), private_key_der(key), broker_ca)
        own, ca = new_p256(), plant.operational
        begun = plant.now - timedelta(days=90 - left_days)
        self.first = node_certificates.issue(
            ca.certificate, ca.sign, own.public_key(), f"plant/{name}", "WH-000001", new_number(), begun, timedelta(days=90)
        )
        scalar = own.private_numbers().private_value.to_bytes(32, "big")
        kept = {"broker": "mqtts://localhost", "certificate": node_certificates.setting_value(self.first)}
        self.store = MemoryStore(kept | {"private_key": base64.b64encode(scalar + public_point(own)).decode()})
        self.config = NodeConfig(
            site="plant", name=name, sensor=SENSOR, profile=Profile.FAST, certificate=self.identity.certificate
        )

    def connects(self, plant: Plant, node: VirtualNode) -> bool:
        """With what this node shows and trusts now."""
        return plant.answers(self.identity.tls(node))

    @property
    def kept(self) -> x509.Certificate:
        return x509.load_der_x509_certificate(base64.b64decode(self.store.sets[KEPT]["certificate"]))

    @property
    def renewed(self) -> bool:
        return self.kept != self.first and not self.store.sets[TRIED]

    @contextmanager
    def running(self, plant: Plant) -> Iterator[VirtualNode]:
        """Hears a healthy motor over and over; stopped, but not freed yet, when the block is left."""
        sound = Recording(
            name="healthy", samples=signal("healthy", 20, 3), scale=np.full(3, 61e-6, np.float32),
            offset=np.zeros(3, np.float32), rate_hz=1000.0, unit="g", channels=("x", "y", "z"), label="healthy", sublabel="",
            rpm=1500.0,
        )  # fmt: skip
        replay = Replay([Segment(sound)])
        runner = NodeRunner(
            replace(self.config, sensor=replay.sensor), replay, BrokerAddress("localhost", plant.tls_port, None), None,
            public_keys=KEYS, first_bundle=bundle(), tls=self.identity.tls, store=self.store,
        )  # fmt: skip
        stop = threading.Event()
        thread = threading.Thread(target=runner.run, args=(stop,))
        thread.start()
        try:
            yield runner.node
        finally:
            stop.set()
            thread.join(WAIT_S)
            runner.close()


def test_a_node_s_certificate_is_renewed_before_its_end_and_revoked_when_it_is_retired(
    plant: Plant, service: FleetService, admin: httpx.Client
) -> None:
    pump = Pump(plant)
    assert admin.put("/devices/WH-000001", json=facts("pump-1", pump.birth)).status_code == 200
    with pump.running(plant) as node:
        until(lambda: pump.renewed, "the certificate is not renewed")

        def shows_it() -> bool:
            health = admin.get("/nodes/plant/pump-1").json()["health"]
            return bool(health["cert_end"] == int(pump.kept.not_valid_after_utc.timestamp()))

        until(shows_it, "no status tells of the new certificate")
        assert pump.connects(plant, node)
    assert pump.kept.issuer == plant.operational.certificate.subject
    assert pump.kept.subject.rfc4514_string() == pump.birth.subject.rfc4514_string()
    log = admin.get("/audit").json()["items"]
    (issued,) = [entry for entry in log if entry["action"] == "certificate.issue"]
    assert issued["detail"]["number"] == str(pump.kept.serial_number)
    assert admin.post("/devices/WH-000001/retire").status_code == 200
    number = pump.kept.serial_number
    until(lambda: number in revoked(plant), "the renewed certificate of a retired node is not on the list")


def test_a_rollout_of_certificates_goes_on_when_a_group_has_its_new_ones_and_aborts_where_a_node_gets_none(
    plant: Plant, service: FleetService, admin: httpx.Client
) -> None:
    pumps = [Pump(plant, f"pump-{number}", left_days=80) for number in range(1, 5)]  # none of them is due by itself
    for number, pump in enumerate(pumps, start=1):
        if number != 3:  # whom no factory has enrolled: what it asks for is not signed
            told = admin.put(f"/devices/WH-00000{number}", json=facts(pump.config.name, pump.birth))
            assert told.status_code == 200, told.text
    with ExitStack() as stack:
        for pump in pumps:
            stack.enter_context(pump.running(plant))
        until(lambda: len(admin.get("/nodes").json()["items"]) == len(pumps), "not all nodes are known")
        order = admin.post("/artifacts/certificates").json()["sha256"]
        plan = {"name": "certificates", "sha256": order, "groups": ["1", "2", "1"], "abort_percent": 50, "abort_min": 1}
        url = f"/rollouts/{admin.post('/rollouts', json=plan).json()['id']}"
        until(lambda: admin.get(url).json()["state"] == "aborted", "the rollout does not end")
        found = admin.get(url).json()
        assert [action["state"] for action in found["actions"]] == ["succeeded", "succeeded", "failed", "cancelled"]
        assert found["actions"][2]["code"] == "certificate_refused"
        assert [pump.renewed for pump in pumps] == [True, True, False, False]
        first, second = (action for action in found["actions"][:2])
        assert second["started_ms"] >= first["finished_ms"], "the second group has not waited for the first one"

        def come_back() -> bool:
            shown = [admin.get(f"/nodes/plant/{pump.config.name}").json() for pump in pumps]
            ends = [int(pump.kept.not_valid_after_utc.timestamp()) for pump in pumps]
            return [(node["presence"], node["health"]["cert_end"]) for node in shown] == [("online", end) for end in ends]

        until(come_back, "not every node is back with the certificate that it keeps")


def revoked(plant: Plant) -> set[int]:
    begin = b"-----BEGIN X509 CRL-----"
    lists = (plant.broker_dir / "crl.pem").read_bytes().split(begin)[1:]
    return {entry.serial_number for part in lists for entry in x509.load_pem_x509_crl(begin + part)}


class Heard:
    """A link that keeps what the node says."""

    def __init__(self) -> None:
        self.events: list[dict[str, str]] = []

    def publish(self, topic: str, payload: bytes, retained: bool) -> bool:
        if topic == "event":
            self.events.append(json.loads(payload))
        return True

    def fetch(self, url: str, size: int) -> bool:
        return False


def test_a_certificate_that_the_broker_refuses_is_taken_back(plant: Plant) -> None:
    pump, heard = Pump(plant), Heard()
    plant.write_crls()
    plant.start_broker()
    stranger = DeviceCa.create(FileSigner(new_p256()), 1, plant.now, False)

    with VirtualNode(pump.config, public_keys=KEYS, link=heard, store=pump.store) as node:
        node.connected(True)
        node.command({"v": 1, "c": "renew", "id": "r-1", "exp": FAR})
        node.wait(1000)
        (request,) = {event["text"] for event in heard.events if event["kind"] == "certificate_request"}
        public, name = node_certificates.requested(base64.b64decode(request))
        wrong = stranger.issue(public, Names("plant", "pump-1", "WH-000001"), new_number(), plant.now, 1)
        assert name == "plant/pump-1"
        value = node_certificates.setting_value(wrong)
        assert node.command({"v": 1, "c": "setting", "id": "s-1", "exp": FAR, "key": "certificate", "value": value}) == 0
        node.reboot("software")
        assert node.identity is not None and node.identity[0] == wrong.public_bytes(DER)
        assert not pump.connects(plant, node)
        node.wait(SETTINGS_TRIAL_MS + 2000)
        assert node.restart_asked
        node.reboot("software")
        assert pump.kept == pump.first
        assert pump.connects(plant, node)


def test_a_node_that_trusts_both_goes_on_while_the_broker_s_ca_changes(plant: Plant) -> None:
    pump = Pump(plant)
    old = x509.load_pem_x509_certificate((plant.folder / "broker.pem").read_bytes())
    plant.write_crls()
    plant.start_broker()
    plant._broker_pki()  # for its next start
    new = x509.load_pem_x509_certificate((plant.folder / "broker.pem").read_bytes())
    with (
        VirtualNode(pump.config, public_keys=KEYS, link=Heard(), store=MemoryStore(pump.store.sets[KEPT])) as behind,
        VirtualNode(pump.config, public_keys=KEYS, link=Heard(), store=pump.store) as node,
    ):
        for key, value in (node_certificates.anchor_settings(1, old) | node_certificates.anchor_settings(2, new)).items():
            asked = {"v": 1, "c": "setting", "id": key, "exp": FAR, "key": key, "value": value}
            assert node.command(asked) == 0
        node.reboot("software")
        assert (pump.connects(plant, node), pump.connects(plant, behind)) == (True, True)
        plant.start_broker()
        assert (pump.connects(plant, node), pump.connects(plant, behind)) == (True, False)
