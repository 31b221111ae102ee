"""A P-256 key inside a PKCS#11 token: it signs there and never leaves."""

from __future__ import annotations

import hashlib
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from whir_tools.provision.errors import PassphraseError, StationError
from whir_tools.provision.keys import Passphrase


def _session(module: str, label: str, pin: Passphrase, write: bool = False) -> Any:
    try:
        import pkcs11
    except ModuleNotFoundError as error:
        raise StationError("a PKCS#11 token needs the package python-pkcs11: pip install 'whir[factory]'") from error
    try:
        return pkcs11.lib(module).get_token(token_label=label).open(rw=write, user_pin=pin.secret.decode())
    except pkcs11.exceptions.PinIncorrect as error:
        raise PassphraseError(f"token {label}: the PIN (passphrase) is not right") from error
    except (pkcs11.exceptions.PKCS11Error, RuntimeError) as error:
        raise StationError(f"token {label} in {module}: {type(error).__name__} {error}".rstrip()) from error


def make_key(module: str, label: str, name: str, pin: Passphrase) -> None:
    """A new key pair in the token; it stays when it is there already."""
    import pkcs11
    from pkcs11.util.ec import encode_named_curve_parameters

    with _session(module, label, pin, write=True) as session:
        if list(session.get_objects({pkcs11.Attribute.LABEL: name})):
            return
        curve = session.create_domain_parameters(
            pkcs11.KeyType.EC, {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}, local=True
        )
        curve.generate_keypair(store=True, label=name, capabilities=pkcs11.MechanismFlag.SIGN | pkcs11.MechanismFlag.VERIFY)


class TokenSigner:
    """The key `name` of a token."""

    def __init__(self, module: str, label: str, name: str, pin: Passphrase) -> None:
        self._where = (module, label, pin)
        self._name = name

    def public_key(self) -> ec.EllipticCurvePublicKey:
        import pkcs11
        from pkcs11.util.ec import encode_ec_public_key

        with _session(*self._where) as session:
            data = encode_ec_public_key(self._key(session, pkcs11.ObjectClass.PUBLIC_KEY))
        key = serialization.load_der_public_key(data)
        assert isinstance(key, ec.EllipticCurvePublicKey), "made as such"
        return key

    def sign(self, data: bytes) -> bytes:
        import pkcs11

        with _session(*self._where) as session:
            key = self._key(session, pkcs11.ObjectClass.PRIVATE_KEY)
            raw = key.sign(hashlib.sha256(data).digest(), mechanism=pkcs11.Mechanism.ECDSA)
        return encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))

    def _key(self, session: Any, kind: Any) -> Any:
        import pkcs11

        try:
            return session.get_key(label=self._name, object_class=kind)
        except pkcs11.exceptions.NoSuchKey as error:
            raise StationError(f"token {self._where[1]}: no key {self._name}; run `whir provision init`") from error
