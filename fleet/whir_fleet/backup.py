"""Backup and restore: one archive with the database, the bundles, the keys and the secrets; each file's SHA-256 is checked.

SQLite is copied by its own backup, PostgreSQL by pg_dump: either is one moment of the database, while the service runs. Bundles
lie under their hashes and never change. What an S3 store holds and what a broker of its own holds is not in it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
from contextlib import closing
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from sqlalchemy import inspect, text
from sqlalchemy.engine import URL, make_url

from whir_fleet.clock import now_ms
from whir_fleet.data_lock import DataLock
from whir_fleet.db import Database
from whir_fleet.errors import BackupError
from whir_fleet.settings import Settings

_MANIFEST: Final = "manifest.json"
_SQLITE, _POSTGRES = "fleet.db", "fleet.dump"
_FILES: Final = ("bundles/*.whir", "keys/*.pem", "broker_users.toml", "secret")
_PLACES: Final = Path("/usr/lib/postgresql")  # Debian keeps some of its programs out of the path


def backup(settings: Settings, archive: Path) -> dict[str, Any]:
    """Writes the archive (mode 0600: it holds secrets), whole or not at all. Returns its manifest."""
    if not settings.data_dir.is_dir():
        raise BackupError(f"{settings.data_dir}: there is no such data folder")
    database = Database(settings.url)
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".whir-backup-") as scratch:
        folder = Path(scratch)
        try:
            with database.read() as session:
                revision = session.scalar(text("SELECT version_num FROM alembic_version"))
            name = _dump(database, folder)
        finally:
            database.close()
        files = {name: folder / name}
        for pattern in _FILES:
            files |= {str(path.relative_to(settings.data_dir)): path for path in settings.data_dir.glob(pattern)}
        if settings.keys_dir is not None:
            files |= {f"keys/{path.name}": path for path in settings.keys_dir.glob("*.pem")}
        manifest = {
            "made_ms": now_ms(),
            "whir": metadata.version("whir"),
            "schema": revision,
            "files": {path: _sha256(place) for path, place in sorted(files.items())},
        }
        (folder / _MANIFEST).write_text(json.dumps(manifest, indent=1))
        whole = folder / "archive"
        whole.touch(mode=0o600)
        with tarfile.open(whole, "w:gz") as tar:
            tar.add(folder / _MANIFEST, _MANIFEST)
            for path, place in sorted(files.items()):
                tar.add(place, path)
        whole.replace(archive)
    return manifest


def restore(settings: Settings, archive: Path) -> dict[str, Any]:
    """Into a data folder and a database that hold nothing yet; the service must not run on them. Returns the manifest."""
    settings.prepare()
    lock = DataLock(settings.data_dir)
    lock.acquire()
    try:
        with tempfile.TemporaryDirectory(dir=settings.data_dir, prefix=".whir-restore-") as scratch:
            manifest = _unpack(archive, Path(scratch))
            _load(settings, Path(scratch), manifest["files"])
            for path in manifest["files"]:
                if path not in (_SQLITE, _POSTGRES):
                    place = settings.data_dir / path
                    place.parent.mkdir(exist_ok=True)
                    shutil.move(Path(scratch) / path, place)
    finally:
        lock.release()
    return manifest


def _dump(database: Database, folder: Path) -> str:
    if database.is_sqlite:
        here = str(database.engine.url.database)
        with closing(sqlite3.connect(here)) as source, closing(sqlite3.connect(folder / _SQLITE)) as copy:
            source.backup(copy)
        return _SQLITE
    _run("pg_dump", database.engine.url, "--format=custom", "--no-owner", "--file", str(folder / _POSTGRES))
    return _POSTGRES


def _load(settings: Settings, folder: Path, files: dict[str, str]) -> None:
    """The database, migrated to this program's version."""
    database = Database(settings.url)
    try:
        name = _SQLITE if database.is_sqlite else _POSTGRES
        if name not in files:
            other = "PostgreSQL" if database.is_sqlite else "SQLite"
            raise BackupError(f"the archive is of {other}, the setting database_url is not")
        if inspect(database.engine).get_table_names():
            raise BackupError(f"database {database.engine.url!r} is not empty: restore into a new one")
        if database.is_sqlite:
            database.close()
            shutil.move(folder / name, str(database.engine.url.database))
        else:
            _run("pg_restore", database.engine.url, "--no-owner", "--exit-on-error", "--single-transaction", str(folder / name))
        database.migrate()
    finally:
        database.close()


def _unpack(archive: Path, folder: Path) -> dict[str, Any]:
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        manifest: dict[str, Any] = json.loads((folder / _MANIFEST).read_text())
        for path, wanted in manifest["files"].items():
            if _sha256(folder / path) != wanted:
                raise BackupError(f"{archive}: {path} is damaged")
    except (OSError, tarfile.TarError, EOFError, ValueError, KeyError, AttributeError) as error:
        raise BackupError(f"{archive}: not a backup of whir fleet, or damaged: {error}") from error
    return manifest


def _run(program: str, url: URL, *arguments: str) -> None:
    """A program of PostgreSQL's on this database; the password goes by the environment."""
    places = sorted(_PLACES.glob(f"*/bin/{program}"), key=lambda path: int(path.parts[-3]))
    found = str(places[-1]) if places else shutil.which(program)
    if found is None:
        raise BackupError(f"{program} is not installed: apt-get install postgresql-client")
    plain = make_url(url).set(drivername="postgresql", password=None).render_as_string()
    environment = os.environ | ({"PGPASSWORD": str(url.password)} if url.password else {})
    done = subprocess.run([found, "--dbname", plain, *arguments], env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise BackupError(f"{program}: {done.stderr.strip()[-500:]}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
