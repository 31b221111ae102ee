"""The device CA: issues one certificate per node, names it site/node, and signs what is revoked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from whir_fleet import node_certificates
from whir_fleet.node_certificates import YEAR, new_number
from whir_tools.provision.errors import StationError
from whir_tools.provision.keys import Signer

__all__ = ["DeviceCa", "Names", "check_csr", "der", "fingerprint", "new_number"]


@dataclass(frozen=True, slots=True)
class Names:
    """Whom a certificate is for."""

    site: str
    node: str
    serial: str

    @property
    def common_name(self) -> str:
        """What the broker takes as the user name."""
        return f"{self.site}/{self.node}"


@dataclass(frozen=True, slots=True)
class DeviceCa:
    """Certificate and key of one generation. `development`: of a desk, says so in its subject."""

    certificate: x509.Certificate
    signer: Signer
    development: bool

    @classmethod
    def create(cls, signer: Signer, generation: int, now: datetime, development: bool) -> DeviceCa:
        """A self-signed CA certificate for the key."""
        organisation = "Whir development" if development else "Whir devices"
        name = f"device CA {generation}"
        made = node_certificates.make_ca(signer.public_key(), signer.sign, organisation, name, now)
        return cls(made, signer, development)

    def issue(
        self, public: ec.EllipticCurvePublicKey, names: Names, number: int, now: datetime, years: float
    ) -> x509.Certificate:
        """A client certificate for a node's birth."""
        return node_certificates.issue(
            self.certificate, self.signer.sign, public, names.common_name, names.serial, number, now, years * YEAR
        )


def check_csr(data: bytes) -> ec.EllipticCurvePublicKey:
    """The public key of a board's request (DER), whose own signature proves that the board has the private one."""
    try:
        return node_certificates.requested(data)[0]
    except ValueError as error:
        raise StationError(f"the board's certificate request: {error}") from error


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def fingerprint(certificate_der: bytes) -> str:
    """SHA-256 in hexadecimal, by which the fleet knows it."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(certificate_der)
    return digest.finalize().hex()
