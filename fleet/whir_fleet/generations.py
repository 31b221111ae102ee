"""The keys of a CA by generation, as a factory's station or `whir fleet operational-ca` keeps them.

<n>.crt.pem   certificate
<n>.key.pem   private key, PKCS#8, encrypted by a passphrase
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from whir_fleet.auth import write_private
from whir_fleet.errors import SettingsError
from whir_fleet.node_certificates import make_ca

PASSPHRASE_MIN = 12


@dataclass(frozen=True, slots=True)
class Generation:
    """One key of a CA."""

    number: int
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def __repr__(self) -> str:
        return f"Generation({self.number})"

    def sign(self, data: bytes) -> bytes:
        return self.key.sign(data, ec.ECDSA(hashes.SHA256()))


def load(folder: Path, passphrase_file: Path | None, setting: str) -> list[Generation]:
    """All generations, ascending, in the folder that this setting names. SettingsError: unreadable, or a wrong passphrase."""
    try:
        passphrase = passphrase_file.read_text().strip().encode() if passphrase_file is not None else None
        found = []
        for path in folder.glob("*.crt.pem"):
            number = int(path.name.partition(".")[0])
            key = serialization.load_pem_private_key((folder / f"{number}.key.pem").read_bytes(), passphrase)
            assert isinstance(key, ec.EllipticCurvePrivateKey), "made by whir"
            found.append(Generation(number, x509.load_pem_x509_certificate(path.read_bytes()), key))
    except (OSError, ValueError, TypeError) as error:
        raise SettingsError(f"{setting}_dir {folder}: {error}; or {setting}_passphrase_file is not right") from error
    if not found:
        raise SettingsError(f"{setting}_dir {folder}: no certificate there")
    return sorted(found, key=lambda generation: generation.number)


def add(folder: Path, passphrase_file: Path, now: datetime) -> Path:
    """Makes the next generation of an operational CA; its certificate, which the broker is to trust.

    SettingsError: the passphrase is too short, or the folder cannot be written.
    """
    try:
        passphrase = passphrase_file.read_text().strip().encode()
        if len(passphrase) < PASSPHRASE_MIN:
            raise SettingsError(f"{passphrase_file}: a passphrase has at least {PASSPHRASE_MIN} characters")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = 1 + max((int(path.name.partition(".")[0]) for path in folder.glob("*.key.pem")), default=0)
        key = ec.generate_private_key(ec.SECP256R1())
        name = f"operational CA {number}"
        made = make_ca(key.public_key(), lambda data: key.sign(data, ec.ECDSA(hashes.SHA256())), "Whir fleet", name, now)
        pem, encryption = serialization.Encoding.PEM, serialization.BestAvailableEncryption(passphrase)
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, encryption)
        write_private(folder / f"{number}.key.pem", private.decode())
        certificate = folder / f"{number}.crt.pem"
        certificate.write_bytes(made.public_bytes(pem))
    except OSError as error:
        raise SettingsError(f"{error.filename}: {error.strerror}") from error
    return certificate
