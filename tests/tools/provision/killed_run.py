"""One run of the line that kills itself, as a power cut would, at the n-th of its writes or programs: before or after it.

    python killed_run.py STATION BATCH PORT POINT

POINT is a number, or "good": inside the transaction that makes the board good. Exit by SIGKILL at that point; if the run ends
before it, the number of points is printed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from whir_tools.provision import files
from whir_tools.provision.batch import read
from whir_tools.provision.journal import Journal
from whir_tools.provision.keys import Passphrase
from whir_tools.provision.line import Line
from whir_tools.provision.station import Station

points = 0


def point(at: str, name: str = "") -> None:
    global points
    points += 1
    if at in (str(points), name):
        os.kill(os.getpid(), signal.SIGKILL)


def main(folder: str, batch: str, port: str, at: str) -> None:
    original_run, original_write, original_file = subprocess.run, Journal._write, files.write
    original_good, under_way = Journal.good, [""]

    def good(self: Journal, *facts: Any) -> None:
        under_way.append("good")
        original_good(self, *facts)
        under_way.pop()

    def run(command: Any, **options: Any) -> Any:
        point(at)
        done = original_run(command, **options)
        point(at)
        return done

    @contextlib.contextmanager
    def write(self: Journal) -> Iterator[Any]:
        point(at)
        with original_write(self) as db:
            yield db
            point(at, under_way[-1])  # inside the transaction
        point(at)

    def write_file(path: Path, data: bytes, mode: int = 0o600) -> None:
        point(at)
        original_file(path, data, mode)
        point(at)

    station = Station(Path(folder), Passphrase(b"a passphrase of the tests"))
    rows = read(Path(batch), sorted(station.settings.board))
    subprocess.run, files.write = run, write_file  # type: ignore[assignment]
    Journal._write, Journal.good = write, good  # type: ignore[method-assign]
    with station.locked():
        line = Line(station, rows, Journal(Path(folder) / "journal.db"), tell=lambda event: None, once=True)
        done = line.run([port])
    print(points, done.good)


if __name__ == "__main__":
    main(*sys.argv[1:5])
