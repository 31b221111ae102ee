"""The whole line: real esptool, NVS generator and broker with TLS, and the real core behind the board's console."""

from __future__ import annotations

import json
import subprocess

from whir_tools.provision import nvs


def test_a_blank_board_becomes_a_good_node_whose_flash_is_what_was_meant(factory):
    board = factory.plug(1)
    done = factory.run(factory.batch(1), board)
    assert (done.good, done.failed, done.refused, done.left) == (1, 0, 0, 0), factory.events[-1]
    journal = factory.journal
    entry = journal.board("WH-000001")
    assert (entry["state"], entry["mac"]) == ("good", board.mac)
    flash = board.flash.read_bytes()
    build = factory.station.build("esp32dev")
    for offset, data in build.files.items():
        assert flash[offset : offset + len(data)] == data
    model = factory.station.model("esp32dev")
    assert flash[build.partition("model_0").offset :][: len(model)] == model
    part = build.partition("fctry")
    identity = nvs.read(flash[part.offset : part.offset + part.size])["identity"]
    assert (identity["serial"], identity["site"], identity["node"], identity["development"]) == (
        "WH-000001",
        "plant",
        "pump-1",
        0,
    )
    part = build.partition("nvs")
    assert nvs.read(flash[part.offset : part.offset + part.size])["whir"] == {
        name: factory.rows[0][name] for name in ("wifi_ssid", "wifi_password", "broker")
    }


def test_the_record_verifies_with_openssl_alone(factory):
    factory.run(factory.batch(1), factory.plug(1))
    folder = factory.station.folder
    command = [
        "openssl",
        "dgst",
        "-sha256",
        "-verify",
        folder / "keys/record/1.pem",
        "-signature",
        folder / "records/WH-000001.sig",
    ]
    record = folder / "records/WH-000001.json"
    assert subprocess.run([*command, record], capture_output=True, text=True).stdout.strip() == "Verified OK"
    facts = json.loads(record.read_text())
    assert facts["tests"]["golden"]["failed"] == 0 and facts["tests"]["golden"]["vectors"] > 0
    record.write_bytes(record.read_bytes().replace(b"WH-000001", b"WH-000002"))
    assert subprocess.run([*command, record], capture_output=True).returncode != 0
