"""The factory line on practice boards behind a line of 921,600 baud: one board, eight side by side, and the plan of 500.

Of a board's time, writing, read-back and self-test are told apart: they are the board's and the wire's. The rest is ours.
"""

from __future__ import annotations

import csv
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from whir_tools.bench.fleet.errors import FleetBenchError, MosquittoMissingError
from whir_tools.bench.fleet.processes import Say, end
from whir_tools.demo.lan import LanBroker, mosquitto
from whir_tools.provision import desk
from whir_tools.provision.batch import COLUMNS, read
from whir_tools.provision.flash import WRITE_BAUD
from whir_tools.provision.journal import Journal
from whir_tools.provision.line import Event, Line
from whir_tools.provision.practice.build import write_build
from whir_tools.provision.station import Station

PLAN_ROWS = 500
_THEIRS = {"flash": "write_s", "verify": "read_back_s", "selftest": "selftest_s"}


def measure(folder: Path, bundle: bytes, boards: int, app_bytes: int, runs: int, say: Say) -> dict[str, Any]:
    """Seconds per board, alone, and how much faster `boards` side by side are; medians of `runs`."""
    program = mosquitto()
    if program is None:
        raise MosquittoMissingError
    (folder / "model.whir").write_bytes(bundle)
    write_build(folder / "build", "esp32", app_bytes)
    with LanBroker(program, folder / "lan", folder / "desk") as lan:
        target = desk.Target(lan.url, str(lan.certificate), str(folder / "model.whir"))
        station = desk.furnished(folder / "desk", folder / "build", "lsm6dsox", target)
        batch, alone, together = folder / "batch.csv", [], []
        for run in range(runs):
            say("provisioning: one board alone", run, runs)
            _write(batch, range(run, run + 1), lan.url)
            alone.append(_shift(station, batch, 1, run))
        for run in range(runs):
            say(f"provisioning: {boards} boards side by side", run, runs)
            first = runs + run * boards
            _write(batch, range(first, first + boards), lan.url)
            together.append(_shift(station, batch, boards, first)["board_s"])
        say("provisioning: the plan", 0, 1)
        _write(batch, range(10_000, 10_000 + PLAN_ROWS), lan.url)
        plan_s = [_plan(station, batch) for _ in range(runs)]
    one = {name: round(statistics.median(row[name] for row in alone), 2) for name in alone[0]}
    whole_s = statistics.median(together)
    image_bytes = sum(len(data) for data in station.build(desk.BOARD).files.values()) + len(bundle)
    return {
        "baud": WRITE_BAUD, "image_bytes": image_bytes, "runs": runs, **one, "boards": boards, "together_s": round(whole_s, 2),
        "times_the_rate": round(boards * one["board_s"] / whole_s, 2), "plan_rows": PLAN_ROWS,
        "plan_s": round(statistics.median(plan_s), 2),
    }  # fmt: skip


def _write(path: Path, numbers: range, broker: str) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(
            (f"BENCH-{n:05}", "bench", f"n{n}", desk.BOARD, "Halle 3, Nord", "correct horse", broker) for n in numbers
        )


def _shift(station: Station, path: Path, boards: int, first: int) -> dict[str, float]:
    """Blank boards on as many ports, all good; `board_s` from the first step to the last, and where it went."""
    failed: list[str] = []

    def tell(event: Event) -> None:
        if event.state in ("failed", "refused"):
            failed.append(f"{event.serial} {event.cause}: {event.text}")

    with ExitStack() as stack, station.locked():
        ports = [stack.enter_context(_board(first + n)) for n in range(boards)]
        journal = Journal(station.folder / "journal.db")
        stack.callback(journal.close)
        line = Line(station, read(path, [desk.BOARD]), journal, tell=tell, once=True)
        begun = time.monotonic()
        done = line.run(ports)
        board_s = time.monotonic() - begun
        if done.good != boards:
            raise FleetBenchError(f"provisioning: {done.good} of {boards} boards are good; {'; '.join(failed)}")
        steps = {step["step"]: step["ms"] / 1000 for step in journal.steps() if step["serial"] == f"BENCH-{first:05}"}
    theirs = {name: steps[step] for step, name in _THEIRS.items()}
    return {"board_s": board_s, **theirs, "rest_s": board_s - sum(theirs.values())}


@contextmanager
def _board(number: int) -> Iterator[str]:
    """The port of a blank practice board."""
    mac = f"24:0a:c4:01:{number >> 8:02x}:{number & 255:02x}"
    command = [sys.executable, "-m", "whir_tools.provision.practice", "--mac", mac, "--baud", str(WRITE_BAUD)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        end(process)


def _plan(station: Station, path: Path) -> float:
    """The command as a whole, the start of Python included."""
    begun = time.monotonic()
    command = [sys.executable, "-m", "whir_tools.cli", "provision", "plan", str(path), "--station", str(station.folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise FleetBenchError(f"whir provision plan: {done.stderr.strip()}")
    return time.monotonic() - begun
