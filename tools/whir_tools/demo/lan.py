"""Boards on the LAN join the demo: a mosquitto with TLS, to which the desk's boards show their certificates."""

from __future__ import annotations

import getpass
import ipaddress
import os
import shutil
import socket
import subprocess
import time
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from whir_fleet.broker import NodeTls, Users, free_port, mosquitto_tls_files
from whir_fleet.crl import utc_now
from whir_tools.provision import desk, files
from whir_tools.provision.journal import Journal
from whir_tools.provision.retire import write_crl

TLS_PORT = 8883
_START_S = 30.0
_YEARS = 10


class LanError(Exception):
    """mosquitto does not start."""


def mosquitto() -> str | None:
    """The program; Debian puts it where a user's PATH does not look."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class LanBroker:
    """The plant's configuration (`whir fleet broker-config`) with the desk's CA. Passwords are taken on this machine only.

    Attributes: `url` for boards; `certificate`, which they trust; `users`, the MQTT passwords on this machine.
    """

    def __init__(self, program: str, folder: Path, desk_folder: Path) -> None:
        self._program, self._folder, self._desk = program, folder, desk_folder
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)
        self.users = Users.load(folder / "users.toml").passwords

    def __enter__(self) -> LanBroker:
        station = desk.opened(self._desk)
        devices, password = self._folder / "devices.pem", self._folder / "password"
        devices.write_bytes(station.ca_bundle())
        files.write(password, self.users["fleet"].encode())
        write_crl(station, Journal(self._desk / "journal.db"))
        shutil.copy(self._desk / "crl.pem", self._folder / "crl.pem")
        self.certificate, key = self._desk / "broker" / "broker.pem", self._desk / "broker" / "broker.key"
        address = lan_address()
        _certificate(self.certificate, key, address)
        port, tls_port = free_port("127.0.0.1"), _tls_port()
        self.url = f"mqtts://{address}:{tls_port}"
        config = mosquitto_tls_files(
            self._folder, port, Users(self.users), NodeTls(tls_port, devices, self.certificate, key), run_as=getpass.getuser()
        )
        self.settings: dict[str, object] = {
            "broker": f"mqtt://fleet@127.0.0.1:{port}", "broker_password_file": password, "broker_dir": self._folder,
            "device_ca_dir": self._desk / "keys" / "device-ca", "device_ca_passphrase_file": self._desk / desk.PASSPHRASE_FILE,
        }  # fmt: skip
        with (self._folder / "mosquitto.log").open("wb") as log:
            self._process = subprocess.Popen([self._program, "-c", str(config)], stdout=log, stderr=log, start_new_session=True)
        try:
            for one in (port, tls_port):
                self._await(one)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _await(self, port: int) -> None:
        assert self._process is not None
        give_up = time.monotonic() + _START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > give_up:
                    said = (self._folder / "mosquitto.log").read_text(errors="replace").strip().splitlines()[-1:]
                    raise LanError(f"mosquitto does not start: {' '.join(said)}") from None
                time.sleep(0.02)

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None


def lan_address() -> str:
    """This machine's address towards other networks; nothing is sent for it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def _tls_port() -> int:
    """The usual one, so that a board finds the next demo too; another one where it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", TLS_PORT))  # noqa: S104  boards come from the LAN
            return TLS_PORT
        except OSError:
            return free_port("0.0.0.0")  # noqa: S104


def _certificate(path: Path, key_path: Path, address: str) -> None:
    """The broker's own, which boards trust as it is; kept as long as this machine has this address."""
    now = utc_now()
    names = x509.SubjectAlternativeName(
        [x509.IPAddress(ipaddress.ip_address(one)) for one in sorted({address, "127.0.0.1"})] + [x509.DNSName("localhost")]
    )
    if path.exists() and key_path.exists():
        old = x509.load_pem_x509_certificate(path.read_bytes())
        found = old.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if found == names and old.not_valid_after_utc > now + timedelta(days=365):
            return
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "whir demo broker")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365 * _YEARS)).add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())
    )  # fmt: skip
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files.write(key_path, key.private_bytes(*plain))
    files.write(path, made.public_bytes(serialization.Encoding.PEM), 0o644)
