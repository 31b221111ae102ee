"""Certificates of nodes and the CAs that issue them: the factory's, for birth, and the fleet's, for those that are renewed.

Whoever signs is a function, so that a key in a token never leaves it.
"""

from __future__ import annotations

import base64
import secrets
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from whir_contracts.contract import MESSAGE_SETTING_VALUE_MAX_BYTES
from whir_fleet.crl import Sign, signed, throwaway_key

CA_YEARS = 30
YEAR = timedelta(days=365.25)
_BACKDATE = timedelta(days=1)  # a node's or a broker's clock may be behind
_PIECE = MESSAGE_SETTING_VALUE_MAX_BYTES // 4 * 4
_PIECES = ("", "b", "c")


def new_number() -> int:
    """A certificate's number: 127 random bits, positive."""
    return secrets.randbits(126) | 1 << 126


def make_ca(
    public: ec.EllipticCurvePublicKey, sign: Sign, organisation: str, common_name: str, now: datetime
) -> x509.Certificate:
    """A self-signed CA certificate for the key."""
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    builder = (
        _builder(name, name, public, new_number(), now, now + CA_YEARS * YEAR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(ca=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    return _sign(builder, sign)


def issue(
    ca: x509.Certificate,
    sign: Sign,
    public: ec.EllipticCurvePublicKey,
    common_name: str,
    serial: str,
    number: int,
    now: datetime,
    lifetime: timedelta,
) -> x509.Certificate:
    """A client certificate; CN is site/node, serialNumber the serial on the label. It ends with its CA at the latest."""
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, common_name), x509.NameAttribute(NameOID.SERIAL_NUMBER, serial)]
    )
    end = min(now + lifetime, ca.not_valid_after_utc)
    authority = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(subject, ca.subject, public, number, now, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority), critical=False)
    )
    return _sign(builder, sign)


def requested(data: bytes) -> tuple[ec.EllipticCurvePublicKey, str]:
    """Public key and name (CN) of a request (DER), whose own signature proves that who asks has the private key.

    ValueError says what is wrong with it.
    """
    request = x509.load_der_x509_csr(data)
    key = request.public_key()
    if not request.is_signature_valid or not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError("not signed by its own P-256 key")
    if not isinstance(key.curve, ec.SECP256R1):
        raise ValueError(f"a key on {key.curve.name}, not P-256")
    names = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return key, str(names[0].value) if len(names) == 1 else ""


def setting_value(certificate: x509.Certificate) -> str:
    """DER in base64, as a node takes it. ValueError: longer than one setting."""
    text = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()
    if len(text) > MESSAGE_SETTING_VALUE_MAX_BYTES:
        raise ValueError(f"a certificate of {len(text)} characters, a setting has room for {MESSAGE_SETTING_VALUE_MAX_BYTES}")
    return text


def anchor_settings(number: int, certificate: x509.Certificate | None) -> dict[str, str]:
    """All settings of trust anchor 1 or 2, to be set together; None takes it away. ValueError: too long for a node.

    While neither is set a node trusts the CA that its factory has written. Both: the old and the new one.
    """
    text = "" if certificate is None else base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()
    if len(text) > _PIECE * len(_PIECES):
        raise ValueError(f"a certificate of {len(text)} characters, a node has room for {_PIECE * len(_PIECES)}")
    return {f"ca_{number}{piece}": text[i * _PIECE : (i + 1) * _PIECE] for i, piece in enumerate(_PIECES)}


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


def _sign(builder: x509.CertificateBuilder, sign: Sign) -> x509.Certificate:
    draft = builder.sign(throwaway_key(), hashes.SHA256())
    return x509.load_der_x509_certificate(signed(draft.tbs_certificate_bytes, sign))
