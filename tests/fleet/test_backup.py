"""Backup and restore, on either database, with everything that the data folder holds."""

from __future__ import annotations

import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from whir_fleet.backup import backup, restore
from whir_fleet.data_lock import DataLock
from whir_fleet.db import Database
from whir_fleet.errors import BackupError, DataDirInUseError
from whir_fleet.messages import Inbound
from whir_fleet.models import Alert, Telemetry
from whir_fleet.settings import Settings
from whir_fleet.store import store

FILES = {"bundles/ab.whir": b"bundle", "keys/1.pem": b"key", "secret": b"s3cret", "broker_users.toml": b"[users]"}


@pytest.fixture
def filled(tmp_path: Path, database_url: str, says: Callable[..., Inbound]) -> Settings:
    settings = Settings.load(data_dir=tmp_path / "data", database_url=database_url)
    settings.prepare()
    for name, data in FILES.items():
        (settings.data_dir / name).write_bytes(data)
    database = Database(database_url)
    with database.write() as session:
        store(session, [says("telemetry", seq=n) for n in range(1, 50)] + [says("alert", seq=50)], 100)
    database.close()
    return settings


@pytest.fixture
def empty(tmp_path: Path, database_url: str, request: pytest.FixtureRequest) -> Settings:
    if database_url.startswith("sqlite"):
        return Settings.load(data_dir=tmp_path / "new")
    url = request.getfixturevalue("postgres").create(f"restored_{tmp_path.name[-8:].strip('_').lower().replace('-', '_')}")
    return Settings.load(data_dir=tmp_path / "new", database_url=url)


def test_what_was_backed_up_is_there_after_a_restore(filled: Settings, empty: Settings, tmp_path: Path) -> None:
    archive = tmp_path / "backup.tar.gz"
    made = backup(filled, archive)
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    assert restore(empty, archive) == made
    assert {name: (empty.data_dir / name).read_bytes() for name in FILES} == FILES
    database = Database(empty.url)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Telemetry)) == 49
        assert session.scalar(select(func.count()).select_from(Alert)) == 1
    database.close()


def test_nothing_is_restored_over_a_database_that_holds_something(filled: Settings, tmp_path: Path) -> None:
    archive = tmp_path / "backup.tar.gz"
    backup(filled, archive)
    with pytest.raises(BackupError, match="not empty"):
        restore(filled, archive)


def test_nothing_is_restored_under_a_running_service(filled: Settings, tmp_path: Path) -> None:
    archive = tmp_path / "backup.tar.gz"
    backup(filled, archive)
    lock = DataLock(filled.data_dir)
    lock.acquire()
    with pytest.raises(DataDirInUseError):
        restore(filled, archive)
    lock.release()


def test_a_damaged_archive_is_refused_and_leaves_nothing(filled: Settings, empty: Settings, tmp_path: Path) -> None:
    archive, forged = tmp_path / "backup.tar.gz", tmp_path / "forged.tar.gz"
    backup(filled, archive)
    folder = tmp_path / "open"
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    (folder / "secret").write_bytes(b"another")
    with tarfile.open(forged, "w:gz") as tar:
        tar.add(folder, ".")
    (tmp_path / "cut").write_bytes(archive.read_bytes()[:-200])
    for wrong, why in ((forged, "secret is damaged"), (tmp_path / "cut", "not a backup"), (Path(__file__), "not a backup")):
        with pytest.raises(BackupError, match=why):
            restore(empty, wrong)
    assert not (empty.data_dir / "fleet.db").exists() and not (empty.data_dir / "secret").exists()


def test_a_data_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="no such data folder"):
        backup(Settings.load(data_dir=tmp_path / "nothing"), tmp_path / "a")
