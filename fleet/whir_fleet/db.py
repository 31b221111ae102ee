"""The database: engine, sessions, migrations. The only place that knows which database it is."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import alembic.command
import alembic.config
import alembic.util
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import ColumnElement, Connection, Engine, Table, any_, create_engine, event, literal, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.orm import Session

from whir_fleet.errors import DatabaseError, SettingsError

BUSY_TIMEOUT_S = 30
_MIGRATION_LOCK = 0x77686972  # processes that start at once migrate one after the other
_DEADLOCK, _DEADLOCKS_MAX = "40P01", 20

_TABLES = """SELECT relname FROM pg_class WHERE relnamespace = current_schema::regnamespace AND relkind IN ('r', 'p')
AND NOT relispartition ORDER BY 1"""  # a lock takes a table's partitions as well, and knows those that go meanwhile

_migrating = threading.Lock()  # Alembic's configuration is global to the process


def _migrations() -> Path:
    """`fleet/migrations` in the tree, `whir_fleet/migrations` when installed."""
    package = Path(__file__).parent
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


class Database:
    """Sessions on one database. `read()` and `write()` are transactions: committed at the end, rolled back by an exception."""

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
        except ArgumentError as error:
            raise SettingsError(f"database_url is no SQLAlchemy URL: {error}") from error
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if not self.is_sqlite and parsed.get_backend_name() != "postgresql":
            raise SettingsError(f"database_url: {parsed.get_backend_name()} is not supported; sqlite or postgresql")
        options: dict[str, Any] = {"connect_args": {"timeout": BUSY_TIMEOUT_S}} if self.is_sqlite else {"pool_pre_ping": True}
        try:
            self.engine: Engine = create_engine(parsed, **options)
        except ImportError as error:
            remedy = "take postgresql+psycopg://… and pip install 'psycopg[binary]'"
            raise SettingsError(f"database_url: the driver {error.name} is not installed: {remedy}") from error
        except ArgumentError as error:
            raise SettingsError(f"database_url: {error}") from error
        if self.is_sqlite:
            event.listen(self.engine, "connect", _sqlite_connect)
            event.listen(self.engine, "begin", _sqlite_begin)
        self._reader = self.engine.execution_options(whir_read=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that only reads; on SQLite it never waits for a writer."""
        with Session(self._reader, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that writes; on SQLite it holds the write lock from its beginning, so it cannot fail half-way by it."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    def migrate(self) -> None:
        """Brings the schema to this program's version; called at every start, also beside processes of the version before."""
        config = alembic.config.Config()
        config.set_main_option("script_location", str(_migrations()))
        with _migrating:
            try:
                for left in reversed(range(_DEADLOCKS_MAX)):
                    try:
                        self._upgrade(config)
                        return
                    except OperationalError as error:
                        if not left or getattr(error.orig, "sqlstate", None) != _DEADLOCK:
                            raise
            except alembic.util.CommandError as error:
                raise DatabaseError(f"database {self.engine.url!r}: {error}; it was made by a newer version of whir") from error
            except OperationalError as error:
                raise DatabaseError(f"database {self.engine.url!r} cannot be opened: {error.orig}") from error

    def _upgrade(self, config: alembic.config.Config) -> None:
        """In one transaction. On PostgreSQL it takes all tables before it changes one: whoever has some of them and waits for
        others makes a deadlock, and of that one of the two is told at once, before anything was done."""
        with self.engine.begin() as connection:
            config.attributes["connection"] = connection
            if not self.is_sqlite:  # there the transaction has the whole file
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
                heads = set(ScriptDirectory.from_config(config).get_heads())
                if heads != set(MigrationContext.configure(connection).get_current_heads()):
                    names = ", ".join(f'"{name}"' for name in connection.scalars(text(_TABLES)))
                    if names:
                        connection.exec_driver_sql(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")
            alembic.command.upgrade(config, "head")

    def close(self) -> None:
        self.engine.dispose()


def _sqlite_connect(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself, see _sqlite_begin
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # a receipt goes out after the commit: it must be on the disk
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _sqlite_begin(connection: Connection) -> None:
    read = connection.get_execution_options().get("whir_read", False)
    connection.exec_driver_sql("BEGIN" if read else "BEGIN IMMEDIATE")


def insert_rows(session: Session, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """As fast as the engine takes them: COPY on PostgreSQL, one prepared statement on SQLite. JSON is given as text."""
    names = ", ".join(columns)
    if session.get_bind().dialect.name == "sqlite":
        session.connection().exec_driver_sql(
            f"INSERT INTO {table.name} ({names}) VALUES ({', '.join('?' * len(columns))})",  # noqa: S608 (our own names)
            [tuple(row) for row in rows],
        )
        return
    _copy(session, f"COPY {table.name} ({names}) FROM STDIN", rows)


def upsert_rows(
    session: Session, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]], on_conflict: str
) -> None:
    """One statement, with `ON CONFLICT` as both engines spell it. Sorted by key: rows are locked in order."""
    names = ", ".join(columns)
    if session.get_bind().dialect.name == "sqlite":
        values = f"VALUES ({', '.join('?' * len(columns))})"
        session.connection().exec_driver_sql(
            f"INSERT INTO {table.name} ({names}) {values} {on_conflict}", list(map(tuple, rows))
        )
        return
    dialect = session.get_bind().dialect
    arrays = ", ".join(f"%s::{table.c[name].type.compile(dialect)}[]" for name in columns)
    values = f"SELECT * FROM unnest({arrays})"  # noqa: S608
    session.connection().exec_driver_sql(f"INSERT INTO {table.name} ({names}) {values} {on_conflict}", _arrays(rows))


def present(session: Session, table: Table, columns: Sequence[str], keys: Collection[tuple[int, ...]]) -> set[tuple[int, ...]]:
    """Those of the keys that are in the table."""
    if not keys:
        return set()
    names = ", ".join(columns)
    given: tuple[Any, ...]
    if session.get_bind().dialect.name == "sqlite":
        row = f"({', '.join('?' * len(columns))})"
        wanted, given = f"VALUES {', '.join([row] * len(keys))}", tuple(value for key in keys for value in key)
    else:
        arrays = ", ".join(["%s::bigint[]"] * len(columns))
        wanted, given = f"SELECT * FROM unnest({arrays})", _arrays(list(keys))  # noqa: S608
    query = f"SELECT {names} FROM {table.name} WHERE ({names}) IN ({wanted})"  # noqa: S608
    return {tuple(row) for row in session.connection().exec_driver_sql(query, given)}


def raise_numbers(session: Session, table: Table, column: str, rows: Sequence[tuple[int, int]]) -> None:
    """`column` of the row with that id is set where it was lower. (id, value), sorted by id: rows are locked in order."""
    if session.get_bind().dialect.name == "sqlite":
        session.connection().exec_driver_sql(
            f"UPDATE {table.name} SET {column} = ?2 WHERE id = ?1 AND {column} < ?2",  # noqa: S608
            list(rows),
        )
        return
    session.connection().exec_driver_sql(
        f"UPDATE {table.name} SET {column} = v.new FROM unnest(%s::bigint[], %s::bigint[]) AS v(id, new) "  # noqa: S608
        f"WHERE {table.name}.id = v.id AND {table.name}.{column} < v.new",
        _arrays(rows),
    )


def _arrays(rows: Sequence[Sequence[Any]]) -> tuple[str | list[Any], ...]:
    """By column; those of numbers as PostgreSQL reads them, because the driver looks at each element for long."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    return tuple(f"{{{','.join(map(str, c))}}}" if all(isinstance(v, int) for v in c) else c for c in columns)


def _copy(session: Session, statement: str, rows: Sequence[Sequence[Any]]) -> None:
    """psycopg's COPY on the session's connection, with its errors as SQLAlchemy's."""
    connection = session.connection()
    driver: Any = connection.connection.driver_connection
    error_class = connection.dialect.import_dbapi().Error
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except error_class as error:
        if driver.closed:  # the pool must not give it out again
            connection.invalidate(error)
        raise DBAPIError.instance(statement, None, error, error_class, dialect=connection.dialect) from error


def among(session: Session, column: Any, values: Collection[Any]) -> ColumnElement[bool]:
    """Whether the column has one of these values. On PostgreSQL as one parameter: a list of parameters is compiled, parsed
    and planned anew for each length."""
    if session.get_bind().dialect.name == "sqlite":
        within: ColumnElement[bool] = column.in_(values)
        return within
    return cast("ColumnElement[bool]", column == any_(literal(list(values), postgresql.ARRAY(column.type))))


def insert(session: Session, table: Table) -> sqlite.Insert | postgresql.Insert:
    """INSERT that knows ON CONFLICT, in the dialect of the session."""
    if session.get_bind().dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)
