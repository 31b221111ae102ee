"""The station: one folder (0700) with settings, keys, journal, records and labels of a factory line.

factory.toml      settings, made by `whir provision init`; no secrets
keys/             see keys.py; keys/device-ca/<n>.crt.pem is the CA certificate of key n
broker-ca.pem     the CA of the broker's certificate, which nodes trust
crl.pem           what is revoked
journal.db        see journal.py
records/ labels/  of good boards
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from whir_tools.provision import files, keys
from whir_tools.provision.ca import DeviceCa
from whir_tools.provision.errors import JournalError, StationError
from whir_tools.provision.keys import DEVELOPMENT_KEY_ID, KeyFolder, Passphrase, Signer
from whir_tools.provision.layout import Build, read_build
from whir_tools.provision.token import TokenSigner

SECURITY = ("none", "development", "release")
PURPOSES = ("device-ca", "bundle", "record", "secure-boot")
BUNDLE_KEYS_MAX = 4

TEMPLATE = """\
# Settings of this factory line; docs/FACTORY.md explains them. No secrets here.
certificate_years = 15
node_key = "station"     # or "board": the node makes its key and sends a certificate request
fleet_url = ""           # http://fleet.plant:8080; empty: enrolments wait in the journal
pkcs11_module = ""       # path of the token's library: the device CA's key lives in the token
pkcs11_token = ""        # label of the token

