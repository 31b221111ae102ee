"""The station is killed at every write and every program call; run again, the board is good, once, with one certificate."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

KILLED_RUN = Path(__file__).with_name("killed_run.py")


def killed(factory: Any, batch: Path, port: str, at: int | str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, KILLED_RUN, factory.station.folder, batch, port, str(at)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200)


def check(factory: Any, board: Any, batch: Path) -> None:
    """After the kill: nothing is good that is not; after the next run: all is well, and what was cut off is revoked."""
    journal = factory.journal
    before = journal.board("WH-000001")
    good = before is not None and before["state"] == "good"
    active = [row for row in journal.certificates() if row["state"] == "active"]
    assert len(active) == good, "active exactly when its board is good"
    assert good == (before is not None and before["record"] is not None)
    if not good:
        assert not (factory.station.folder / "records" / "WH-000001.json").exists(), "a record of a board that is not good"
    done = factory.run(batch, board)
    assert (done.good, done.failed) == (0 if good else 1, 0), factory.events[-1]
    after = journal.board("WH-000001")
    assert (after["state"], after["mac"], len(journal.boards())) == ("good", board.mac, 1)
    states = [row["state"] for row in journal.certificates()]
    assert states.count("active") == 1 and set(states) <= {"active", "revoked"}, "a certificate without its board"
    assert (factory.station.folder / "records" / "WH-000001.json").read_bytes() == after["record"]
    assert [row["kind"] for row in journal.waiting()].count("enrol") == 1


@pytest.fixture
def total(factory: Any) -> int:
    """How many points one run has."""
    batch = factory.batch(1)
    done = killed(factory, batch, factory.plug(99).url, 0)
    count, good = done.stdout.split()
    assert good == "1", done.stderr
    return int(count)


LONG = pytest.mark.long


@pytest.mark.parametrize("at", ["good", *(pytest.param(at, marks=LONG) for at in (10, 40, 80, 100))])
def test_killed_on_the_way_and_run_again_the_board_is_good_once(factory: Any, at: int | str) -> None:
    batch, board = factory.batch(1), factory.plug(1)
    done = killed(factory, batch, board.url, at)
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    check(factory, board, batch)


@pytest.mark.long
@pytest.mark.timeout(5000)
def test_killed_at_every_point_there_is(made_station: Path, factory: Any, total: int, tmp_path: Path) -> None:
    import shutil

    for at in range(1, total + 1):
        shutil.rmtree(factory.station.folder)
        shutil.copytree(made_station, factory.station.folder)
        board = factory.plug(at)
        batch = factory.batch(1)
        assert killed(factory, batch, board.url, at).returncode == -signal.SIGKILL, at
        check(factory, board, batch)
        board.unplug()
