"""A P-256 key inside a PKCS#11 token: it signs there and never leaves.

The token's library is foreign code, and not every one is safe among threads (SoftHSM 2.6 is not): it runs in a process of its
own, so that its crash is the error of one signature and not the end of the line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from whir_tools.provision.errors import PassphraseError, StationError
from whir_tools.provision.keys import Passphrase

TRIES = 2


@dataclass(frozen=True)
class TokenSigner:
    """The key `name` of the token `label` behind the library `module`."""

    module: str
    label: str
    name: str
    pin: Passphrase

    def make_key(self) -> None:
        """A new key pair in the token; it stays when it is there already."""
        self._apart(_make_key)

    def public_key(self) -> ec.EllipticCurvePublicKey:
        key = serialization.load_der_public_key(self._apart(_public_key))
        assert isinstance(key, ec.EllipticCurvePublicKey), "made as such"
        return key

    def sign(self, data: bytes) -> bytes:
        raw = self._apart(_sign, hashlib.sha256(data).digest())
        return encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))

    def _apart(self, work: Callable[..., Any], *arguments: bytes) -> Any:
        for _ in range(TRIES):
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                try:
                    return process.submit(work, self, *arguments).result()
                except BrokenProcessPool:
                    continue
        raise StationError(f"token {self.label}: its library {self.module} crashed {TRIES} times")


def _session(signer: TokenSigner, write: bool = False) -> Any:
    try:
        import pkcs11
    except ModuleNotFoundError as error:
        raise StationError("a PKCS#11 token needs the package python-pkcs11: pip install 'whir[factory]'") from error
    try:
        token = pkcs11.lib(signer.module).get_token(token_label=signer.label)
        return token.open(rw=write, user_pin=signer.pin.secret.decode())
    except pkcs11.exceptions.PinIncorrect as error:
        raise PassphraseError(f"token {signer.label}: the PIN (passphrase) is not right") from error
    except (pkcs11.exceptions.PKCS11Error, RuntimeError) as error:
        raise StationError(f"token {signer.label} in {signer.module}: {type(error).__name__} {error}".rstrip()) from error


def _make_key(signer: TokenSigner) -> None:
    with _session(signer, write=True) as session:
        import pkcs11
        from pkcs11.util.ec import encode_named_curve_parameters

        if list(session.get_objects({pkcs11.Attribute.LABEL: signer.name})):
            return
        curve = session.create_domain_parameters(
            pkcs11.KeyType.EC, {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}, local=True
        )
        uses = pkcs11.MechanismFlag.SIGN | pkcs11.MechanismFlag.VERIFY
        curve.generate_keypair(store=True, label=signer.name, capabilities=uses)


def _public_key(signer: TokenSigner) -> bytes:
    with _session(signer) as session:
        import pkcs11
        from pkcs11.util.ec import encode_ec_public_key

        return bytes(encode_ec_public_key(_key(signer, session, pkcs11.ObjectClass.PUBLIC_KEY)))


def _sign(signer: TokenSigner, digest: bytes) -> bytes:
    with _session(signer) as session:
        import pkcs11

        key = _key(signer, session, pkcs11.ObjectClass.PRIVATE_KEY)
        return bytes(key.sign(digest, mechanism=pkcs11.Mechanism.ECDSA))


def _key(signer: TokenSigner, session: Any, kind: Any) -> Any:
    import pkcs11

    try:
        return session.get_key(label=signer.name, object_class=kind)
    except pkcs11.exceptions.NoSuchKey as error:
        raise StationError(f"token {signer.label}: no key {signer.name}; run `whir provision init`") from error
