"""The database: migrations make the models' tables, SQLite is set up for one writer and many readers."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select, text

from whir_fleet import partitions
from whir_fleet.db import Database
from whir_fleet.errors import DatabaseError, SettingsError
from whir_fleet.models import Base, Lease


def test_migrations_make_exactly_the_models_tables(database: Database) -> None:
    with database.engine.connect() as connection:
        own = {part.name for part in partitions.parts(connection)} - {"telemetry"}

        def compared(what: Any, name: str | None, kind: str, *_: object) -> bool:
            if kind == "foreign_key_constraint":  # of telemetry: on SQLite only, see the model
                return bool(what.table.name != "telemetry")
            return kind != "table" or name not in own

        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": compared})
        assert compare_metadata(context, Base.metadata) == []


def test_migrating_again_changes_nothing(database: Database) -> None:
    database.migrate()


def test_a_database_of_a_newer_version_is_refused_in_one_line(database: Database) -> None:
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseError, match="newer version of whir"):
        database.migrate()


def test_sqlite_has_a_write_ahead_log_foreign_keys_and_full_synchronization(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'fleet.db'}")
    with database.read() as session:
        pragmas = [session.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "foreign_keys", "synchronous")]
    database.close()
    assert pragmas == ["wal", 1, 2]


def test_a_reader_does_not_wait_for_a_writer_and_sees_what_was_committed_before(database: Database) -> None:
    with database.write() as writer:
        writer.add(Lease(name="a", holder="x", fence=1, expires_ms=0))
        writer.flush()
        with database.read() as reader:
            assert reader.scalars(select(Lease)).all() == []
    with database.read() as reader:
        assert len(reader.scalars(select(Lease)).all()) == 1


def test_two_writers_take_turns_instead_of_failing(database: Database) -> None:
    def add() -> None:
        for _ in range(20):
            with database.write() as session:
                lease = session.get_one(Lease, "a", with_for_update=True)
                lease.fence += 1

    with database.write() as session:
        session.add(Lease(name="a", holder="x", fence=0, expires_ms=0))
    threads = [threading.Thread(target=add) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        assert session.get_one(Lease, "a").fence == 60


@pytest.mark.parametrize("url", ["mysql://host/db", "not a url", "sqlite+nonsense://"])
def test_a_database_that_is_not_supported_is_named(url: str) -> None:
    with pytest.raises(SettingsError, match="database_url"):
        Database(url)


def test_a_database_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="cannot be opened"):
        Database(f"sqlite:///{tmp_path / 'missing' / 'fleet.db'}").migrate()


def test_a_driver_that_is_not_installed_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)  # as if it were not installed
    with pytest.raises(SettingsError, match=r"driver psycopg is not installed: .*pip install 'psycopg\[binary\]'"):
        Database("postgresql+psycopg://whir@db/whir")
