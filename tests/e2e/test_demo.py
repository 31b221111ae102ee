"""`whir demo` from beginning to end: it succeeds as it stands, and fails when any one safeguard is taken out.

Real recordings are used where WHIR_DATA or ../shared/data holds them, else the simulator's.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from whir_contracts.recording import data_root
from whir_ml.pipeline import build_bundle
from whir_tools.demo.cli import BOARD_MODEL

pytestmark = pytest.mark.timeout(600)


def run_demo(folder: Path, broken: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("whir")), "demo", "--seed", "11", "--folder", str(folder)]
    environment = {name: value for name, value in os.environ.items() if name != "DEMO_BREAK"}
    if broken:
        environment["DEMO_BREAK"] = broken
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=580)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    return run_demo(tmp_path_factory.mktemp("demo") / "demo")


def test_demo_does_the_main_job_and_every_check_of_the_database_holds(finished: subprocess.CompletedProcess[str]):
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "NO " not in finished.stdout
    checks = [line for line in finished.stdout.splitlines() if line.startswith("   yes")]
    assert len(checks) == 11, finished.stdout
    assert finished.stdout.count("   alert  motor-") >= 2, "the subscriber has shown no alerts"


def test_a_real_bearing_fault_that_the_model_never_heard_is_alerted_through_the_fleet(
    finished: subprocess.CompletedProcess[str],
):
    if (root := data_root()) is None or not (root / "adi_cbm").is_dir():
        pytest.skip("NO REAL RECORDINGS: set WHIR_DATA to the folder that holds adi_cbm; the simulator's were used instead")
    assert "Training on real recordings, adi_cbm" in finished.stdout
    assert "motor-5: bearing alerted" in finished.stdout
    assert "after 24 s bearing: " in finished.stdout


@pytest.mark.parametrize(
    ("broken", "what_fails"),
    [
        ("gate", "NO   one node first, the rest after the gate"),
        ("signature", "bundle_signature: the signature does not verify"),
        ("alert", "waited 30 s for an alert from each faulty motor"),
    ],
)
def test_demo_fails_without(broken: str, what_fails: str, tmp_path: Path):
    done = run_demo(tmp_path / "demo", broken)
    assert done.returncode == 1, done.stdout + done.stderr
    assert what_fails in done.stdout


def test_unknown_break_is_refused():
    done = run_demo(Path("unused"), "roof")
    assert done.returncode == 2
    assert "gate, signature, alert" in done.stdout


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """What it says until then."""
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        if text in line:
            return said
    raise AssertionError(said)


@pytest.mark.long
def test_kept_running_it_takes_a_board_from_a_desk_to_its_first_verdict(tmp_path: Path):
    """The board is the factory's practice board, mounted on a simulated motor; the commands are a newcomer's."""
    key = ec.generate_private_key(ec.SECP256R1())
    motor = build_bundle(BOARD_MODEL, key=key, key_id=1, version="1.0.0", counter=1).held_out[0]
    whir, practice = [sys.executable, "-m", "whir_tools.cli"], [sys.executable, "-m", "whir_tools.provision.practice"]
    started: list[subprocess.Popen[str]] = []
    try:
        started.append(demo := subprocess.Popen([*whir, "demo", "--keep"], cwd=tmp_path, stdout=subprocess.PIPE, text=True))
        said = read_until(demo, "   token")
        assert "listens on the LAN with TLS" in said
        url, token = re.findall(r"Running at (\S+);", said)[0], said.split()[-1]
        subprocess.run([*practice, "--build", "build"], cwd=tmp_path, check=True)
        board = subprocess.Popen([*practice, "--hears", str(motor)], stdout=subprocess.PIPE, text=True)
        started.append(board)
        port = read_until(board, "socket://").strip()
        begun = time.monotonic()
        command = [*whir, "provision", "dev", "--port", port, "--wifi", "Lab", "--build", "build"]
        environment = {**os.environ, "WHIR_WIFI_PASSWORD": "correct horse"}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        ask = f"{url}/api/v1/telemetry?site=desk&node=desk-1"
        while all(
            item["verdict"] == "unknown"
            for item in httpx.get(ask, headers={"Authorization": f"Bearer {token}"}).raise_for_status().json()["items"]
        ):
            assert time.monotonic() - begun < 300, "no verdict within five minutes"
            time.sleep(0.5)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 0
        assert not (tmp_path / "whir-desk" / "demo.toml").exists(), "nobody is sent to a demo that has ended"
    finally:
        for process in started:
            process.terminate()  # the demo ends its broker and its subscriber
            process.wait(60)
