"""The whole line: real esptool, NVS generator and broker with TLS, and the real core behind the board's console."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from whir_node.check import check
from whir_tools.provision import layout, nvs

FACTORY = Path(__file__).resolve().parents[3] / "docs" / "FACTORY.md"


def test_a_blank_board_becomes_a_good_node_whose_flash_is_what_was_meant_and_whose_record_verifies(factory: Any) -> None:
    board = factory.plug(1)
    done = factory.run(factory.batch(1), board)
    assert (done.good, done.failed, done.refused, done.left) == (1, 0, 0, 0), factory.events[-1]
    entry = factory.journal.board("WH-000001")
    assert (entry["state"], entry["mac"]) == ("good", board.mac)
    flash_is_what_was_meant(factory, board.flash.read_bytes())
    the_manual_s_command_verifies_the_record(factory.station.folder)
    report = check(board.url, None)
    assert report.good and report.node["serial"] == "WH-000001", report.results


def flash_is_what_was_meant(factory: Any, flash: bytes) -> None:
    build, model = factory.station.build("esp32dev"), factory.station.model("esp32dev")
    for offset, data in build.files.items():
        assert flash[offset : offset + len(data)] == data
    assert flash[build.partition("model_0").offset :][: len(model)] == model
    part = build.partition("fctry")
    assert part.flags & layout.READ_ONLY, "the node cannot write its identity"
    identity = nvs.read(flash[part.offset : part.offset + part.size])["identity"]
    names = ("serial", "site", "node", "development")
    assert [identity[name] for name in names] == ["WH-000001", "plant", "pump-1", 0]
    part = build.partition("nvs")
    settings = nvs.read(flash[part.offset : part.offset + part.size])["whir"]
    assert settings == {name: factory.rows[0][name] for name in ("wifi_ssid", "wifi_password", "broker")}


def the_manual_s_command_verifies_the_record(station: Path) -> None:
    command = next(line for line in FACTORY.read_text().splitlines() if line.startswith("openssl dgst"))
    assert subprocess.run(command, cwd=station, shell=True, capture_output=True, text=True).stdout.strip() == "Verified OK"
    record = station / "records/WH-000001.json"
    tests = json.loads(record.read_text())["tests"]
    assert tests["golden"]["failed"] == 0 and tests["golden"]["vectors"] > 0
    record.write_bytes(record.read_bytes().replace(b"WH-000001", b"WH-000002"))
    assert subprocess.run(command, cwd=station, shell=True, capture_output=True).returncode != 0
