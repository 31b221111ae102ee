"""The journal: what has happened to which board, in SQLite, committed before the next thing is done. No secret is in it.

A serial is bound to a board's MAC once and for ever. Every certificate is entered before it is signed and ends as `active` (its
board is good) or `revoked`: an attempt that failed revokes its own, one that was cut off has its revoked with the next number.

    board        claimed → good → retired; claimed → failed → claimed; claimed or failed → retired; on a desk good → failed
    certificate  reserved → issued → active; any of them → revoked
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from whir_tools.provision import files
from whir_tools.provision.errors import JournalError, MisfitError

VERSION = 1

_SCHEMA = """
CREATE TABLE board (
    serial TEXT PRIMARY KEY, mac TEXT NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE, board TEXT NOT NULL, batch TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('claimed', 'good', 'failed', 'retired')),
    attempts INTEGER NOT NULL, began_ms INTEGER NOT NULL, ended_ms INTEGER, cause TEXT, reason TEXT,
    chip TEXT, record BLOB, signature BLOB);
CREATE TABLE step (
    serial TEXT NOT NULL, attempt INTEGER NOT NULL, step TEXT NOT NULL, began_ms INTEGER NOT NULL, ms INTEGER, result TEXT,
    PRIMARY KEY (serial, attempt, step));
CREATE TABLE certificate (
    number TEXT PRIMARY KEY, serial TEXT NOT NULL, attempt INTEGER NOT NULL, generation INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('reserved', 'issued', 'active', 'revoked')), der BLOB, revoked_ms INTEGER);
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, serial TEXT NOT NULL, body TEXT NOT NULL, done_ms INTEGER,
    refused TEXT);
