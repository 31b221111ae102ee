"""What rollouts bring: bundles and firmware packages, checked by the node's own C code at upload, kept in a `BundleStore` and
fetched by a signed, short-lived URL; and settings, which are told."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from whir_contracts import contract
from whir_fleet import evaluation
from whir_fleet.bundle_store import BundleStore
from whir_fleet.errors import BundleRefusedError, ConflictError, CredentialError, NotFoundError, RequestError, SettingsError
from whir_fleet.models import Action, Artifact, Rehearsal, Rollout
from whir_fleet.rollout_kinds import ANY_HARDWARE, CERTIFICATES, FIRMWARE, MODEL, SETTINGS, TRIED
from whir_fleet.said import Said
from whir_node import firmware
from whir_node import settings as board
from whir_node.bundle import inspect
from whir_node.crypto import KeyFileError, load_public_key
from whir_node.errors import CoreError

FIRMWARE_MAX_BYTES = 2 * 1024 * 1024  # more than any board's application slot
UPLOAD_MAX_BYTES = max(FIRMWARE_MAX_BYTES, *(hardware["slot_bytes"] for hardware in contract.HARDWARE.values()))
_FIRMWARE_MAGIC = contract.FIRMWARE_MAGIC.to_bytes(4, "little")


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
    if artifact.kind not in TRIED and not (folder / f"{artifact.key_id}.pem").is_file():
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
    """Checks a bundle or a firmware package exactly as a node would and keeps it. The same bytes again are no error.

    BundleRefusedError carries the core's error name. Besides, the security counter must not fall behind those of its kind that
    are here already for its hardware class: a node would refuse it, and a rollout would find out node by node.
    """
    try:
        artifact = _firmware(data, keys) if data.startswith(_FIRMWARE_MAGIC) else _bundle(data, keys)
    except CoreError as error:
        text = (
            Said(contract.ERROR_TEXT[error.code_name]) if error.code_name in contract.ERROR_TEXT else str(error)
        )  # without the name: it stands in `code`
        raise BundleRefusedError(error.code_name, text) from error
    prefix = "firmware" if artifact.kind == FIRMWARE else "bundle"
    if artifact.hardware not in contract.HARDWARE:
        raise BundleRefusedError(
            f"{prefix}_hardware",
            Said("hardware class %(hardware)r is not one of the contract's", hardware=artifact.hardware),
        )
    of_kind = select(func.max(Artifact.counter)).where(Artifact.hardware == artifact.hardware, Artifact.kind == artifact.kind)
    newest = session.scalar(of_kind)
    if newest is not None and artifact.counter < newest:
        text = Said(
            "the security counter is below the node's: %(counter)s, but %(newest)s has been uploaded",
            counter=artifact.counter,
            newest=newest,
        )
        raise BundleRefusedError(f"{prefix}_counter", text)
    artifact.sha256 = hashlib.sha256(data).hexdigest()
    if (found := session.get(Artifact, artifact.sha256)) is not None:
        return found
    store.put(artifact.sha256, data)
    return _keep(session, artifact, len(data), who, now_ms)


def _bundle(data: bytes, keys: dict[int, ec.EllipticCurvePublicKey]) -> Artifact:
    info = inspect(data, keys)
    return Artifact(
        kind=MODEL,
        model=info.model_name,
        model_version=info.model_version,
        counter=info.security_counter,
        hardware=info.hardware_class,
        key_id=info.key_id,
        classes=list(info.classes),
        evaluation=evaluation.read(info.evaluation),
        extractor_min=info.params.extractor_version,
        extractor_max=info.params.extractor_version,
    )


def _firmware(data: bytes, keys: dict[int, ec.EllipticCurvePublicKey]) -> Artifact:
    info = firmware.inspect(data, keys)
    return Artifact(
        kind=FIRMWARE,
        model="firmware",
        model_version=info.version,
        counter=info.security_counter,
        hardware=info.hardware_class,
        key_id=info.key_id,
        classes=[],
        extractor_min=info.extractor_min,
        extractor_max=info.extractor_max,
    )


def settings(session: Session, name: str, values: dict[str, str], who: str, now_ms: int) -> Artifact:
    """Settings of boards, by key; the same again are no error. RequestError: a board would not take one of them."""
    known = board.keys()
    for key, text in values.items():
        if key not in known:
            raise RequestError(
                Said("setting %(key)s: there is none of that name; one of %(known)s", key=key, known=", ".join(known))
            )
        if not board.is_valid(key, text):
            raise RequestError(Said("setting %(key)s: a board would not take its value", key=key))
    return _told(session, SETTINGS, name, dict(values), who, now_ms)


def certificates(session: Session, who: str, now_ms: int) -> Artifact:
    """The order to replace nodes' certificates by new ones of the fleet's CA."""
    return _told(session, CERTIFICATES, "certificates", {"certificate": str(now_ms)}, who, now_ms)


def _told(session: Session, kind: str, name: str, values: dict[str, str], who: str, now_ms: int) -> Artifact:
    content = json.dumps(values, sort_keys=True).encode()
    sha256 = hashlib.sha256(content).hexdigest()
    if (found := session.get(Artifact, sha256)) is not None:
        return found
    made = Artifact(sha256=sha256, kind=kind, model=name, model_version=sha256[:8], content=values)
    made.counter, made.key_id, made.hardware, made.classes = 0, 0, ANY_HARDWARE, []
    return _keep(session, made, len(content), who, now_ms)


def _keep(session: Session, artifact: Artifact, size: int, who: str, now_ms: int) -> Artifact:
    artifact.bytes, artifact.uploaded_ms, artifact.uploaded_by, artifact.pass_through = size, now_ms, who, False
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
    if artifact.kind not in TRIED:
        store.remove(artifact.sha256)
