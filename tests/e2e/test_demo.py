"""`whir demo` from beginning to end: it succeeds as it stands, and fails when any one safeguard is taken out.

Real recordings are used where WHIR_DATA or ../shared/data holds them, else the simulator's.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from whir_contracts.recording import data_root

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
