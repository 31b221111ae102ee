"""Ingest, as a drain test: a full queue, the time from the connection to the last commit; a null subscriber beside it."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import func, select, text

from whir_fleet.broker import INFLIGHT_MAX
from whir_fleet.db import Database
from whir_fleet.models import BootCount
from whir_node.swarm_node import ProtocolNode
from whir_tools.bench.fleet.errors import ProcessEndedError, TooLongError
from whir_tools.bench.fleet.postgres import Postgres
from whir_tools.bench.fleet.processes import Broker, FleetProcess, FloodProcess, Say, cpu_seconds, mosquitto_version
from whir_tools.bench.fleet.wait import wait_until

NODES = 100
_STATUSES = 2 * NODES  # one of every node at either end of the flood; they are in the other session
_RIVAL_MESSAGES = 4000  # it is slow, and as slow at its end as at its beginning
_LIMIT_S = 300.0
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Drained:
    """One run: seconds from the connection to the last commit (or acknowledgement), CPU seconds in between, peak RSS."""

    seconds: float
    cpu_s: float
    rss_bytes: int = 0


class Queue:
    """Messages in the sessions of `processes` ingests, filled once; every run begins with the same."""

    def __init__(self, folder: Path, processes: int, messages: int, say: Say) -> None:
        self.messages = messages
        self.processes = processes
        self.broker = Broker(folder / "broker")
        self._full = folder / "full.db"
        self._folder = folder
        with self.broker, ExitStack() as stack:
            for number in range(processes):
                ingest = self.ingest(number, f"sqlite:///{folder / 'sessions.db'}", "sessions")
                stack.callback(ingest.stop)
                ingest.start()
                ingest.wait_connected()
                if number == 0:
                    ingest.wait_logged("as whir-fleet-ingest,")  # the other session, for the statuses
            stack.close()
            flood = FloodProcess(self.broker.port, self.broker.passwords["nodes"], NODES, messages // NODES, 0)
            flood.start()
            try:
                while flood.reader.is_alive():
                    say("filling the queue", flood.sent, messages)
                    time.sleep(0.1)
                result = flood.join()
            finally:
                flood.kill()
        if result["messages"] != messages + _STATUSES or result["unacknowledged"]:
            raise ProcessEndedError(f"{result['messages']} messages were sent, {result['unacknowledged']} not taken")
        shutil.copyfile(self.broker.saved, self._full)

    def again(self) -> Broker:
        """The broker, not started, with the full queue."""
        shutil.copyfile(self._full, self.broker.saved)
        return self.broker

    def ingest(self, number: int, database_url: str, name: str) -> FleetProcess:
        folder = self._folder / f"{name}-{number}"
        password = self.broker.passwords["fleet"]
        return FleetProcess("ingest", folder, self.broker.port, password, instance=str(number), database_url=database_url)


def measure(folder: Path, messages: int, runs: int, say: Say) -> dict[str, Any]:
    """One ingest and the null subscriber in turn; then two ingests, row by row, and SQLite beside it."""
    with Postgres() as postgres:
        queue = Queue(folder / "one", 1, messages, say)
        ingests, nulls = [], []
        for run in range(runs):
            url = postgres.create(f"run_{run}")
            with queue.again():
                ingests.append(_ingest(queue, url, f"run-{run}", f"ingest, run {run + 1} of {runs}", say))
            with queue.again() as broker:
                say(f"null subscriber, run {run + 1} of {runs}", 0, 0)
                nulls.append(_alone("null", broker, messages))
        with queue.again() as broker:
            say("row by row", 0, 0)
            row_by_row = min(messages, _RIVAL_MESSAGES)
            rival = _alone("rival", broker, row_by_row, postgres.create("rival"))
        with queue.again():
            sqlite = _ingest(queue, f"sqlite:///{folder / 'fleet.db'}", "sqlite", "ingest, SQLite", say)
        two = Queue(folder / "two", 2, messages, say)
        with two.again():
            both = _ingest(two, postgres.create("two"), "two", "two ingests", say)
        version = _postgres_version(postgres.url("two"))
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
        "two_processes_rate": round(messages / both.seconds),
        "row_by_row_rate": round(row_by_row / rival.seconds),
        "sqlite_rate": round(messages / sqlite.seconds),
        "messages": messages,
        "payload_bytes": len(ProtocolNode("flood", "n000").telemetry(time.time()).payload),
        "inflight": INFLIGHT_MAX,
        "runs": runs,
        "broker": mosquitto_version(),
        "database": version,
    }


def _ingest(queue: Queue, database_url: str, name: str, what: str, say: Say) -> Drained:
    """All processes of the queue, from the first connection to the last commit."""
    with ExitStack() as stack:
        database = Database(database_url)
        stack.callback(database.close)
        database.migrate()
        processes = [queue.ingest(number, database_url, name) for number in range(queue.processes)]
        for process in processes:
            stack.callback(process.stop)
            process.start()
        processes[0].wait_connected(poll_s=0.002)
        begun = time.monotonic()
        running = [psutil.Process(p.process.pid) for p in processes if p.process is not None]
        cpu_before, rss = sum(map(cpu_seconds, running)), 0

        def stored_all() -> bool:
            nonlocal rss
            with database.read() as session:
                stored = session.scalar(select(func.sum(BootCount.received))) or 0
            rss = max(rss, sum(process.memory_info().rss for process in running))
            say(what, stored, queue.messages)
            return stored >= queue.messages + _STATUSES

        wait_until(stored_all, f"{what}: all is stored", _LIMIT_S, _POLL_S)
        return Drained(time.monotonic() - begun, sum(map(cpu_seconds, running)) - cpu_before, rss)


def _postgres_version(url: str) -> str:
    database = Database(url)
    with database.read() as session:
        found = session.scalar(text("SHOW server_version"))
    database.close()
    return f"PostgreSQL {str(found).split()[0]}"


def _alone(module: str, broker: Broker, messages: int, *arguments: str) -> Drained:
    """`null` or `rival`: a process that prints its seconds and its CPU seconds."""
    name = f"whir_tools.bench.fleet.{module}"
    command = [sys.executable, "-m", name, str(broker.port), "fleet", str(messages), *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        said, _ = process.communicate(broker.passwords["fleet"] + "\n", timeout=_LIMIT_S)
    except subprocess.TimeoutExpired as error:
        raise TooLongError(f"{module}: not within {_LIMIT_S:.0f} s") from error
    finally:
        process.kill()
    if process.returncode != 0:
        raise ProcessEndedError(f"{module} ended before its end")
    seconds, cpu_s = map(float, said.split())
    return Drained(seconds, cpu_s)
