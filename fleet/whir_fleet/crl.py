"""Revocation lists of the device CA: the factory makes one at each retirement, the fleet's worker renews it in time.

Whoever signs is a function, so that a key in a token never leaves it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

LIFETIME = timedelta(days=30)
RENEW_BEFORE = timedelta(days=15)
WARN_BEFORE = timedelta(days=7)

Sign = Callable[[bytes], bytes]  # to-be-signed bytes → DER signature, ECDSA P-256 with SHA-256

_ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")


def make_crl(ca: x509.Certificate, sign: Sign, revoked: Iterable[tuple[int, datetime]], number: int, now: datetime) -> bytes:
    """PEM. `revoked`: certificate numbers and when; `number` grows with each list of this CA."""
    authority = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ca.subject)
        .last_update(now - timedelta(minutes=5))  # a broker's clock may be a little behind
        .next_update(now + LIFETIME)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority), critical=False)
    )
    for serial, at in sorted(set(revoked)):
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at)
        builder = builder.add_revoked_certificate(entry.build())
    draft = builder.sign(throwaway_key(), hashes.SHA256())
    crl = x509.load_der_x509_crl(signed(draft.tbs_certlist_bytes, sign))
    public = ca.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    if not crl.is_signature_valid(public):
        raise ValueError("the key does not belong to the CA certificate")
    return crl.public_bytes(serialization.Encoding.PEM)


def seconds_left(pem: bytes, now: datetime) -> float:
    """Until the earliest `nextUpdate` in the file; mosquitto refuses every client after it."""
    marker = b"-----BEGIN X509 CRL-----"
    crls = [x509.load_pem_x509_crl(marker + part) for part in pem.split(marker)[1:]]
    ends = [crl.next_update_utc for crl in crls]
    return min((end - now).total_seconds() for end in ends if end is not None)


def throwaway_key() -> ec.EllipticCurvePrivateKey:
    """The library's builders sign with a key of their own kind only; what they sign with this is replaced, see `signed`."""
    return ec.generate_private_key(ec.SECP256R1())


def signed(tbs: bytes, sign: Sign) -> bytes:
    """SEQUENCE { tbs, ecdsa-with-SHA256, BIT STRING signature }: the outer form of a certificate, CSR and CRL alike."""
    return _der(0x30, tbs + _ECDSA_SHA256 + _der(0x03, b"\0" + sign(tbs)))


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = (
        bytes([size])
        if size < 0x80
        else (lambda raw: bytes([0x80 | len(raw)]) + raw)(size.to_bytes((size.bit_length() + 7) // 8, "big"))
    )
    return bytes([tag]) + length + content


def utc_now() -> datetime:
    return datetime.now(UTC)
