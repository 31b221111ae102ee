"""`whir provision dev`: one desk board joins a running demo by TLS, and its first verdict reaches the fleet."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from rig import RATE_HZ, bundle, signal

from whir_contracts.recording import Recording, save
from whir_fleet.auth import Role
from whir_fleet.service import FleetService
from whir_fleet.settings import Settings
from whir_tools.demo.lan import LanBroker, mosquitto
from whir_tools.provision import desk
from whir_tools.provision.errors import StationError
from whir_tools.provision.journal import Journal
from whir_tools.provision.layout import read_build
from whir_tools.provision.practice.build import write_build

WAIT_S = 120.0


@pytest.fixture
def motor(tmp_path: Path) -> Path:
    """A healthy motor as the rig's model knows it."""
    counts = signal("healthy", 20)
    scale = np.full(3, 61e-6, np.float32)
    made = Recording(
        "motor", counts, scale, np.zeros(3, np.float32), RATE_HZ, "g", ("x", "y", "z"), "normal", "healthy", 1500.0
    )
    save(made, tmp_path / "motor.npz")
    return tmp_path / "motor.npz"


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[httpx.Client]:
    """What `make demo KEEP=1` leaves running, without its story; a client of its API."""
    program, folder = mosquitto(), tmp_path / "whir-desk"
    assert program is not None, "apt-get install mosquitto"
    (tmp_path / "rig.whir").write_bytes(bundle(hardware_class="esp32"))
    with (
        LanBroker(program, tmp_path / "lan", folder) as lan,
        FleetService(Settings.load(data_dir=tmp_path / "fleet", api_port=0, **lan.settings)) as service,
    ):
        token = service.create_token("desk", Role.ADMIN)
        target = desk.Target(lan.url, str(lan.certificate), str(tmp_path / "rig.whir"), service.url, token)
        with desk.offered(folder, target), httpx.Client(base_url=f"{service.url}/api/v1") as client:
            client.headers["Authorization"] = f"Bearer {token}"
            yield client


def dev(folder: Path, port: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The command as a user gives it, in the demo's folder."""
    command = [sys.executable, "-m", "whir_tools.cli", "provision", "dev", "--port", port, "--wifi", "Lab", *words]
    environment = {**os.environ, "WHIR_WIFI_PASSWORD": "correct horse"}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, timeout=WAIT_S)


def verdicts(client: httpx.Client) -> list[str]:
    found = client.get("/telemetry", params={"site": "desk", "node": "desk-1"}).raise_for_status().json()["items"]
    return [item["verdict"] for item in found]


def test_one_command_takes_a_blank_board_to_its_first_verdict_in_a_running_demo(
    factory: Any, demo: httpx.Client, motor: Path, tmp_path: Path
) -> None:
    board = factory.plug(1, hears=motor)
    write_build(tmp_path / "build", "esp32")
    done = dev(tmp_path, board.url, "--build", "build")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "good" in done.stdout and "correct horse" not in done.stdout + done.stderr
    (device,) = demo.get("/devices").json()["items"]
    assert (device["serial"], device["development"]) == ("DESK-DESK-1", True)
    give_up = time.monotonic() + WAIT_S
    while "healthy" not in verdicts(demo):
        assert time.monotonic() < give_up, "no verdict arrives"
        time.sleep(0.2)


@pytest.mark.long
def test_the_same_board_may_come_again_and_gets_a_new_certificate(factory: Any, demo: httpx.Client, tmp_path: Path) -> None:
    board = factory.plug(1)
    write_build(tmp_path / "build", "esp32")
    numbers = []
    for _ in range(2):
        done = dev(tmp_path, board.url, "--build", "build")
        assert done.returncode == 0, done.stdout + done.stderr
        (device,) = demo.get("/devices").json()["items"]
        numbers.append(device["certificate_number"])
    states = {row["number"]: row["state"] for row in Journal(tmp_path / "whir-desk" / "journal.db").certificates()}
    assert states == dict(zip(numbers, ("revoked", "active"), strict=True))


def test_without_a_demo_it_says_what_must_be_given(tmp_path: Path) -> None:
    done = dev(tmp_path, "socket://127.0.0.1:9", "--broker", "mqtts://broker:8883")
    assert done.returncode == 1
    assert done.stderr == "plan: no demo runs here (make demo KEEP=1), so --model, --broker-ca must be given\n"


def test_a_factory_s_station_is_no_desk(factory: Any) -> None:
    with pytest.raises(StationError, match="a factory's station"):
        desk.opened(factory.station.folder)


def test_a_build_of_platformio_has_names_of_its_own(tmp_path: Path) -> None:
    write_build(tmp_path, "esp32c3")
    wanted = read_build(tmp_path)
    names = {
        "bootloader/bootloader.bin": "bootloader.bin", "partition_table/partition-table.bin": "partitions.bin",
        "whir.bin": "firmware.bin",
    }  # fmt: skip
    for name, other in names.items():
        (tmp_path / name).rename(tmp_path / other)
    assert read_build(tmp_path) == wanted
