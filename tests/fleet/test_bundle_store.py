"""Where bundles lie: the folder alone, and before an S3 server of the real protocol."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from whir_fleet.bundle_store import BundleStore
from whir_fleet.errors import ArtifactStoreError, NotFoundError, SettingsError

DATA = b"a bundle" * 4000
SHA256 = hashlib.sha256(DATA).hexdigest()
URL = "s3://bundles/plant/whir"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Address of an S3 server with the bucket `bundles`."""
    found = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    found.start()
    host, port = found.get_host_and_port()
    url = f"http://{host}:{port}"
    account = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=url, **account).create_bucket(Bucket="bundles")
    yield url
    found.stop()


@pytest.fixture
def s3(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    account = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "of-the-test-only", "AWS_REGION": "us-east-1"}
    for name, value in {**account, "AWS_ENDPOINT_URL": server}.items():
        monkeypatch.setenv(name, value)
    return URL


def folder(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.parametrize("remote", [False, True], ids=["folder", "s3"])
def test_what_was_put_is_there_until_it_is_removed(tmp_path: Path, s3: str, remote: bool) -> None:
    store = BundleStore(folder(tmp_path / "a"), s3 if remote else None)
    store.put(SHA256, DATA)
    assert store.path(SHA256).read_bytes() == DATA
    for _ in range(2):  # the second time there is nothing left to remove
        store.remove(SHA256)
    with pytest.raises(NotFoundError):
        store.path(SHA256)


def test_another_process_fetches_from_s3_what_it_does_not_have(tmp_path: Path, s3: str) -> None:
    BundleStore(folder(tmp_path / "a"), s3).put(SHA256, DATA)
    assert BundleStore(folder(tmp_path / "b"), s3).path(SHA256).read_bytes() == DATA


def test_other_bytes_under_the_name_are_not_given_out(tmp_path: Path, s3: str) -> None:
    BundleStore(folder(tmp_path / "a"), s3).put("ab" * 32, DATA)
    with pytest.raises(ArtifactStoreError, match="other bytes"):
        BundleStore(folder(tmp_path / "b"), s3).path("ab" * 32)


def test_a_bucket_that_is_not_there_is_said_in_one_line(tmp_path: Path, s3: str) -> None:
    store = BundleStore(folder(tmp_path / "a"), "s3://nowhere")
    with pytest.raises(ArtifactStoreError) as caught:
        store.put(SHA256, DATA)
    assert "\n" not in str(caught.value)


def test_a_full_disk_leaves_nothing_behind_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    store = BundleStore(folder(tmp_path / "a"))
    with pytest.raises(ArtifactStoreError, match="No space left"):
        store.put(SHA256, DATA)
    assert list((tmp_path / "a").iterdir()) == []


@pytest.mark.parametrize("url", ["http://host/bucket", "s3://", "bundles"])
def test_an_address_that_is_none_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="artifact_store"):
        BundleStore(tmp_path, url)
