"""The device CA: issues one certificate per node, names it site/node, and signs what is revoked."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from whir_fleet.crl import signed, throwaway_key
from whir_tools.provision.errors import StationError
from whir_tools.provision.keys import Signer

CA_YEARS = 30
_YEAR = timedelta(days=365.25)
_BACKDATE = timedelta(days=1)  # a node's or a broker's clock may be behind


def new_number() -> int:
    """A certificate's number: 127 random bits, positive."""
    return secrets.randbits(126) | 1 << 126


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
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
                x509.NameAttribute(NameOID.COMMON_NAME, f"device CA {generation}"),
            ]
        )
        public = signer.public_key()
        builder = (
            _builder(name, name, public, new_number(), now, now + CA_YEARS * _YEAR)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(ca=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        )
        return cls(_sign(builder, signer), signer, development)

    def issue(
        self, public: ec.EllipticCurvePublicKey, names: Names, number: int, now: datetime, years: float
    ) -> x509.Certificate:
        """A client certificate; CN is site/node, serialNumber the serial on the label."""
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, names.common_name),
                x509.NameAttribute(NameOID.SERIAL_NUMBER, names.serial),
            ]
        )
        end = min(now + years * _YEAR, self.certificate.not_valid_after_utc)
        authority = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        builder = (
            _builder(subject, self.certificate.subject, public, number, now, end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority), critical=False)
        )
        return _sign(builder, self.signer)


def check_csr(data: bytes) -> ec.EllipticCurvePublicKey:
    """The public key of a board's request (DER), whose own signature proves that the board has the private one."""
    try:
        request = x509.load_der_x509_csr(data)
        key = request.public_key()
        valid = request.is_signature_valid
    except ValueError as error:
        raise StationError(f"the board's certificate request cannot be read: {error}") from error
    if not valid or not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise StationError("the board's certificate request is not signed by its own P-256 key")
    return key


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def fingerprint(certificate_der: bytes) -> str:
    """SHA-256 in hexadecimal, by which the fleet knows it."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(certificate_der)
    return digest.finalize().hex()


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, number: int, now: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(number)
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(end)
    )


def _usage(ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _sign(builder: x509.CertificateBuilder, signer: Signer) -> x509.Certificate:
    draft = builder.sign(throwaway_key(), hashes.SHA256())
    made = x509.load_der_x509_certificate(signed(draft.tbs_certificate_bytes, signer.sign))
    return made
