"""The API's lists on a table that has grown: rows put in directly, time taken over HTTP."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from whir_fleet.clock import now_ms
from whir_fleet.db import insert_rows
from whir_fleet.models import BootCount, Node, Telemetry, table
from whir_tools.bench.fleet.processes import Broker, Say, Service

SITES, NODES = 4, 100
_INTERVAL_MS: Final = 60_000  # a node's telemetry by default
_CHUNK = 10_000
_REPEATS = 5

Query = tuple[str, str, dict[str, object]]  # name, path, parameters


def measure(folder: Path, sizes: Iterable[int], say: Say) -> list[dict[str, Any]]:
    """For each table size each query: the median of five, in ms, the slowest first."""
    found = []
    with Broker(folder / "broker") as broker, Service(folder / "data", broker) as service:
        newest_ms, rows = now_ms(), 0
        for size in sizes:
            _grow(service, newest_ms, rows, size, say)
            rows = size
            queries = _queries(newest_ms, rows)
            timed = []
            for place, (name, path, params) in enumerate(queries):
                say(f"queries at {rows:,} rows", place, len(queries))
                timed.append({"name": name, "rows": rows, "ms": round(_time_ms(service, path, params), 1)})
            found += sorted(timed, key=lambda one: -float(str(one["ms"])))
    return found


def _queries(newest_ms: int, rows: int) -> list[Query]:
    """What people and charts ask for, near the newest rows and far from them."""
    middle_ms = newest_ms - rows // NODES * _INTERVAL_MS // 2
    hour = {"since_ms": middle_ms - 3_600_000, "until_ms": middle_ms}
    return [
        ("telemetry, newest", "/telemetry", {}),
        ("telemetry, newest, 1,000 a page", "/telemetry", {"limit": 1000}),
        ("telemetry, back from the middle", "/telemetry", {"until_ms": middle_ms}),
        ("telemetry of a site, newest", "/telemetry", {"site": "site-1"}),
        ("telemetry of a site, one hour", "/telemetry", {"site": "site-1", **hour}),
        ("telemetry of a node, newest", "/telemetry", {"site": "site-1", "node": "n001"}),
        ("telemetry of a node, one hour", "/telemetry", {"site": "site-1", "node": "n001", **hour}),
        ("telemetry of a node, 1,000 a page", "/telemetry", {"site": "site-1", "node": "n001", "limit": 1000}),
        ("nodes", "/nodes", {}),
        ("one node", "/nodes/site-1/n001", {}),
    ]


def _time_ms(service: Service, path: str, params: dict[str, object]) -> float:
    taken = []
    for _ in range(_REPEATS):
        begun = time.monotonic()
        service.remote.call("GET", path, params=params)
        taken.append(time.monotonic() - begun)
    return statistics.median(taken) * 1000


def _grow(service: Service, newest_ms: int, before: int, after: int, say: Say) -> None:
    """Rows `before` to `after`, the newest first, so that a larger table reaches further back."""
    with service.database.write() as session:
        if before == 0:
            session.execute(table(Node).insert(), [_node(number, newest_ms) for number in range(1, NODES + 1)])
        for node_id in range(1, NODES + 1):
            count = {
                "node_id": node_id,
                "boot": 1,
                "first_seq": 1,
                "last_seq": after // NODES,
                "received": after // NODES,
                "pruned_seq": -1,
            }
            session.merge(BootCount(**count))
    for start in range(before, after, _CHUNK):
        say(f"rows for the queries, {after:,}", start, after)
        rows = [_telemetry(number, newest_ms) for number in range(start, min(start + _CHUNK, after))]
        with service.database.write() as session:
            insert_rows(session, table(Telemetry), tuple(_telemetry(0, 0)), [tuple(row.values()) for row in rows])


def _node(number: int, now: int) -> dict[str, object]:
    name = f"n{number:03d}"
    seen = {"first_seen_ms": now, "last_seen_ms": now, "boot": 1, "conn": 1, "status_seq": 1, "status_ms": now}
    return {"id": number, "site": f"site-{number % SITES}", "name": name, "machine": name, "state": "ok", "next_s": 60, **seen}


def _telemetry(number: int, newest_ms: int) -> dict[str, object]:
    place, node_id = divmod(number, NODES)
    at_ms = newest_ms - place * _INTERVAL_MS - node_id * _INTERVAL_MS // NODES  # nodes do not speak at once
    key = {"node_id": node_id + 1, "boot": 1, "seq": place + 1, "at_ms": at_ms, "received_ms": at_ms, "ts": at_ms}
    levels = {"quality": 0, "novelty": None, "zone": None, "rms": 31, "unit": "g", "model": "bench", "counter": 1, "slot": "a"}
    classes = {"classes": '{"normal":940,"imbalance":40,"bearing":20}', "verdicts": '{"normal":59,"unknown":1}'}
    return {**key, "synced": True, "verdict": "normal", "p": 940, "windows": 8, **levels, **classes}
