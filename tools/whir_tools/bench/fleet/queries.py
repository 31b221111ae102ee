"""Lists and charts of the API on tables that have grown, on PostgreSQL: rows put in directly, times over HTTP.

Ten thousand nodes are known; a tenth of them have said something every minute, as far back as the rows reach: 10 M are the
seven days that raw telemetry is kept. All have roll-ups, the nodes that are asked for of a full year.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from sqlalchemy import text

from whir_fleet import partitions
from whir_fleet.clock import now_ms
from whir_fleet.partitions import DAY_MS
from whir_fleet.retention import HOUR_MS
from whir_tools.bench.fleet.postgres import Postgres
from whir_tools.bench.fleet.processes import Broker, Say, Service

SITES, NODES, SPEAKING = 40, 10_000, 1000
_ASKED: Final = 25  # the node whose lists and charts are taken, of site-25
INTERVAL_MS: Final = 60_000  # a node's telemetry by default
_YEAR_H: Final = 365 * 24
_CHUNK = 200_000
_REPEATS = 5
_PLAN: Final = re.compile(r"duration: ([\d.]+) ms  plan:\n((?:\t.*\n)+)")

Query = tuple[str, str, dict[str, object]]  # name, path, parameters

NODE_ROWS: Final = """
INSERT INTO node (id, site, name, state, next_s, model, model_version, counter, hardware,
                  first_seen_ms, last_seen_ms, boot, conn, status_seq, status_ms)
SELECT n, 'site-' || mod(n, {sites}), 'n' || lpad(n::text, 5, '0'), 'ok', 60, 'bench', '1', 1, 'host',
       {now}, {now}, 1, 1, 1, {now}
FROM generate_series(1, {nodes}) n"""
COUNT_ROWS: Final = """
INSERT INTO boot_count (node_id, boot, first_seq, last_seq, received, pruned_seq)
SELECT n, 1, 1, 1, 1, -1 FROM generate_series(1, {nodes}) n"""
TELEMETRY_ROWS: Final = """
INSERT INTO telemetry (node_id, boot, seq, at_ms, received_ms, ts, synced, verdict, p, windows, quality, rms, unit, model,
                       counter, slot, classes, verdicts)
SELECT 1 + mod(g, {speaking}), 1, 1 + g / {speaking}, at, at, at, true, 'normal', 940, 8, 0, 31, 'g', 'bench', 1, 'a',
       '{{"normal":940,"imbalance":40,"bearing":20}}', '{{"normal":59,"unknown":1}}'
FROM generate_series({first}::bigint, {last}) g,
     LATERAL (SELECT {newest} - (g / {speaking}) * {interval} - mod(g, {speaking}) * {interval} / {speaking} AS at) t"""
_HOUR_ROWS: Final = """
INSERT INTO telemetry_hour (node_id, hour_ms, verdict, messages, windows, p_sum, rms_sum, rms_count, rms_max)
SELECT n, {newest} - h * 3600000, 'normal', 60, 480, 56400, 1860, 60, 44
FROM generate_series({first}::bigint, {last}) h, generate_series(1, {nodes}) n
ON CONFLICT DO NOTHING"""


def measure(folder: Path, sizes: Iterable[int], hours: int, say: Say) -> list[dict[str, Any]]:
    """For each size of the raw table, and then with `hours` of roll-ups of every node, each query: the median of five in ms,
    the slowest first, with PostgreSQL's plan of its slowest statement."""
    found = []
    with Postgres(explain=True) as server, Broker(folder / "broker") as broker:
        url = server.create("queries")
        with Service(folder / "data", broker, database_url=url, raw_days="365") as service:
            newest_ms, rows = now_ms(), 0
            _grow(service, [NODE_ROWS, COUNT_ROWS], nodes=NODES, sites=SITES, now=newest_ms)
            for size in sizes:
                _telemetry(service, newest_ms, rows, size, say)
                rows = size
                found += _timed(server, service, _raw_queries(newest_ms, rows), rows, "rows", say)
            _hours(service, newest_ms, hours, say)
            found += _timed(server, service, _hour_queries(newest_ms), _hour_count(service), "roll-ups", say)
    return found


