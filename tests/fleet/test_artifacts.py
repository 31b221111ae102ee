"""Artifacts: what a node would refuse is refused at upload, with the core's name for it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from signed_bundle import KEY, KEY_ID

from whir_contracts import contract
from whir_fleet import artifacts, rollout_plans
from whir_fleet.artifacts import Signer
from whir_fleet.bundle_store import BundleStore
from whir_fleet.db import Database
from whir_fleet.errors import BundleRefusedError, ConflictError, CredentialError, NotFoundError, SettingsError
from whir_fleet.messages import Inbound
from whir_fleet.models import Artifact
from whir_fleet.rollout_plans import Plan
from whir_fleet.store import store
from whir_node.firmware import pack, virtual_image

MakeBundle = Callable[..., bytes]


def upload(database: Database, keys: Path, data: bytes) -> Artifact:
    folder = keys.parent / "bundles"
    folder.mkdir(exist_ok=True)
    with database.write() as session:
        return artifacts.upload(session, BundleStore(folder), artifacts.public_keys(keys), data, "anna", 5)


def refusal(database: Database, keys: Path, data: bytes) -> str:
    with pytest.raises(BundleRefusedError) as caught:
        upload(database, keys, data)
    assert len(str(caught.value)) > 10
    assert caught.value.code not in str(caught.value)  # who prints it puts the code before it
    return caught.value.code


def test_a_good_bundle_is_kept_under_its_hash_and_described(database: Database, keys: Path, make_bundle: MakeBundle) -> None:
    data = make_bundle()
    artifact = upload(database, keys, data)
    assert artifact.sha256 == hashlib.sha256(data).hexdigest()
    assert (artifact.model, artifact.model_version, artifact.counter, artifact.hardware) == ("new", "2", 2, "host")
    assert (artifact.bytes, artifact.key_id, artifact.classes) == (len(data), 7, ["normal", "bearing"])
    assert BundleStore(keys.parent / "bundles").path(artifact.sha256).read_bytes() == data
    assert upload(database, keys, data).uploaded_ms == 5


def test_a_damaged_bundle_is_refused_wherever_a_bit_is_flipped(database: Database, keys: Path, make_bundle: MakeBundle) -> None:
    data = make_bundle()
    wanted = {0: "bundle_header", 40: "bundle_signature", len(data) - 1: "bundle_signature"}
    for place in [*wanted, *range(7, len(data), 61)]:
        bad = bytearray(data)
        bad[place] ^= 0x10
        try:
            artifact = upload(database, keys, bytes(bad))
        except BundleRefusedError as error:
            assert error.code == wanted.get(place, error.code)
        else:
            pytest.fail(f"bit flipped in byte {place} was accepted as {artifact.sha256}")


@pytest.mark.parametrize("length", [0, 10, 31, 100, -65, -1])
def test_a_truncated_bundle_is_refused(database: Database, keys: Path, make_bundle: MakeBundle, length: int) -> None:
    assert refusal(database, keys, make_bundle()[:length]) in ("bundle_truncated", "bundle_header")


def test_bytes_behind_the_bundle_are_refused(database: Database, keys: Path, make_bundle: MakeBundle) -> None:
    assert refusal(database, keys, make_bundle() + b"x") == "bundle_header"


def test_a_strangers_bundle_is_refused(database: Database, keys: Path, make_bundle: MakeBundle) -> None:
    stranger = ec.derive_private_key(0xBAD, ec.SECP256R1())
    assert refusal(database, keys, make_bundle(key=stranger)) == "bundle_signature"
    assert refusal(database, keys, make_bundle(key_id=8)) == "bundle_signature"


def test_an_older_counter_is_refused_for_its_hardware_class_only(
    database: Database, keys: Path, make_bundle: MakeBundle
) -> None:
    upload(database, keys, make_bundle(security_counter=5))
    assert refusal(database, keys, make_bundle(security_counter=4)) == "bundle_counter"
    upload(database, keys, make_bundle(security_counter=5, model_version="3"))
    upload(database, keys, make_bundle(security_counter=1, hardware_class="esp32"))


def test_an_unknown_hardware_class_is_refused(database: Database, keys: Path, make_bundle: MakeBundle) -> None:
    assert refusal(database, keys, make_bundle(hardware_class="toaster")) == "bundle_hardware"


def test_a_key_file_that_is_none_is_named(keys: Path) -> None:
    (keys / "9.pem").write_text("no key")
    with pytest.raises(SettingsError, match=r"9\.pem"):
        artifacts.public_keys(keys)
    (keys / "9.pem").rename(keys / "nine.pem")
    with pytest.raises(SettingsError, match=r"<key_id>\.pem"):
        artifacts.public_keys(keys)


def test_an_artifact_is_found_by_the_beginning_of_its_hash(database: Database, keys: Path, make_bundle: MakeBundle) -> None:
    sha256 = upload(database, keys, make_bundle()).sha256
    with database.read() as session:
        assert artifacts.find(session, sha256[:8]).sha256 == sha256
        for wrong in (sha256[:7], "%" * 8, "0" * 64):
            with pytest.raises(NotFoundError):
                artifacts.find(session, wrong)


def test_an_artifact_is_deleted_only_while_no_rollout_names_it(
    database: Database, keys: Path, make_bundle: MakeBundle, says: Callable[..., Inbound]
) -> None:
    folder = keys.parent / "bundles"
    unused, used = (upload(database, keys, make_bundle(model_version=v)).sha256 for v in ("2", "3"))
    with database.write() as session:
        store(session, [says("status", seq=1)], 100)
        rollout_plans.create(session, Plan("test", used), "anna", 5)
        artifacts.remove(session, BundleStore(folder), unused)
        with pytest.raises(ConflictError):
            artifacts.remove(session, BundleStore(folder), used)
    assert [path.stem for path in folder.iterdir()] == [used]


def test_a_signed_url_opens_one_bundle_for_one_node_for_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    signer = Signer("secret", "http://fleet:8080/", 60)
    sha256 = "ab" * 32
    url = signer.url(sha256, "lab", "n1")
    assert url.startswith(f"http://fleet:8080/api/v1/artifacts/{sha256}/bundle?node=lab/n1&token=")
    assert len(url) < contract.MESSAGE_URL_MAX_BYTES
    token = url.split("token=")[1]
    signer.check(sha256, "lab/n1", token)
    for wrong in (
        ("cd" * 32, "lab/n1", token),
        (sha256, "lab/n2", token),
        (sha256, "plant/n1", token),
        (sha256, "", token),
        (sha256, "lab/n1", token[:-1]),
        (sha256, "lab/n1", ""),
        (sha256, "lab/n1", Signer("other", "http://f", 60).url(sha256, "lab", "n1").split("token=")[1]),
    ):
        with pytest.raises(CredentialError):
            signer.check(*wrong)
    later = time.time() + 62
    monkeypatch.setattr("time.time", lambda: later)
    with pytest.raises(CredentialError, match="expired"):
        signer.check(sha256, "lab/n1", token)


def test_a_public_url_that_leaves_no_room_is_refused_at_start() -> None:
    with pytest.raises(SettingsError, match="too long"):
        Signer("secret", "http://" + "x" * 500, 60)


# Firmware packages ----------------------------------------------------------------------------------------------------


def package(version: str = "0.3.0", counter: int = 1, key: ec.EllipticCurvePrivateKey = KEY, hardware: str = "esp32") -> bytes:
    return pack(virtual_image(version, counter, b"x" * 5000), hardware_class=hardware, private_key=key, key_id=KEY_ID)


def test_a_firmware_package_is_kept_beside_the_bundles_with_what_it_says_of_itself(database: Database, keys: Path) -> None:
    made = upload(database, keys, package())
    assert (made.kind, made.model_version, made.counter, made.hardware, made.key_id) == (
        "firmware",
        "0.3.0",
        1,
        "esp32",
        KEY_ID,
    )
    assert (made.extractor_min, made.extractor_max) == (1, contract.FEATURE_EXTRACTOR_VERSION)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (lambda: package()[:100], "firmware_header"),
        (lambda: package()[:-1], "firmware_image"),
        (lambda: package(key=ec.derive_private_key(0xBAD, ec.SECP256R1())), "firmware_signature"),
        (lambda: package(hardware="toaster"), "firmware_hardware"),
        (lambda: package(counter=4), "firmware_counter"),
    ],
)
def test_a_firmware_package_that_a_node_would_refuse_is_refused(
    database: Database, keys: Path, data: Callable[[], bytes], code: str
) -> None:
    upload(database, keys, package("0.4.0", counter=5))
    assert refusal(database, keys, data()) == code
