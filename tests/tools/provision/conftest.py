"""A factory in a folder: station, build, bundle, broker with TLS, and boards made of software."""

from __future__ import annotations

import getpass
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from rig import KEY, bundle

from whir_tools.provision import files
from whir_tools.provision import station as stations
from whir_tools.provision.batch import COLUMNS, Batch, read
from whir_tools.provision.journal import Journal
from whir_tools.provision.keys import Passphrase
from whir_tools.provision.line import Event, Line, Summary
from whir_tools.provision.practice.build import write_build
from whir_tools.provision.station import Station

PASSPHRASE = "a passphrase of the tests"
WIFI_PASSWORD = 'wifi-SECRET-word, "quoted"'


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@dataclass
class BrokerPki:
    """CA and certificate of the broker itself, not of the nodes."""

    ca: Path
    certificate: Path
    key: Path


@pytest.fixture(scope="session")
def broker_pki(tmp_path_factory: pytest.TempPathFactory) -> BrokerPki:
    folder = tmp_path_factory.mktemp("broker-pki")
    now = datetime.now(UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "plant CA")])

    def certificate(name: x509.Name, public: ec.EllipticCurvePublicKey, ca: bool) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder().subject_name(name).issuer_name(ca_name).public_key(public)
            .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )  # fmt: skip
        if not ca:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        return builder.sign(ca_key, hashes.SHA256())

    made = BrokerPki(folder / "ca.pem", folder / "broker.pem", folder / "broker.key")
    pem = serialization.Encoding.PEM
    made.ca.write_bytes(certificate(ca_name, ca_key.public_key(), True).public_bytes(pem))
    broker_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made.certificate.write_bytes(certificate(broker_name, key.public_key(), False).public_bytes(pem))
    plain = (pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    made.key.write_bytes(key.private_bytes(*plain))
    return made


class TlsBroker:
    """A real mosquitto as a process, that trusts the station's device CA."""

    def __init__(self, folder: Path, pki: BrokerPki) -> None:
        self.folder, self.pki = folder, pki
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtts://localhost:{self.port}"

    def start(self, ca: bytes, crl: bytes, *wrapper: str) -> None:
        config = self.folder / "mosquitto.conf"
        (self.folder / "devices.pem").write_bytes(ca)
        (self.folder / "crl.pem").write_bytes(crl)
        config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous false\nrequire_certificate true\nuse_identity_as_username true\n"
            f"cafile {self.folder / 'devices.pem'}\ncrlfile {self.folder / 'crl.pem'}\n"
            f"certfile {self.pki.certificate}\nkeyfile {self.pki.key}\nuser {getpass.getuser()}\n"
        )
        self.process = subprocess.Popen(
            [*wrapper, "mosquitto", "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None and time.monotonic() < until, "mosquitto does not start"
                time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@dataclass
class PracticeBoard:
    """A board on a port."""

    url: str
    mac: str
    process: subprocess.Popen[str]
    flash: Path
    efuses: Path

    def unplug(self) -> None:
        self.process.kill()
        self.process.wait()


@dataclass
class Factory:
    """Everything of one line."""

    station: Station
    broker: TlsBroker
    folder: Path
    events: list[Event] = field(default_factory=list)
    rows: list[dict[str, str]] = field(default_factory=list)
    boards: list[PracticeBoard] = field(default_factory=list)

    @property
    def journal(self) -> Journal:
        return Journal(self.station.folder / "journal.db")

    def batch(self, count: int, board: str = "esp32dev", **changes: str) -> Path:
        import csv

        path = self.folder / "batch.csv"
        self.rows = [
            dict(
                zip(
                    COLUMNS,
                    (f"WH-{n:06}", "plant", f"pump-{n}", board, "Halle 3, Nord", WIFI_PASSWORD, self.broker.url),
                    strict=True,
                )
            )
            | changes
            for n in range(1, count + 1)
        ]
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(self.rows)
        return path

    def read(self, path: Path) -> Batch:
        return read(path, sorted(self.station.settings.board))

    def plug(self, number: int = 1, chip: str = "esp32", **options: object) -> PracticeBoard:
        """Starts a board; its flash file and eFuses outlive it under its number."""
        flash, efuses = self.folder / f"flash-{number}.bin", self.folder / f"efuses-{number}.bin"
        mac = f"24:0a:c4:00:{number >> 8:02x}:{number & 255:02x}"
        words = [f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}") for name, value in options.items()]
        command = [sys.executable, "-m", "whir_tools.provision.practice", f"--chip={chip}", f"--mac={mac}", f"--flash={flash}"]
        process = subprocess.Popen([*command, f"--efuses={efuses}", *words], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, "the practice board does not start"
        board = PracticeBoard(url, mac, process, flash, efuses)
        self.boards.append(board)
        return board

    def run(self, path: Path, *boards: PracticeBoard, **options: Any) -> Summary:
        """One run over the batch, a port per board."""
        with self.station.locked():
            journal = self.journal
            line = Line(self.station, self.read(path), journal, tell=self.events.append, once=True, **options)
            try:
                return line.run([board.url for board in boards])
            finally:
                journal.close()


@pytest.fixture(scope="session")
def made_station(tmp_path_factory: pytest.TempPathFactory, broker_pki: BrokerPki) -> Path:
    """Made once; each test has a copy."""
    folder = tmp_path_factory.mktemp("factory") / "station"
    station = stations.init(folder, Passphrase(PASSPHRASE.encode()))
    station.key("bundle").add(KEY, 1)  # the rig's bundles are signed with it
    (folder / "broker-ca.pem").write_bytes(broker_pki.ca.read_bytes())
    (folder / "model.whir").write_bytes(bundle(hardware_class="esp32"))
    settings = (folder / "factory.toml").read_text()
    for name, chip in (("esp32dev", "esp32"), ("esp32-s3", "esp32s3"), ("esp32-c3", "esp32c3")):
        write_build(folder / "builds" / name, chip)
        settings += f'\n[board.{name}]\nbuild = "builds/{name}"\nmodel = "model.whir"\nsensor = "lsm6dsox"\n'
        settings += 'noise_max_ug = 2000\nsecurity = "none"\n'
    (folder / "factory.toml").write_text(settings)
    return folder


@pytest.fixture
def factory(tmp_path: Path, made_station: Path, broker_pki: BrokerPki) -> Iterator[Factory]:
    """A line with its broker running and no board plugged in."""
    import shutil

    from whir_tools.provision.retire import write_crl

    folder = tmp_path / "station"
    shutil.copytree(made_station, folder)
    station = Station(folder, Passphrase(PASSPHRASE.encode()))
    (tmp_path / "broker").mkdir()
    made = Factory(station, TlsBroker(tmp_path / "broker", broker_pki), tmp_path)
    write_crl(station, made.journal)
    made.broker.start(station.ca_bundle(), (folder / "crl.pem").read_bytes())
    yield made
    made.broker.stop()
    for board in made.boards:
        board.unplug()
    files.sweep_scratch(folder)


@pytest.fixture
def settings(factory: Factory) -> Callable[..., None]:
    """Changes a line of factory.toml and opens the station again."""

    def change(**values: str) -> None:
        path = factory.station.folder / "factory.toml"
        lines = path.read_text().splitlines()
        for name, value in values.items():
            lines = [f"{name} = {value}" if line.startswith(f"{name} =") else line for line in lines]
        path.write_text("\n".join(lines) + "\n")
        factory.station = Station(factory.station.folder, Passphrase(PASSPHRASE.encode()))

    return change