def _raw_queries(newest_ms: int, rows: int) -> list[Query]:
    """What people and charts ask for, near the newest rows and far from them."""
    middle_ms = newest_ms - rows // SPEAKING * INTERVAL_MS // 2
    hour = {"since_ms": middle_ms - HOUR_MS, "until_ms": middle_ms}
    site, node = f"site-{_ASKED % SITES}", f"n{_ASKED:05d}"
    one: dict[str, object] = {"site": site, "node": node}
    return [
        ("telemetry, newest", "/telemetry", {}),
        ("telemetry, newest, 1,000 a page", "/telemetry", {"limit": 1000}),
        ("telemetry, back from the middle", "/telemetry", {"until_ms": middle_ms}),
        ("telemetry of a site, newest", "/telemetry", {"site": site}),
        ("telemetry of a site, one hour", "/telemetry", {"site": site, **hour}),
        ("telemetry of a silent node", "/telemetry", {"site": f"site-{NODES % SITES}", "node": f"n{NODES:05d}"}),
        ("telemetry of a node, newest", "/telemetry", one),
        ("telemetry of a node, one hour", "/telemetry", {**one, **hour}),
        ("telemetry of a node, 1,000 a page", "/telemetry", {**one, "limit": 1000}),
        ("a node's hours, a week of raw rows", f"/nodes/{site}/{node}/hours", {"since_ms": newest_ms - 7 * 24 * HOUR_MS}),
        ("nodes", "/nodes", {}),
        ("nodes, 1,000 a page", "/nodes", {"limit": 1000}),
        ("nodes of a site", "/nodes", {"site": site}),
        ("one node", f"/nodes/{site}/{node}", {}),
        ("alerts", "/alerts", {}),
        ("events", "/events", {}),
    ]


def _hour_queries(newest_ms: int) -> list[Query]:
    place = f"/nodes/site-{_ASKED % SITES}/n{_ASKED:05d}/hours"
    spans = (("a day", 1), ("a month", 30), ("a year", 365))
    return [(f"a node's hours, {name}", place, {"since_ms": newest_ms - days * 24 * HOUR_MS}) for name, days in spans]


def _timed(server: Postgres, service: Service, queries: list[Query], rows: int, what: str, say: Say) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for done, (name, path, params) in enumerate(queries):
        say(f"queries at {rows:,} {what}", done, len(queries))
        taken, logged = [], len(server.log)
        for _ in range(_REPEATS):
            begun = time.monotonic()
            service.remote.call("GET", path, params=params)
            taken.append(time.monotonic() - begun)
        statement_ms, plan = max(((float(ms), plan) for ms, plan in _PLAN.findall(server.log[logged:])), default=(0.0, ""))
        found.append({"name": name, "rows": rows, "ms": round(statistics.median(taken) * 1000, 1)})
        found[-1] |= {"statement_ms": round(statement_ms, 1), "plan": plan.splitlines()}
    return sorted(found, key=lambda one: -float(one["ms"]))


def _grow(service: Service, statements: Iterable[str], **values: int) -> None:
    with service.database.write() as session:
        for statement in statements:
            session.connection().exec_driver_sql(statement.format(**values))


def _telemetry(service: Service, newest_ms: int, before: int, after: int, say: Say) -> None:
    """Rows `before` to `after`, the newest first, so that a larger table reaches further back."""
    for day in range((newest_ms - after // SPEAKING * INTERVAL_MS) // DAY_MS, newest_ms // DAY_MS):
        with service.database.write() as session:
            if day * DAY_MS not in {part.from_ms for part in partitions.parts(session.connection())}:
                partitions.make(session.connection(), day * DAY_MS)
    for first in range(before, after, _CHUNK):
        say(f"rows for the queries, {after:,}", first, after)
        span = {"first": first, "last": min(first + _CHUNK, after) - 1}
        _grow(service, [TELEMETRY_ROWS], newest=newest_ms, interval=INTERVAL_MS, speaking=SPEAKING, **span)
    _analyze(service, "telemetry")


def _hours(service: Service, newest_ms: int, hours: int, say: Say) -> None:
    newest, step = newest_ms // HOUR_MS * HOUR_MS, max(1, _CHUNK // NODES)
    for first in range(0, hours, step):
        say("roll-ups for the queries", first, hours)
        _grow(service, [_HOUR_ROWS], newest=newest, first=first, last=min(first + step, hours) - 1, nodes=NODES)
    _grow(service, [_HOUR_ROWS], newest=newest, first=hours, last=_YEAR_H, nodes=2 * _ASKED)
    _analyze(service, "telemetry_hour")


def _hour_count(service: Service) -> int:
    with service.database.read() as session:
        return int(session.scalar(text("SELECT count(*) FROM telemetry_hour")) or 0)


def _analyze(service: Service, name: str) -> None:
    """What autovacuum does by itself in the long run."""
    with service.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"VACUUM ANALYZE {name}"))
