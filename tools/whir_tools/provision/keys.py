"""The station's keys: made once, kept encrypted by its passphrase, rotated by number. Nothing here prints or logs a secret.

    keys/<purpose>/<n>.key.pem   private, PKCS#8, encrypted
    keys/<purpose>/<n>.pem       public

The highest n signs; the others remain for what they have signed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from whir_tools.provision import files
from whir_tools.provision.errors import PassphraseError, StationError, ToolError

PASSPHRASE_VARIABLE = "WHIR_FACTORY_PASSPHRASE"  # noqa: S105  the name of the variable
PASSPHRASE_MIN = 12
DEVELOPMENT_KEY_ID = 0x8000_0000  # bundle keys from here on are of a desk; a release build refuses them


@dataclass(frozen=True, slots=True)
class Passphrase:
    """Kept out of repr."""

    secret: bytes

    def __repr__(self) -> str:
        return "Passphrase(…)"

    @classmethod
    def read(cls, file: Path | None = None) -> Passphrase:
        """From the file, or WHIR_FACTORY_PASSPHRASE. PassphraseError: none, or too short."""
        try:
            text = file.read_text().strip() if file is not None else os.environ.get(PASSPHRASE_VARIABLE, "")
        except OSError as error:
            raise PassphraseError(f"{file}: {error.strerror}") from error
        if len(text) < PASSPHRASE_MIN:
            raise PassphraseError(
                f"the passphrase has at least {PASSPHRASE_MIN} characters: --passphrase-file, or {PASSPHRASE_VARIABLE}"
            )
        return cls(text.encode())


class Signer(Protocol):
    """Signs with P-256 and SHA-256, from a file or inside a token."""

    def public_key(self) -> ec.EllipticCurvePublicKey: ...

    def sign(self, data: bytes) -> bytes:
        """DER."""


@dataclass(frozen=True, slots=True)
class FileSigner:
    """A P-256 key that was read from its encrypted file."""

    key: ec.EllipticCurvePrivateKey

    def __repr__(self) -> str:
        return "FileSigner(…)"

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self.key.public_key()

    def sign(self, data: bytes) -> bytes:
        return self.key.sign(data, ec.ECDSA(hashes.SHA256()))


class KeyFolder:
    """All generations of one purpose's key. Purposes: device-ca, bundle, record, secure-boot."""

    def __init__(self, folder: Path, passphrase: Passphrase | None) -> None:
        self.folder = folder
        self._passphrase = passphrase

    def numbers(self) -> list[int]:
        """Ascending; empty before the first."""
        return sorted(int(path.stem) for path in self.folder.glob("*.pem") if path.stem.isdecimal())

    @property
    def newest(self) -> int:
        numbers = self.numbers()
        if not numbers:
            raise StationError(f"{self.folder}: no key; run `whir provision init`")
        return numbers[-1]

    def public_pem(self, number: int) -> bytes:
        return (self.folder / f"{number}.pem").read_bytes()

    def public_p256(self, number: int) -> ec.EllipticCurvePublicKey:
        key = serialization.load_pem_public_key(self.public_pem(number))
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise StationError(f"{self.folder / f'{number}.pem'}: not a P-256 public key")
        return key

    def add(self, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, number: int) -> None:
        """Private first: a public key that stands is never without it."""
        private = self.folder / f"{number}.key.pem"
        files.write(
            private, key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, self._encryption())
        )
        self.add_public(key.public_key(), number)

    def add_public(self, key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey, number: int) -> None:
        """Of a key that is kept elsewhere, in a token."""
        pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        files.write(self.folder / f"{number}.pem", pem, 0o644)

    def _encryption(self) -> serialization.KeySerializationEncryption:
        if self._passphrase is None:
            raise PassphraseError(f"the keys of {self.folder.parent.parent} need their passphrase")
        return serialization.BestAvailableEncryption(self._passphrase.secret)

    def private(self, number: int) -> PrivateKeyTypes:
        """PassphraseError when it is the wrong one."""
        path = self.folder / f"{number}.key.pem"
        try:
            data = path.read_bytes()
        except OSError as error:
            raise StationError(f"{path}: {error.strerror}") from error
        try:
            return serialization.load_pem_private_key(data, self._passphrase.secret if self._passphrase else None)
        except (ValueError, TypeError) as error:
            raise PassphraseError(f"{path}: the passphrase is not right, or the file is damaged") from error

    def signer(self, number: int | None = None) -> FileSigner:
        key = self.private(self.newest if number is None else number)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise StationError(f"{self.folder}: not a P-256 key")
        return FileSigner(key)


def new_p256() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def new_secure_boot_key(station: Path) -> rsa.RSAPrivateKey:
    """RSA-3072, made by `espsecure`; its unencrypted file exists in memory only."""
    with files.scratch(station) as folder:
        path = folder / "secure-boot.pem"
        run_tool("espsecure", "generate-signing-key", "--version", "2", "--scheme", "rsa3072", str(path))
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey), "espsecure was asked for RSA"
    return key


def tool(name: str) -> str:
    """The program beside this Python, so that a virtual environment need not be active."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else name


def run_tool(name: str, *arguments: str, timeout_s: float = 60) -> str:
    """Runs one of Espressif's programs; its output is returned, never shown. ToolError: its last line of complaint."""
    try:
        done = subprocess.run([tool(name), *arguments], capture_output=True, text=True, timeout=timeout_s)
    except FileNotFoundError as error:
        raise ToolError(f"{name} is not installed: pip install 'whir[factory]'") from error
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"{name} {arguments[0]}: no end within {timeout_s:.0f} s") from error
    if done.returncode != 0:
        raise ToolError(f"{name}: {complaint(done.stdout + done.stderr)}")
    return done.stdout


def complaint(output: str) -> str:
    """What a tool's output says of the reason: from the first line with 'error' on, else the last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()] or ["no output"]
    first = next((number for number, line in enumerate(lines) if "error" in line.lower()), len(lines) - 1)
    return " ".join(lines[first : first + 2])[:300]
