"""The crypto seam on a computer, and the key files that it reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from whir_node.crypto import CryptoSeam, KeyFileError, load_private_key, load_public_key

KEY = ec.generate_private_key(ec.SECP256R1())


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def public_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def test_a_pair_of_key_files_is_read(tmp_path: Path) -> None:
    (tmp_path / "private.pem").write_bytes(private_pem(KEY))
    (tmp_path / "public.pem").write_bytes(public_pem(KEY))
    private, public = load_private_key(tmp_path / "private.pem"), load_public_key(tmp_path / "public.pem")
    assert private.public_key().public_numbers() == public.public_numbers() == KEY.public_key().public_numbers()


@pytest.mark.parametrize("content", [b"", b"not a key", public_pem(KEY), private_pem(ec.generate_private_key(ec.SECP384R1()))])
def test_anything_but_a_p256_private_key_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    with pytest.raises(KeyFileError, match="key\\.pem"):
        load_private_key(path)


@pytest.mark.parametrize("content", [b"", b"not a key", private_pem(KEY), public_pem(ec.generate_private_key(ec.SECP384R1()))])
def test_anything_but_a_p256_public_key_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    with pytest.raises(KeyFileError, match="key\\.pem"):
        load_public_key(path)


def test_an_encrypted_private_key_is_refused_without_asking(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(
        KEY.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
        )
    )
    with pytest.raises(KeyFileError):
        load_private_key(path)


def test_a_node_holds_at_most_four_keys() -> None:
    assert CryptoSeam({i: KEY.public_key() for i in range(4)}).handle
    with pytest.raises(ValueError, match="at most 4"):
        CryptoSeam({i: KEY.public_key() for i in range(5)})
