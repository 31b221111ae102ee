"""`whir demo` from beginning to end: it succeeds as it stands, and fails when any one safeguard is taken out.

Real recordings are used where WHIR_DATA or ../shared/data holds them, else the simulator's.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(600)


def run_demo(folder: Path, broken: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("whir")), "demo", "--seed", "11", "--folder", str(folder)]
    environment = {name: value for name, value in os.environ.items() if name != "DEMO_BREAK"}
    if broken:
        environment["DEMO_BREAK"] = broken
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=580)


def test_demo_does_the_main_job_and_every_check_of_the_database_holds(tmp_path: Path):
    done = run_demo(tmp_path / "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NO " not in done.stdout
    checks = [line for line in done.stdout.splitlines() if line.startswith("   yes")]
    assert len(checks) == 11, done.stdout
    assert done.stdout.count("   alert  motor-") >= 2, "the subscriber has shown no alerts"


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