CREATE TABLE fuse (serial TEXT NOT NULL, at_ms INTEGER NOT NULL, what TEXT NOT NULL, first_person TEXT, second_person TEXT);
"""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Journal:
    """One connection, used by all ports' threads in turn. Every public method that writes is one transaction."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
            path.chmod(0o600)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            with self._write() as db:
                version = db.execute("PRAGMA user_version").fetchone()[0]
                if version > VERSION:
                    raise JournalError(f"{path}: made by a newer whir (version {version}, this one knows {VERSION})")
                if version == 0:
                    for statement in _SCHEMA.split(";")[:-1]:
                        db.execute(statement)
                    db.execute(f"PRAGMA user_version = {VERSION}")
        except OSError as error:
            raise files.disk_error(error, path) from error
        except sqlite3.DatabaseError as error:
            raise JournalError(f"{path}: {error}") from error

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
            except sqlite3.OperationalError as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise JournalError(f"{self._path}: {error}; nothing of this step counts") from error

    def _read(self, query: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    # --- boards ---

    def serial_of(self, mac: str) -> str | None:
        """The serial that this board had before, whatever became of it."""
        rows = self._read("SELECT serial FROM board WHERE mac = ?", mac)
        return str(rows[0]["serial"]) if rows else None

    def board(self, serial: str) -> dict[str, Any] | None:
        rows = self._read("SELECT * FROM board WHERE serial = ?", serial)
        return dict(rows[0]) if rows else None

    def boards(self) -> list[dict[str, Any]]:
        return [dict(row) for row in self._read("SELECT * FROM board ORDER BY serial")]

    def claim(self, serial: str, mac: str, name: str, board: str, batch: str, chip: dict[str, Any]) -> int:
        """Binds the serial to this board, or takes it up again; the number of the attempt.

        Raises:
            MisfitError: serial or MAC belong to another, or the board is done or retired.
        """
        with self._write() as db:
            row = db.execute("SELECT * FROM board WHERE serial = ? OR mac = ? OR name = ?", (serial, mac, name)).fetchone()
            if row is None:
                db.execute(
                    "INSERT INTO board (serial, mac, name, board, batch, state, attempts, began_ms, chip)"
                    " VALUES (?, ?, ?, ?, ?, 'claimed', 1, ?, ?)",
                    (serial, mac, name, board, batch, now_ms(), json.dumps(chip)),
                )
                return 1
            if (row["serial"], row["mac"], row["name"]) != (serial, mac, name):
                raise MisfitError(f"{serial} with {mac}: the journal knows {row['serial']} ({row['name']}) with {row['mac']}")
            if row["state"] in ("good", "retired"):
                raise MisfitError(f"{serial} is {row['state']} already")
            db.execute(
                "UPDATE board SET state = 'claimed', attempts = attempts + 1, board = ?, batch = ?, cause = NULL,"
                " reason = NULL, ended_ms = NULL, chip = ? WHERE serial = ?",
                (board, batch, json.dumps(chip), serial),
            )
            return int(row["attempts"]) + 1

    def fail(self, serial: str, cause: str, reason: str) -> None:
        """The attempt is over; its certificate is revoked, unless burnt eFuses hold the board to it. Good stays good."""
        with self._write() as db:
            changed = db.execute(
                "UPDATE board SET state = 'failed', cause = ?, reason = ?, ended_ms = ? WHERE serial = ? AND state = 'claimed'",
                (cause, reason, now_ms(), serial),
            ).rowcount
            if changed and not db.execute("SELECT 1 FROM fuse WHERE serial = ? AND what LIKE '% locks'", (serial,)).fetchone():
                _revoke(db, serial)

    def good(self, serial: str, number: int, record: bytes, signature: bytes, enrolment: dict[str, Any]) -> None:
        """The one commit that makes a board good: record, certificate and the order to enrol it, or none of them."""
        with self._write() as db:
            changed = db.execute(
                "UPDATE board SET state = 'good', record = ?, signature = ?, ended_ms = ?"
                " WHERE serial = ? AND state = 'claimed'",
                (record, signature, now_ms(), serial),
            ).rowcount
            active = db.execute("UPDATE certificate SET state = 'active' WHERE number = ? AND state = 'issued'", (str(number),))
            if changed != 1 or active.rowcount != 1:
                raise JournalError(f"{serial}: not in the making, or its certificate is not issued")
            _enqueue(db, "enrol", serial, enrolment)

    def reopen(self, serial: str) -> None:
        """A desk's board that was good may be done again; its certificate is revoked. A factory's never is."""
        with self._write() as db:
            changed = db.execute(
                "UPDATE board SET state = 'failed', cause = 'again', record = NULL, signature = NULL"
                " WHERE serial = ? AND state = 'good'",
                (serial,),
            ).rowcount
            if changed:
                _revoke(db, serial)

    def retire(self, serial: str) -> None:
        """For ever; its certificates are revoked. JournalError: no such serial."""
        with self._write() as db:
            changed = db.execute(
                "UPDATE board SET state = 'retired', ended_ms = ? WHERE serial = ?", (now_ms(), serial)
            ).rowcount
            if changed != 1:
                raise JournalError(f"{serial}: not in this journal")
            _revoke(db, serial)
            _enqueue(db, "retire", serial, {})

    # --- steps ---

    def begin(self, serial: str, attempt: int, step: str) -> None:
        with self._write() as db:
            db.execute(
                "INSERT INTO step (serial, attempt, step, began_ms) VALUES (?, ?, ?, ?)", (serial, attempt, step, now_ms())
            )

    def end(self, serial: str, attempt: int, step: str, ms: int, result: str) -> None:
        with self._write() as db:
            db.execute(
                "UPDATE step SET ms = ?, result = ? WHERE serial = ? AND attempt = ? AND step = ?",
                (ms, result, serial, attempt, step),
            )

    def steps(self) -> list[dict[str, Any]]:
        return [dict(row) for row in self._read("SELECT * FROM step ORDER BY serial, attempt, began_ms")]

    # --- certificates ---

    def reserve(self, number: int, serial: str, attempt: int, generation: int) -> None:
        """Before it is signed: whatever happens then, the number is known. What an earlier attempt left is revoked with it."""
        with self._write() as db:
            _revoke(db, serial)
            db.execute(
                "INSERT INTO certificate (number, serial, attempt, generation, state) VALUES (?, ?, ?, ?, 'reserved')",
                (str(number), serial, attempt, generation),
            )

    def issued(self, number: int, der: bytes) -> None:
        with self._write() as db:
            db.execute("UPDATE certificate SET state = 'issued', der = ? WHERE number = ?", (der, str(number)))

    def certificates(self) -> list[dict[str, Any]]:
        return [dict(row) for row in self._read("SELECT * FROM certificate ORDER BY rowid")]

    def issued_to(self, serial: str) -> tuple[int, bytes] | None:
        """Number and DER of the certificate that an attempt under way has; None without one."""
        rows = self._read("SELECT number, der FROM certificate WHERE serial = ? AND state = 'issued'", serial)
        return (int(rows[0]["number"]), bytes(rows[0]["der"])) if rows else None

    # --- fuses ---

    def burnt(self, serial: str, what: str, first_person: str, second_person: str) -> None:
        """Before it is done: who let what be burnt."""
        with self._write() as db:
            db.execute("INSERT INTO fuse VALUES (?, ?, ?, ?, ?)", (serial, now_ms(), what, first_person, second_person))

    def locked(self) -> dict[str, dict[str, Any]]:
        """MAC → chip of boards whose locks have been burnt, or may have been, and that are not good yet."""
        rows = self._read(
            "SELECT mac, chip FROM board WHERE state IN ('claimed', 'failed')"
            " AND serial IN (SELECT serial FROM fuse WHERE what LIKE '% locks')"
        )
        return {row["mac"]: json.loads(row["chip"]) for row in rows}

    # --- what the fleet must be told ---

    def waiting(self) -> list[dict[str, Any]]:
        """In order of their making."""
        rows = self._read("SELECT * FROM outbox WHERE done_ms IS NULL AND refused IS NULL ORDER BY id")
        return [dict(row) | {"body": json.loads(row["body"])} for row in rows]

    def refused(self) -> list[dict[str, Any]]:
        return [dict(row) for row in self._read("SELECT * FROM outbox WHERE refused IS NOT NULL ORDER BY id")]

    def told(self, id: int, refused: str | None = None) -> None:
        with self._write() as db:
            db.execute("UPDATE outbox SET done_ms = ?, refused = ? WHERE id = ?", (now_ms(), refused, id))


def _revoke(db: sqlite3.Connection, serial: str) -> None:
    rows = db.execute(
        "SELECT number, generation FROM certificate WHERE serial = ? AND state <> 'revoked'", (serial,)
    ).fetchall()
    db.execute(
        "UPDATE certificate SET state = 'revoked', revoked_ms = ? WHERE serial = ? AND state <> 'revoked'", (now_ms(), serial)
    )
    for row in rows:
        _enqueue(db, "revoke", serial, {"number": row["number"], "generation": row["generation"]})


def _enqueue(db: sqlite3.Connection, kind: str, serial: str, body: dict[str, Any]) -> None:
    db.execute("INSERT INTO outbox (kind, serial, body) VALUES (?, ?, ?)", (kind, serial, json.dumps(body)))
