"""What goes wrong on a line: each fault has its cause in the journal, and no board is good that is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from rig import bundle

from whir_tools.provision import files, flash, report
from whir_tools.provision.errors import DiskError, FlashError, JournalError, PassphraseError, PlanError, PortError
from whir_tools.provision.keys import Passphrase
from whir_tools.provision.station import Station


def outcome(factory: Any) -> tuple[str, str]:
    board = factory.journal.board("WH-000001")
    assert [row["state"] for row in factory.journal.certificates() if row["state"] == "active"] == []
    return board["state"], board["cause"]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        pytest.param("noise", "the limit is 2000", marks=pytest.mark.long),
        pytest.param("sensor", "none answers, not lsm6dsox; noise: no samples", marks=pytest.mark.long),
        pytest.param("wifi", "no network of this name", marks=pytest.mark.long),
    ],
)
def test_a_test_that_fails_is_told_with_limit_and_value(factory: Any, fault: str, says: str) -> None:
    assert factory.run(factory.batch(1), factory.plug(1, fault=fault)).failed == 1
    assert outcome(factory) == ("failed", "selftest") and says in factory.events[-1].text


def test_a_wrong_golden_vector_is_found_by_the_core_on_the_board(factory: Any) -> None:
    (factory.station.folder / "model.whir").write_bytes(bundle(hardware_class="esp32", golden_error=True))
    assert factory.run(factory.batch(1), factory.plug(1)).failed == 1
    assert outcome(factory) == ("failed", "selftest") and "vector" in factory.events[-1].text


def test_a_flash_that_loses_a_bit_fails_the_board_when_it_is_read_back(factory: Any) -> None:
    assert factory.run(factory.batch(1), factory.plug(1, fault="flash")).failed == 1
    assert outcome(factory) == ("failed", "verify") and "verify-flash" in factory.events[-1].text


def test_esptool_that_ends_with_an_error_is_told_with_its_reason(factory: Any) -> None:
    board = factory.plug(1, chip="esp32c3")
    with pytest.raises(FlashError, match=r"esptool write-flash: .*ESP32-C3"):
        flash.write(factory.station.folder, board.url, "esp32", {0: b"x" * 4096})
    board.unplug()
    with pytest.raises(PortError):
        flash.identify(board.url)


@pytest.mark.long
def test_a_broker_that_does_not_answer_fails_the_board(factory: Any) -> None:
    factory.broker.stop()
    assert factory.run(factory.batch(1), factory.plug(1)).failed == 1
    assert outcome(factory) == ("failed", "selftest") and "broker:" in factory.events[-1].text


@pytest.mark.long
def test_a_port_that_vanishes_while_it_is_written_fails_the_board_and_the_next_run_mends_it(factory: Any) -> None:
    board, batch = factory.plug(1, baud=230_400), factory.batch(1)

    def vanish() -> None:
        while not any(event.step == "flash" for event in factory.events):
            time.sleep(0.02)
        time.sleep(1.5)
        board.unplug()

    thread = threading.Thread(target=vanish)
    thread.start()
    assert factory.run(batch, board).failed == 1
    thread.join()
    assert outcome(factory)[0] == "failed"
    assert factory.run(batch, factory.plug(1)).good == 1
    assert [row["state"] for row in factory.journal.certificates()] == ["revoked", "active"]


@pytest.mark.long
def test_a_full_disk_stops_the_line_and_no_board_is_good(factory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (factory.station.folder / "labels").symlink_to("/dev/full")
    with pytest.raises(DiskError):
        factory.run(factory.batch(1), factory.plug(1))
    assert outcome(factory) == ("failed", "disk")


def test_two_boards_at_once_take_two_serials_and_a_done_one_is_refused(factory: Any) -> None:
    boards, batch = (factory.plug(1), factory.plug(2)), factory.batch(3)
    assert factory.run(batch, *boards).good == 2, factory.events[-1]
    again = factory.run(batch, boards[0])
    assert (again.good, again.refused, again.left) == (0, 1, 1)
    bound = {board["serial"]: board["mac"] for board in factory.journal.boards()}
    assert set(bound) == {"WH-000001", "WH-000002"} and set(bound.values()) == {board.mac for board in boards}
    found = report.summary(factory.journal)
    assert (found["good"], found["yield_percent"], found["unenrolled"]) == (2, 100.0, 2)
    assert report.erp_csv(factory.journal).count("\n") == 3


def test_a_chip_that_no_row_is_for_is_refused(factory: Any) -> None:
    done = factory.run(factory.batch(1), factory.plug(1, chip="esp32s3"))
    assert (done.refused, done.left) == (1, 1) and factory.journal.boards() == []


def test_two_runs_on_one_station_take_turns(factory: Any) -> None:
    with factory.station.locked(), pytest.raises(JournalError, match="in use"):
        factory.run(factory.batch(1), factory.plug(1))


def test_a_bundle_of_another_key_stops_the_plan(factory: Any) -> None:
    (factory.station.folder / "model.whir").write_bytes(bundle(hardware_class="esp32", key=0xBAD))
    with pytest.raises(PlanError, match="bundle_signature"):
        factory.run(factory.batch(1), factory.plug(1))


def test_a_wrong_passphrase_is_told_as_such(factory: Any) -> None:
    with pytest.raises(PassphraseError, match="not right"):
        Station(factory.station.folder, Passphrase(b"another passphrase")).key("record").signer()


@pytest.mark.long
def test_a_board_that_makes_its_own_key_gets_a_certificate_for_it(factory: Any, settings: Any) -> None:
    settings(node_key='"board"')
    board = factory.plug(1)
    assert factory.run(factory.batch(1), board).good == 1, factory.events[-1]


@pytest.mark.long
def test_development_keys_are_refused_by_a_release_build(factory: Any) -> None:
    path = factory.station.folder / "factory.toml"
    path.write_text("development = true\n" + path.read_text())
    factory.station = Station(factory.station.folder, Passphrase(b"a passphrase of the tests"))
    assert factory.run(factory.batch(1), factory.plug(1, release_build=True)).failed == 1
    assert factory.run(factory.batch(1), factory.plug(1)).good == 1


def test_no_secret_is_printed_or_stored_outside_its_encrypted_file(factory: Any, tmp_path: Path) -> None:
    """The commands as processes; then everything that they said and left is searched."""
    board, batch = factory.plug(1), factory.batch(1)
    environment = {**os.environ, "WHIR_FACTORY_PASSPHRASE": "a passphrase of the tests"}
    station = ["--station", str(factory.station.folder)]
    said = b""
    for words in (
        ["plan", str(batch), *station], ["run", str(batch), "--port", board.url, "--once", "--json", *station],
        ["report", "--erp", str(tmp_path / "erp.csv"), *station], ["retire", "WH-000001", *station],
    ):  # fmt: skip
        command = [sys.executable, "-m", "whir_tools.cli", "provision", *words]
        done = subprocess.run(command, capture_output=True, env=environment, timeout=200)
        assert done.returncode in (0, 3), done.stderr
        said += done.stdout + done.stderr
    assert b'"state": "good"' in said
    scratch = [path for path in files._scratch_root(factory.station.folder).rglob("*") if path.is_file()]
    wifi = factory.rows[0]["wifi_password"]
    private = factory.station.key("record").signer().key.private_numbers().private_value.to_bytes(32, "big")
    left = {path: path.read_bytes() for path in factory.station.folder.rglob("*") if path.is_file()}
    left[tmp_path / "erp.csv"] = (tmp_path / "erp.csv").read_bytes()
    for secret in (
        wifi.encode(),
        json.dumps(wifi)[1:-1].encode(),
        b"a passphrase of the tests",
        b"BEGIN PRIVATE",
        b"BEGIN EC",
        private,
    ):
        assert secret not in said
        assert [path for path, data in left.items() if secret in data] == []
    files.sweep_scratch(factory.station.folder)  # takes away what a killed run leaves; an orderly one has left nothing
    assert scratch == []