# One table per board that batches name; `build` is the folder that ESP-IDF or PlatformIO leaves (flasher_args.json).
# [board.esp32dev]
# build = "builds/esp32dev"
# model = "model.whir"
# sensor = "lsm6dsox"
# noise_max_ug = 2000
# security = "none"      # development or release: secure boot v2 and flash encryption, eFuses are burnt
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardSettings:
    """What one kind of board gets, and what its self-test must show. Paths are relative to the station."""

    build: str
    model: str
    sensor: str
    noise_max_ug: int
    security: str = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`factory.toml`; unknown keys are refused."""

    certificate_years: float = 15
    node_key: str = "station"
    fleet_url: str = ""
    pkcs11_module: str = ""
    pkcs11_token: str = ""
    development: bool = False
    board: dict[str, BoardSettings] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Settings:
        """StationError names the key that is wrong."""
        try:
            values = tomllib.loads(path.read_text())
        except FileNotFoundError as error:
            raise StationError(f"{path}: not there; run `whir provision init`") from error
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise StationError(f"{path}: {error}") from error
        boards = {
            name: _checked(BoardSettings, table, f"{path}: [board.{name}]") for name, table in values.pop("board", {}).items()
        }
        settings: Settings = _checked(cls, values | {"board": boards}, str(path))
        if settings.node_key not in ("station", "board"):
            raise StationError(f"{path}: node_key is station or board, not {settings.node_key!r}")
        if not 0 < settings.certificate_years <= 30:
            raise StationError(f"{path}: certificate_years is above 0 and at most 30, not {settings.certificate_years}")
        for name, board in settings.board.items():
            if board.security not in SECURITY:
                raise StationError(f"{path}: [board.{name}] security is {', '.join(SECURITY)}, not {board.security!r}")
            if settings.development and board.security != "none":
                raise StationError(f'{path}: [board.{name}] a development station burns no eFuses: security = "none"')
        return settings


_TYPES: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "bool": (bool,), "float": (int, float)}


def _checked(kind: type[Any], values: Any, where: str) -> Any:
    if not isinstance(values, dict):
        raise StationError(f"{where}: not a table")
    known = {f.name: f for f in fields(kind)}
    for name, value in values.items():
        if name not in known:
            raise StationError(f"{where}: unknown key {name}; known are {', '.join(known)}")
        wanted = _TYPES.get(str(known[name].type))
        if wanted is not None and (not isinstance(value, wanted) or (isinstance(value, bool) and wanted != (bool,))):
            raise StationError(f"{where}: {name} is of type {known[name].type}, not {value!r}")
    try:
        return kind(**values)
    except TypeError as error:
        raise StationError(f"{where}: {str(error).partition(') ')[2]}") from error


class Station:
    """An opened station folder. Signing needs the passphrase; looking does not."""

    def __init__(self, folder: Path, passphrase: Passphrase | None = None) -> None:
        self.folder = folder
        self.settings = Settings.read(folder / "factory.toml")
        self._passphrase = passphrase

    # --- keys ---

    def key(self, purpose: str) -> KeyFolder:
        return KeyFolder(self.folder / "keys" / purpose, self._passphrase)

    def ca(self, generation: int | None = None) -> DeviceCa:
        """The newest generation of the device CA, or an older one to revoke what it issued."""
        folder = self.key("device-ca")
        number = folder.newest if generation is None else generation
        certificate = x509.load_pem_x509_certificate((folder.folder / f"{number}.crt.pem").read_bytes())
        return DeviceCa(certificate, self._ca_signer(folder, number), self.settings.development)

    def _ca_signer(self, folder: KeyFolder, number: int) -> Signer:
        return self._in_token(number) if self.settings.pkcs11_module else folder.signer(number)

    def _in_token(self, number: int) -> TokenSigner:
        assert self._passphrase is not None, "checked by the command"
        return TokenSigner(
            self.settings.pkcs11_module, self.settings.pkcs11_token, f"whir-device-ca-{number}", self._passphrase
        )

    def rotate(self, purpose: str) -> int:
        """Makes the next generation of a key; what older ones signed stays valid. Returns its number."""
        folder = self.key(purpose)
        number = (folder.numbers() or [DEVELOPMENT_KEY_ID if self._development_bundles(purpose) else 0])[-1] + 1
        if purpose == "bundle" and len(folder.numbers()) >= BUNDLE_KEYS_MAX:
            raise StationError(f"a node holds {BUNDLE_KEYS_MAX} bundle keys; take the oldest out of {folder.folder} first")
        if purpose == "secure-boot":
            folder.add(keys.new_secure_boot_key(self.folder), number)
        elif purpose == "device-ca":
            self._new_ca(folder, number)
        else:
            folder.add(keys.new_p256(), number)
        return number

    def _development_bundles(self, purpose: str) -> bool:
        return purpose == "bundle" and self.settings.development

    def _new_ca(self, folder: KeyFolder, number: int) -> None:
        signer: Signer
        if self.settings.pkcs11_module:
            signer = self._in_token(number)
            signer.make_key()
            folder.add_public(signer.public_key(), number)
        else:
            folder.add(keys.new_p256(), number)
            signer = folder.signer(number)
        ca = DeviceCa.create(signer, number, datetime.now(UTC), self.settings.development)
        files.write(folder.folder / f"{number}.crt.pem", ca.certificate.public_bytes(serialization.Encoding.PEM), 0o644)

    def claim_secret(self) -> bytes:
        """From the first record key, which stays when it is rotated: a label can be printed again."""
        private = self.key("record").signer(1).key.private_numbers().private_value
        return hashlib.sha256(b"whir claim code" + private.to_bytes(32, "big")).digest()

    def ca_bundle(self) -> bytes:
        """All generations' certificates, PEM: what the broker trusts."""
        folder = self.key("device-ca")
        return b"".join((folder.folder / f"{number}.crt.pem").read_bytes() for number in folder.numbers())

    def bundle_keys(self) -> bytes:
        """As the node holds them: key_id u32, uncompressed point, for each."""
        folder = self.key("bundle")
        point = (serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        return b"".join(n.to_bytes(4, "little") + folder.public_p256(n).public_bytes(*point) for n in folder.numbers())

    def broker_ca(self) -> bytes:
        """DER. StationError: not there yet."""
        path = self.folder / "broker-ca.pem"
        try:
            return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(serialization.Encoding.DER)
        except OSError as error:
            raise StationError(f"{path}: {error.strerror}; copy the CA certificate of the broker there") from error
        except ValueError as error:
            raise StationError(f"{path}: {error}") from error

    # --- what is flashed ---

    def build(self, board: str) -> Build:
        return read_build(self.folder / self.settings.board[board].build)

    def model(self, board: str) -> bytes:
        path = self.folder / self.settings.board[board].model
        try:
            return path.read_bytes()
        except OSError as error:
            raise StationError(f"{path}: {error.strerror}") from error

    # --- one at a time ---

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the station for one run. JournalError: another one has it."""
        path = self.folder / "run.lock"
        with path.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise JournalError(f"{self.folder}: in use by another `whir provision`") from error
            files.sweep_scratch(self.folder)
            yield


def init(folder: Path, passphrase: Passphrase, *, development: bool = False, pkcs11: tuple[str, str] | None = None) -> Station:
    """Makes the folder with all keys; what is there already stays, so it may be called again after a failure."""
    settings = folder / "factory.toml"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # also where a build folder was put into it before
    if not settings.exists():
        text = TEMPLATE
        if pkcs11 is not None:
            text = text.replace('pkcs11_module = ""', f'pkcs11_module = "{pkcs11[0]}"').replace(
                'pkcs11_token = ""', f'pkcs11_token = "{pkcs11[1]}"'
            )
        if development:
            text = "development = true       # keys of a desk; release builds refuse them\n" + text
        files.write(settings, text.encode(), 0o644)
    station = Station(folder, passphrase)
    with station.locked():
        for purpose in PURPOSES:
            if purpose == "secure-boot" and station.settings.development:
                continue
            numbers = station.key(purpose).numbers()
            if not numbers or (purpose == "device-ca" and not (folder / "keys" / purpose / f"{numbers[-1]}.crt.pem").exists()):
                station.rotate(purpose)
    return station
