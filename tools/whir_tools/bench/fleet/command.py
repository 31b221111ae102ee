"""The command and its tables."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from whir_tools.bench import common
from whir_tools.bench.common import AsJson, Quick, store

SLOW_MS = 200.0
SLOW_QUERIES = 5  # in the table; the file has all


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    messages: int
    runs: int
    swarm_nodes: int
    swarm_s: float
    alert_s: float
    rows: tuple[int, ...]
    hours: int
    rollout_nodes: int
    silence_s: int
    boards: int
    app_bytes: int
    board_runs: int
    console_nodes: int


# 10 M rows and 30 days of roll-ups take 5 GB of disk; a year of roll-ups would take 17 GB.
FULL = Size(200_000, 5, 10_000, 600.0, 600.0, (1_000_000, 10_000_000), 720, 10_000, 900, 8, 1_200_000, 3, 10_000)
QUICK = Size(20_000, 3, 50, 15.0, 10.0, (100_000,), 24, 30, 15, 2, 300_000, 1, 1_000)
MODEL = "synth12k-linear"  # what boards and nodes are given; trained when it is not in the cache


def run_fleet(quick: Quick = False, as_json: AsJson = False) -> None:
    """Ingest against a null subscriber, nodes, queries, a rollout, a factory line, the console; all on loopback.

    Example: whir bench fleet --quick --json
    """
    try:
        from whir_tools.bench.fleet.errors import MosquittoMissingError
        from whir_tools.bench.fleet.processes import require_mosquitto
    except ModuleNotFoundError as error:
        typer.echo(f"error: `whir bench fleet` needs the package {error.name}: pip install 'whir[dev]'", err=True)
        raise typer.Exit(1) from error
    try:
        require_mosquitto()
    except MosquittoMissingError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what runs is stopped on the way out
    with common.progress(as_json) as say:
        result = measure(parts(QUICK if quick else FULL, say))
    path = store("fleet", result)
    if as_json:
        typer.echo(json.dumps(result))
    else:
        for table in tables(result):
            Console().print(table)
        typer.echo(f"{result['machine']['cpus']} CPUs, load average {result['machine']['load']} from start to end")
        for part, reason in result["reason"].items():
            typer.echo(f"not measured: {part}: {reason}")
        typer.echo(f"written: {path}")
    if failures(result):
        for failure in failures(result):
            typer.echo(f"error: {failure}", err=True)
        raise typer.Exit(1)


def parts(size: Size, say: Callable[[str, float, float], None]) -> dict[str, Callable[[Path], Any]]:
    """What is measured, in this order; each is called with an empty folder."""
    from whir_tools.bench.fleet import console, drain, load, provisioning, queries, rollout

    def pair() -> rollout.Bundles:
        from cryptography.hazmat.primitives.asymmetric import ec

        from whir_ml.pipeline import build_bundle

        say(f"bundles of {MODEL}", 0, 0)
        key = ec.generate_private_key(ec.SECP256R1())
        first, second = (
            build_bundle(MODEL, key=key, key_id=1, version=f"{n}.0.0", counter=n).path.read_bytes() for n in (1, 2)
        )
        return rollout.Bundles(first, second, key.public_key(), 1)

    def line(folder: Path) -> dict[str, Any]:
        return provisioning.measure(folder, pair().first, size.boards, size.app_bytes, size.board_runs, say)

    return {
        "ingest": lambda folder: drain.measure(folder, size.messages, size.runs, say),
        "swarm": lambda folder: load.measure(folder, size.swarm_nodes, size.swarm_s, size.alert_s, say),
        "queries": lambda folder: queries.measure(folder, size.rows, size.hours, say),
        "rollout": lambda folder: rollout.measure(folder, pair(), size.rollout_nodes, size.silence_s, say),
        "provisioning": line,
        "console": lambda folder: console.measure(folder, size.console_nodes, say),
    }


def measure(measured: dict[str, Callable[[Path], Any]]) -> dict[str, Any]:
    """The results by part. A part that fails is null, with why under `reason`."""
    from whir_fleet.errors import FleetError
    from whir_node.swarm import SwarmError
    from whir_tools.bench.fleet.errors import FleetBenchError

    result: dict[str, Any] = {}
    reason: dict[str, str] = {}
    begun, load_before = time.monotonic(), os.getloadavg()[0]
    for name, part in measured.items():
        with tempfile.TemporaryDirectory(prefix="whir-bench-") as folder:
            try:
                result[name] = part(Path(folder))
            except (FleetBenchError, FleetError, SwarmError) as error:
                result[name], reason[name] = None, str(error)
    loads = [round(load_before, 1), round(os.getloadavg()[0], 1)]
    machine = {"cpus": os.cpu_count(), "load": loads, "seconds": round(time.monotonic() - begun)}
    return {**result, "reason": reason, "machine": machine}


def failures(result: dict[str, Any]) -> list[str]:
    """What may not be: a part that broke down, a message lost or stored twice, a rollout that went another way."""
    found = [f"{name}: {why}" for name, why in result["reason"].items()]
    swarm, rollout = result["swarm"], result["rollout"]
    if swarm and (swarm["lost"] or swarm["duplicates"] or swarm["unreceipted"]):
        found.append(f"swarm: {swarm['lost']} lost, {swarm['duplicates']} twice, {swarm['unreceipted']} without a receipt")
    for query in result["queries"] or ():
        if query["ms"] > SLOW_MS:
            found.append(f"queries: {query['name']} at {query['rows']:,} rows takes {query['ms']} ms, not {SLOW_MS:.0f}")
    if rollout and not rollout["as_expected"]:
        found.append(f"rollout: {rollout['outcome']} with {rollout['actions']}, not finished with {rollout['expected']}")
    return found


def tables(result: dict[str, Any]) -> Iterator[Table]:
    """One for each part that was measured; none is wider than 80 columns."""
    ingest, swarm, rollout, line, views = (result[name] for name in ("ingest", "swarm", "rollout", "provisioning", "console"))
    if ingest:
        cells = {"messages/s": ingest["rate"], "null": ingest["null_rate"], "ratio": ingest["ratio"]}
        cells |= {"CPU s": ingest["cpu_s"], "RSS MB": ingest["rss_mb"], "messages": ingest["messages"], "runs": ingest["runs"]}
        yield _one_row(f"ingest: {ingest['broker']}, {ingest['database']}", cells)
        beside = {"two ingests": "two_processes_rate", "on SQLite": "sqlite_rate", "row by row": "row_by_row_rate"}
        yield _one_row("messages/s beside it", {name: ingest[key] for name, key in beside.items()})
    if swarm:
        cells = {name: swarm[name] for name in ("nodes", "seconds", "sent", "stored", "lost", "duplicates")}
        yield _one_row("swarm", cells)
        ways = {"subscriber": "alert", "server-sent events": "stream"}
        cells = {f"{way} p{p}": swarm[f"{name}_p{p}_ms"] for way, name in ways.items() for p in (50, 99)}
        yield _one_row("an alert's way, ms", cells)
    if result["queries"]:
        slowest = Table("slowest queries", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        slowest.add_column("rows", justify="right")
        slowest.add_column("ms", justify="right")
        for query in sorted(result["queries"], key=lambda one: -float(one["ms"]))[:SLOW_QUERIES]:
            slowest.add_row(query["name"], f"{query['rows']:,}", f"{query['ms']:,}")
        yield slowest
    if rollout:
        names = ("nodes", "seconds", "last_confirmed_s", "silence_s", "cpu_s", "messages", "outcome")
        yield _one_row("rollout", {name: rollout[name] for name in names})
    if line:
        cells = {"board s": line["board_s"], "write": line["write_s"], "read back": line["read_back_s"]}
        cells |= {"self-test": line["selftest_s"], "the rest": line["rest_s"], f"{line['boards']} boards s": line["together_s"]}
        cells |= {"times the rate": line["times_the_rate"], f"plan of {line['plan_rows']} s": line["plan_s"]}
        yield _one_row(f"factory line, {line['baud']:,} baud, {line['image_bytes']:,} B", cells)
    for view in views or ():
        cells = {"bytes": view["bytes"], "server ms": view["server_ms"], "browser ms": view["browser_ms"]}
        yield _one_row(f"console, {view['view']}: {view['rows']:,} rows", cells)


def _one_row(title: str, cells: dict[str, Any]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in cells:
        table.add_column(name, justify="right")
    table.add_row(*(f"{value:,}" if isinstance(value, int | float) else str(value) for value in cells.values()))
    return table
