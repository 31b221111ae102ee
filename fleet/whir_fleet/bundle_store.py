"""Where bundles lie, under their SHA-256: a folder, and an S3-compatible store behind it if there is one.

With S3 the store has every bundle and the folder is a cache of it, so that any number of API processes serve the same bundles.
Credentials come as S3's own tools expect them: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL, AWS_REGION.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from whir_fleet import known_secrets
from whir_fleet.errors import ArtifactStoreError, NotFoundError, SettingsError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Store


class BundleStore:
    """`put`, `path`, `remove`; each either done or raised as ArtifactStoreError."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self._folder = folder
        self._remote = None if url is None else _s3(url)

    def put(self, sha256: str, data: bytes) -> None:
        """Whole or not at all, and kept before the row that names it."""
        self._write(sha256, data)
        if self._remote is not None:
            with _errors():
                self._remote.put(f"{sha256}.whir", data)

    def path(self, sha256: str) -> Path:
        """The bundle as a file, fetched when it is not here yet. NotFoundError: it is nowhere."""
        path = self._folder / f"{sha256}.whir"
        if not path.is_file():
            if self._remote is None:
                raise NotFoundError(f"artifact {sha256}: its file is missing from {self._folder}")
            with _errors():
                try:
                    data = bytes(self._remote.get(f"{sha256}.whir").bytes())
                except FileNotFoundError as error:
                    raise NotFoundError(f"artifact {sha256}: it is missing from the artifact store") from error
            if hashlib.sha256(data).hexdigest() != sha256:
                raise ArtifactStoreError(f"artifact {sha256}: the artifact store has other bytes under its name")
            self._write(sha256, data)
        return path

    def remove(self, sha256: str) -> None:
        (self._folder / f"{sha256}.whir").unlink(missing_ok=True)
        if self._remote is not None:
            with _errors(), contextlib.suppress(FileNotFoundError):
                self._remote.delete(f"{sha256}.whir")

    def _write(self, sha256: str, data: bytes) -> None:
        try:
            with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
                try:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                    Path(file.name).replace(self._folder / f"{sha256}.whir")
                except BaseException:
                    Path(file.name).unlink(missing_ok=True)
                    raise
        except OSError as error:
            raise ArtifactStoreError(f"{self._folder}: {error.strerror}; the bundle was not kept") from error


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """The store's errors as ours."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, FileNotFoundError) as error:
        raise ArtifactStoreError(f"the artifact store does not answer as it should: {str(error).splitlines()[0]}") from error


def _s3(url: str) -> S3Store:
    parts = urlsplit(url)
    if parts.scheme != "s3" or not parts.netloc:
        raise SettingsError(f"artifact_store {url}: give s3://bucket/folder, or leave it out for the data folder")
    try:
        from obstore.store import S3Store
    except ImportError as error:
        raise SettingsError("artifact_store: the package obstore is not installed: pip install 'whir[s3]'") from error
    if (key := os.environ.get("AWS_SECRET_ACCESS_KEY")) is not None:
        known_secrets.refuse("AWS_SECRET_ACCESS_KEY", key, os.environ.get("AWS_ACCESS_KEY_ID", ""))
    options: ClientConfig = {"allow_http": os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")}
    retries: RetryConfig = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}
    folder = parts.path.strip("/") or None
    return S3Store(parts.netloc, prefix=folder, client_options=options, retry_config=retries)
