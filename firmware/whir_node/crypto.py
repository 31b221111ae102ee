"""The core's crypto seam on a computer: SHA-256 by hashlib, ECDSA P-256 by `cryptography`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature

from whir_contracts.contract import BUNDLE_KEYS_MAX
from whir_node.library import ffi, lib

_PREHASHED = ec.ECDSA(Prehashed(hashes.SHA256()))


class KeyFileError(ValueError):
    """A key file is not a P-256 key in PEM."""


def load_private_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Read an unencrypted PEM private key.

    Raises:
        KeyFileError: not a P-256 private key.
    """
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise KeyFileError(f"{path}: {error}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise KeyFileError(f"{path}: not a P-256 private key")
    return key


def load_public_key(path: Path) -> ec.EllipticCurvePublicKey:
    """Read a PEM public key.

    Raises:
        KeyFileError: not a P-256 public key.
    """
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except ValueError as error:
        raise KeyFileError(f"{path}: {error}") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise KeyFileError(f"{path}: not a P-256 public key")
    return key


def public_point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """65 bytes: 4, x, y."""
    return key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def sign_raw(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """ECDSA over the SHA-256 of the message: r then s, 32 bytes each."""
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


class CryptoSeam:
    """Keeps the C object and its callbacks alive; hand `handle` to the core.

    Args:
        public_keys: up to four P-256 keys by their `key_id`.
    """

    def __init__(self, public_keys: Mapping[int, ec.EllipticCurvePublicKey]) -> None:
        if len(public_keys) > BUNDLE_KEYS_MAX:
            raise ValueError(f"{len(public_keys)} public keys, a node holds at most {BUNDLE_KEYS_MAX}")
        self._keys = dict(public_keys)
        self._hash = hashlib.sha256()
        self._callbacks = (
            ffi.callback("int(void)", self._sha256_init, error=-1),
            ffi.callback("int(const uint8_t *, uint32_t)", self._sha256_update, error=-1),
            ffi.callback("int(uint8_t *)", self._sha256_final, error=-1),
            ffi.callback("int(uint32_t, const uint8_t *, const uint8_t *)", self._p256_valid, error=0),
            ffi.callback("int(uint8_t *, uint8_t *)", self._p256_make, error=-1),
            ffi.callback("int(const uint8_t *, const uint8_t *, uint32_t, uint8_t *)", self._p256_sign, error=-1),
        )
        raw = lib.host_crypto_new(*self._callbacks)
        if raw == ffi.NULL:
            raise MemoryError("host_crypto_new")
        self.handle: Any = ffi.gc(raw, lib.host_crypto_free)

    def _sha256_init(self) -> int:
        self._hash = hashlib.sha256()
        return 0

    def _sha256_update(self, data: Any, count: int) -> int:
        self._hash.update(ffi.buffer(data, count))
        return 0

    def _sha256_final(self, digest: Any) -> int:
        ffi.memmove(digest, self._hash.digest(), 32)
        return 0

    def _p256_make(self, scalar: Any, point: Any) -> int:
        key = ec.generate_private_key(ec.SECP256R1())
        ffi.memmove(scalar, key.private_numbers().private_value.to_bytes(32, "big"), 32)
        ffi.memmove(point, public_point(key), 65)
        return 0

    def _p256_sign(self, scalar: Any, message: Any, size: int, signature: Any) -> int:
        key = ec.derive_private_key(int.from_bytes(ffi.buffer(scalar, 32), "big"), ec.SECP256R1())
        ffi.memmove(signature, sign_raw(key, bytes(ffi.buffer(message, size))), 64)
        return 0

    def _p256_valid(self, key_id: int, digest: Any, signature: Any) -> int:
        key = self._keys.get(key_id)
        if key is None:
            return 0
        raw = bytes(ffi.buffer(signature, 64))
        der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        try:
            key.verify(der, bytes(ffi.buffer(digest, 32)), _PREHASHED)
        except InvalidSignature:
            return 0
        return 1
