"""Ingest, as a drain test: a full queue, the time from the connection to the last commit; a null subscriber beside it."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import func, select

from whir_fleet.broker import INFLIGHT_MAX
from whir_fleet.db import Database
from whir_fleet.models import BootCount
from whir_tools.bench.fleet.errors import ProcessEndedError, TooLongError
from whir_tools.bench.fleet.node import ProtocolNode
from whir_tools.bench.fleet.processes import Broker, FleetProcess, FloodProcess, Say, mosquitto_version
from whir_tools.bench.fleet.wait import wait_until

NODES = 100
_LIMIT_S = 300.0
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Drained:
    """One run: seconds from the connection to the last commit (or acknowledgement), CPU seconds in between, peak RSS."""

    seconds: float
    cpu_s: float
    rss_bytes: int = 0


def measure(folder: Path, messages: int, runs: int, say: Say) -> dict[str, Any]:
    """Alternating runs, each on the same queue: it is filled once, and the broker starts from what it had saved then."""
    broker = Broker(folder / "broker")
    _fill(broker, folder, messages, say)
    full = folder / "full.db"
    shutil.copyfile(broker.saved, full)
    ingests, nulls = [], []
    for run in range(1, runs + 1):
        shutil.copyfile(full, broker.saved)
        with broker:
            ingests.append(_ingest(broker, folder / f"run-{run}", messages, f"ingest, run {run} of {runs}", say))
        shutil.copyfile(full, broker.saved)
        with broker:
            say(f"null subscriber, run {run} of {runs}", 0, 0)
            nulls.append(_null(broker, messages))
    rates, null_rates = ([messages / drained.seconds for drained in results] for results in (ingests, nulls))
    rate, null_rate = statistics.median(rates), statistics.median(null_rates)
    return {
        "rate": round(rate),
        "null_rate": round(null_rate),
        "ratio": round(rate / null_rate, 3),
        "cpu_s": round(statistics.median(drained.cpu_s for drained in ingests), 2),
        "rss_mb": round(max(drained.rss_bytes for drained in ingests) / 1e6, 1),
        "null_cpu_s": round(statistics.median(drained.cpu_s for drained in nulls), 2),
        "rates": [round(r) for r in rates],
        "null_rates": [round(r) for r in null_rates],
        "messages": messages,
        "payload_bytes": len(ProtocolNode("flood", "n000").telemetry(time.time()).payload),
        "inflight": INFLIGHT_MAX,
        "runs": runs,
        "broker": mosquitto_version(),
        "database": f"SQLite {_sqlite_version()}",
    }


def _fill(broker: Broker, folder: Path, messages: int, say: Say) -> None:
    """Leaves `messages` in the queue of ingest's session."""
    with broker:
        ingest = FleetProcess("ingest", folder / "session", broker.port, broker.passwords["fleet"])
        ingest.start()
        try:
            ingest.wait_connected()
        finally:
            ingest.stop()
        flood = FloodProcess(broker.port, broker.passwords["nodes"], NODES, messages // NODES - 2, 0)  # a status at either end
        flood.start()
        try:
            while flood.reader.is_alive():
                say("filling the queue", flood.sent, messages)
                time.sleep(0.1)
            result = flood.join()
        finally:
            flood.kill()
    if result["messages"] != messages or result["unacknowledged"]:
        raise ProcessEndedError(f"of {messages} messages {result['messages']} were sent, {result['unacknowledged']} not taken")


def _ingest(broker: Broker, folder: Path, messages: int, what: str, say: Say) -> Drained:
    ingest = FleetProcess("ingest", folder, broker.port, broker.passwords["fleet"])
    ingest.start()
    try:
        ingest.wait_connected(poll_s=0.002)
        begun = time.monotonic()
        assert ingest.process is not None
        process = psutil.Process(ingest.process.pid)
        cpu_before, rss = _cpu_s(process), 0
        database = Database(ingest.database_url)

        def stored_all() -> bool:
            nonlocal rss
            with database.read() as session:
                stored = session.scalar(select(func.sum(BootCount.received))) or 0
            rss = max(rss, process.memory_info().rss)
            say(what, stored, messages)
            return stored >= messages

        wait_until(stored_all, "ingest stores the queue", _LIMIT_S, _POLL_S)
        drained = Drained(time.monotonic() - begun, _cpu_s(process) - cpu_before, rss)
        database.close()
        return drained
    finally:
        ingest.stop()


def _sqlite_version() -> str:
    """Of an interpreter by itself, as ingest runs in: TensorFlow, once loaded here, puts its own in front of the system's."""
    command = [sys.executable, "-c", "import sqlite3; print(sqlite3.sqlite_version)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _null(broker: Broker, messages: int) -> Drained:
    command = [sys.executable, "-m", "whir_tools.bench.fleet.null", str(broker.port), "fleet", str(messages)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        said, _ = process.communicate(broker.passwords["fleet"] + "\n", timeout=_LIMIT_S)
    except subprocess.TimeoutExpired as error:
        raise TooLongError(f"the null subscriber takes the queue: not within {_LIMIT_S:.0f} s") from error
    finally:
        process.kill()
    if process.returncode != 0:
        raise ProcessEndedError("the null subscriber ended before its end")
    seconds, cpu_s = map(float, said.split())
    return Drained(seconds, cpu_s)
