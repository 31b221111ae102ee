"""Bundles: checked by the node's own C code at upload, kept in a `BundleStore`, fetched by a signed, short-lived URL."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from whir_contracts import contract
from whir_fleet import evaluation
from whir_fleet.bundle_store import BundleStore
from whir_fleet.errors import BundleRefusedError, ConflictError, CredentialError, NotFoundError, SettingsError
from whir_fleet.models import Action, Artifact, Rehearsal, Rollout
from whir_fleet.said import Said
from whir_node.bundle import inspect
from whir_node.crypto import KeyFileError, load_public_key
from whir_node.errors import CoreError

UPLOAD_MAX_BYTES = max(hardware["slot_bytes"] for hardware in contract.HARDWARE.values())


class Signer:
    """Makes and checks the URLs by which nodes fetch bundles: a node has no API token. Each is one node's, and names it."""

    def __init__(self, secret: str, public_url: str, ttl_s: int) -> None:
        self._serializer = URLSafeTimedSerializer(secret)
        self._public_url = public_url.rstrip("/")
        self._ttl_s = ttl_s
        longest = self.url("0" * 64, "x" * 32, "x" * 32)
        if len(longest) > contract.MESSAGE_URL_MAX_BYTES:
            raise SettingsError(f"public_url is too long: a bundle's URL would have {len(longest)} characters")

    def url(self, sha256: str, site: str, node: str) -> str:
        # The hash is signed but stands in the path already; the token holds its beginning only, nodes have little room.
        holder = f"{site}/{node}"
        token = self._serializer.dumps(sha256[:16], salt=_salt(holder))
        return f"{self._public_url}/api/v1/artifacts/{sha256}/bundle?node={holder}&token={token}"

    def check(self, sha256: str, holder: str, token: str) -> None:
        """`holder`: the node that the URL names, as site/node."""
        try:
            signed = self._serializer.loads(token, max_age=self._ttl_s, salt=_salt(holder))
        except SignatureExpired as error:
            raise CredentialError("the bundle's URL has expired") from error
        except BadSignature as error:
            raise CredentialError("the bundle's URL is not signed by this fleet for this node") from error
        if signed != sha256[:16]:
            raise CredentialError("the bundle's URL was signed for another bundle")


def _salt(holder: str) -> str:
    return f"whir-bundle {holder}"


def find(session: Session, sha256: str) -> Artifact:
    """By the whole hash, or by a beginning of at least 8 characters that only one has."""
    if len(sha256) >= 8:
        found = session.scalars(select(Artifact).where(Artifact.sha256.startswith(sha256, autoescape=True)).limit(2)).all()
        if len(found) == 1:
            return found[0]
    raise NotFoundError(Said("no artifact %(artifact)s", artifact=sha256))


def public_keys(folder: Path) -> dict[int, ec.EllipticCurvePublicKey]:
    """The allow-list: every `<key_id>.pem` in the folder. SettingsError names the file that is no such key."""
    keys = {}
    for path in sorted(folder.glob("*.pem")):
        try:
            keys[int(path.stem)] = load_public_key(path)
        except (ValueError, KeyFileError) as error:
            raise SettingsError(f"{path}: must be <key_id>.pem with a P-256 public key: {error}") from error
    if len(keys) > contract.BUNDLE_KEYS_MAX:
        raise SettingsError(f"{folder}: {len(keys)} keys; a node knows at most {contract.BUNDLE_KEYS_MAX}")
    return keys


def require_trusted(artifact: Artifact, folder: Path) -> None:
    """ConflictError: the key that signed it was taken out of the allow-list after the upload."""
    if not (folder / f"{artifact.key_id}.pem").is_file():
        raise ConflictError(
            Said(
                "bundle %(bundle)s is signed by key %(key)s, which is trusted no more",
                bundle=artifact.sha256[:12],
                key=artifact.key_id,
            )
        )


def upload(
    session: Session, store: BundleStore, keys: dict[int, ec.EllipticCurvePublicKey], data: bytes, who: str, now_ms: int
) -> Artifact:
    """Checks a bundle exactly as a node would and keeps it. The same bytes again are no error.

    BundleRefusedError carries the core's error name. Besides, the security counter must not fall behind the bundles that
    are here already for its hardware class: a node would refuse it, and a rollout would find out node by node.
    """
    try:
        info = inspect(data, keys)
    except CoreError as error:
        text = (
            Said(contract.ERROR_TEXT[error.code_name]) if error.code_name in contract.ERROR_TEXT else str(error)
        )  # without the name: it stands in `code`
        raise BundleRefusedError(error.code_name, text) from error
    if info.hardware_class not in contract.HARDWARE:
        raise BundleRefusedError(
            "bundle_hardware",
            Said("hardware class %(hardware)r is not one of the contract's", hardware=info.hardware_class),
        )
    newest = session.scalar(select(func.max(Artifact.counter)).where(Artifact.hardware == info.hardware_class))
    if newest is not None and info.security_counter < newest:
        text = Said(
            "the security counter is below the node's: %(counter)s, but %(newest)s has been uploaded",
            counter=info.security_counter,
            newest=newest,
        )
        raise BundleRefusedError("bundle_counter", text)
    sha256 = hashlib.sha256(data).hexdigest()
    found = session.get(Artifact, sha256)
    if found is not None:
        return found
    store.put(sha256, data)
    artifact = Artifact(
        sha256=sha256,
        bytes=len(data),
        model=info.model_name,
        model_version=info.model_version,
        counter=info.security_counter,
        hardware=info.hardware_class,
        key_id=info.key_id,
        classes=list(info.classes),
        uploaded_ms=now_ms,
        uploaded_by=who,
        pass_through=False,
        evaluation=evaluation.read(info.evaluation),
    )
    session.add(artifact)
    session.flush()
    return artifact


def remove(session: Session, store: BundleStore, sha256: str) -> None:
    """Only while no rollout names it; then no node is to run it either."""
    artifact = find(session, sha256)
    if session.scalar(select(Rollout.id).where(Rollout.sha256 == artifact.sha256).limit(1)) is not None:
        raise ConflictError(Said("artifact %(artifact)s belongs to a rollout", artifact=artifact.sha256[:12]))
    if session.scalar(select(Action.id).where(Action.sha256 == artifact.sha256).limit(1)) is not None:
        raise ConflictError(
            Said("artifact %(artifact)s was sent to nodes on their way to another", artifact=artifact.sha256[:12])
        )
    session.execute(delete(Rehearsal).where(Rehearsal.sha256 == artifact.sha256))
    session.delete(artifact)
    store.remove(artifact.sha256)
