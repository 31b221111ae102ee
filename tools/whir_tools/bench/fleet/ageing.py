"""Ways to keep telemetry on PostgreSQL: what a row costs, what it costs to let a day go, what lists and charts cost.

    nice python -m whir_tools.bench.fleet.ageing 10000000 one days keys

`one` table with a foreign key, rows deleted; `days`, as the fleet has it; `keys`: days, and one table of all keys;
`hypertable` where the server has TimescaleDB. Seconds are of the server's process, so that a busy machine does not matter.
Prints a line of JSON each.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from whir_fleet import partitions, retention
from whir_fleet.db import Database, insert_rows
from whir_fleet.models import Telemetry, table
from whir_fleet.partitions import DAY_MS, Part
from whir_tools.bench.fleet.postgres import Postgres
from whir_tools.bench.fleet.queries import COUNT_ROWS, INTERVAL_MS, NODE_ROWS, NODES, SITES, SPEAKING, TELEMETRY_ROWS

_CHUNK: Final = 200_000
_COPIED, _BATCH = 100_000, 2000
_REPEATS: Final = 5
_WHOLE: Final = Part("telemetry", None, None)
_ONE: Final = """CREATE TABLE one (LIKE telemetry INCLUDING DEFAULTS INCLUDING INDEXES, PRIMARY KEY (node_id, boot, seq),
FOREIGN KEY (node_id) REFERENCES node); DROP TABLE telemetry; ALTER TABLE one RENAME TO telemetry"""
_KEYS: Final = "CREATE TABLE telemetry_key (node_id bigint, boot bigint, seq bigint, PRIMARY KEY (node_id, boot, seq))"
_OLD_KEYS: Final = """DELETE FROM telemetry_key k USING boot_count c
WHERE k.node_id = c.node_id AND k.boot = c.boot AND k.seq <= c.pruned_seq"""
_READ: Final = {
    "newest 1,000 of all": "SELECT * FROM telemetry ORDER BY at_ms DESC, node_id DESC, boot DESC, seq DESC LIMIT 1001",
    "newest 1,000 of a node": """SELECT * FROM telemetry WHERE node_id = 25
        ORDER BY at_ms DESC, node_id DESC, boot DESC, seq DESC LIMIT 1001""",
    "a node's newest": "SELECT * FROM telemetry WHERE node_id = 25 ORDER BY at_ms DESC LIMIT 1",
    "a node's hour, far back": """SELECT * FROM telemetry
        WHERE node_id = 25 AND at_ms >= {middle} AND at_ms < {middle} + 3600000
        ORDER BY at_ms DESC, node_id DESC, boot DESC, seq DESC LIMIT 101""",
    "a node's week by hours": """SELECT at_ms / 3600000, verdict, count(*), sum(rms), max(velocity) FROM telemetry
        WHERE node_id = 25 AND at_ms >= {now} - 604800000 AND at_ms < {now} GROUP BY 1, 2""",
}


class Way:
    """A database with one of the ways, `rows` back from now."""

    def __init__(self, server: Postgres, name: str, rows: int) -> None:
        self.name = name
        self.rows = rows
        self.now = int(time.time()) // 60 * 60_000
        self.database = Database(server.create(name, template="template0"))
        if name == "hypertable":
            with self.database.engine.begin() as connection:
                connection.exec_driver_sql("CREATE EXTENSION timescaledb")
        self.database.migrate()
        with self.database.write() as session:
            for statement in {"one": _ONE.split(";"), "keys": [_KEYS]}.get(name, []):
                session.connection().exec_driver_sql(statement)
        if name in ("days", "keys"):
            first = (self.now - rows // SPEAKING * INTERVAL_MS) // DAY_MS
            for day in range(first, self.now // DAY_MS - 1):
                with self.database.write() as session:
                    partitions.make(session.connection(), day * DAY_MS)

    def fill(self) -> None:
        self._do([NODE_ROWS, COUNT_ROWS], nodes=NODES, sites=SITES)
        for first in range(0, self.rows, _CHUNK):
            self._do([TELEMETRY_ROWS], newest=self.now, first=first, last=min(first + _CHUNK, self.rows) - 1)
        if self.name == "keys":
            self._do(["INSERT INTO telemetry_key SELECT node_id, boot, seq FROM telemetry"])
        self._vacuum()

    def _do(self, statements: list[str], **values: int) -> None:
        with self.database.write() as session:
            for statement in statements:
                known = {"now": self.now, "interval": INTERVAL_MS, "speaking": SPEAKING, **values}
                session.connection().exec_driver_sql(statement.format(**known))

    def _vacuum(self) -> None:
        with self.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE telemetry"))
            if self.name == "keys":
                connection.execute(text("VACUUM ANALYZE telemetry_key"))

    def row_bytes(self) -> float:
        with self.database.read() as session:
            parts = [part.name for part in partitions.parts(session.connection())] if self.name != "one" else ["telemetry"]
            parts += ["telemetry_key"] if self.name == "keys" else []
            whole = sum(
                session.scalar(text("SELECT pg_total_relation_size(CAST(:n AS regclass))"), {"n": n}) or 0 for n in parts
            )
        return whole / self.rows

    def insert(self) -> dict[str, float]:
        """As ingest does: a COPY of 2,000 rows and a commit."""
        columns = ["node_id", "boot", "seq", "at_ms", "received_ms", "ts", "synced", "verdict", "p", "windows", "rms", "unit"]
        columns += ["model", "counter", "slot", "classes", "verdicts"]
        texts = '{"normal":940,"imbalance":40,"bearing":20}', '{"normal":59,"unknown":1}'
        with self._spent(_COPIED / 100_000) as spent:
            for first in range(0, _COPIED, _BATCH):
                numbers = [(1 + place % SPEAKING, 2, place // SPEAKING) for place in range(first, first + _BATCH)]
                at = [self.now + seq * 1000 + node for node, _, seq in numbers]
                rows = [
                    (*key, ms, ms, ms, True, "normal", 940, 8, 31, "g", "bench", 1, "a", *texts)
                    for key, ms in zip(numbers, at, strict=True)
                ]
                with self.database.write() as session:
                    if self.name == "keys":
                        key = table(Telemetry).to_metadata(table(Telemetry).metadata.__class__(), name="telemetry_key")
                        insert_rows(session, key, columns[:3], numbers)
                    insert_rows(session, table(Telemetry), columns, rows)
        return spent

    def let_a_day_go(self) -> dict[str, float]:
        """The oldest whole day, by the fleet's own code; then the space is free again."""
        first = (self.now - self.rows // SPEAKING * INTERVAL_MS) // DAY_MS * DAY_MS
        until_ms = first + 2 * DAY_MS
        with self.database.read() as session:
            before = session.scalar(text("SELECT count(*) FROM telemetry")) or 0
        with self._spent(1) as spent:
            more = True
            while more:
                with self.database.write() as session:
                    more = self._step(session, until_ms)
            self._vacuum()
        with self.database.read() as session:
            spent["rows"] = before - (session.scalar(text("SELECT count(*) FROM telemetry")) or 0)
        return spent

    def _step(self, session: Session, until_ms: int) -> bool:
        if self.name == "one":
            return retention._take_slice(session, _WHOLE, until_ms)
        more = retention.prune(session, until_ms + 7 * DAY_MS, 7, 730)
        if self.name == "keys" and not more:
            session.connection().exec_driver_sql(_OLD_KEYS)
        return more

    def read(self) -> dict[str, float]:
        """ms of the server's process, each the mean of some."""
        found = {}
        middle = self.now - self.rows // SPEAKING * INTERVAL_MS // 2
        for name, statement in _READ.items():
            with self._spent(_REPEATS) as spent:
                for _ in range(_REPEATS):
                    with self.database.read() as session:
                        session.connection().exec_driver_sql(statement.format(now=self.now, middle=middle)).all()
            found[name] = round(spent["cpu_s"] * 1000, 2)
        return found

    @contextmanager
    def _spent(self, times: float) -> Iterator[dict[str, float]]:
        """CPU seconds of the one server process that this program speaks to, and bytes of its log, each `1 / times`."""
        with self.database.read() as session:
            pid = session.scalar(text("SELECT pg_backend_pid()"))
        spent: dict[str, float] = {}
        cpu, wal = self._now(pid)
        yield spent
        later = self._now(pid)
        spent |= {"cpu_s": round((later[0] - cpu) / times, 4), "wal_mb": round((later[1] - wal) / times / 1e6, 1)}

    def _now(self, pid: Any) -> tuple[float, float]:
        with self.database.read() as session:
            own, wal = session.execute(text("SELECT pg_backend_pid(), pg_current_wal_insert_lsn() - '0/0'::pg_lsn")).one()
        assert own == pid, "another connection"
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9, float(wal)


def main() -> None:
    rows = int(sys.argv[1])
    for name in sys.argv[2:]:
        with Postgres(durable=False, preload="timescaledb" if name == "hypertable" else "") as server:
            way = Way(server, name, rows)
            way.fill()
            steps: dict[str, Callable[[], Any]] = {
                "read": way.read, "row_bytes": way.row_bytes, "insert": way.insert, "let_a_day_go": way.let_a_day_go,
            }  # fmt: skip
            print(json.dumps({"way": name, "rows": rows} | {step: run() for step, run in steps.items()}), flush=True)
            way.database.close()


if __name__ == "__main__":
    main()
