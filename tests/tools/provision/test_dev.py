"""`whir provision dev`: one desk board from nothing, with keys that a release build refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from whir_fleet.crl import make_crl, utc_now
from whir_tools.provision import desk


def test_one_command_takes_a_blank_board_to_a_passed_self_test(factory: Any, tmp_path: Path) -> None:
    folder, source = tmp_path / "desk", factory.station.folder
    build = source / "builds" / "esp32dev"
    made = desk.station(folder, build, source / "model.whir", source / "broker-ca.pem", "lsm6dsox", "")
    ca = made.ca()
    factory.broker.stop()
    factory.broker.start(made.ca_bundle(), make_crl(ca.certificate, ca.signer.sign, [], 1, utc_now()))
    board = factory.plug(1)
    command = [
        sys.executable, "-m", "whir_tools.cli", "provision", "dev", "--port", board.url, "--wifi", "Lab", "--build", build,
        "--model", source / "model.whir", "--broker", factory.broker.url, "--broker-ca", source / "broker-ca.pem",
        "--station", folder,
    ]  # fmt: skip
    environment = {**os.environ, "WHIR_WIFI_PASSWORD": "correct horse"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "good" in done.stdout and "correct horse" not in done.stdout + done.stderr
    assert (folder / "records" / "DESK-DESK-1.json").exists()
