"""An operator who reads only docs/OPERATIONS.md: its commands in a shell, as they stand there, with nodes on the real core."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from rig import KEYS, bundle, signal
from typer.testing import CliRunner

from whir_contracts import recording
from whir_tools.cli import app

DOC = (Path(__file__).parents[2] / "docs" / "OPERATIONS.md").read_text()
BIN = Path(sys.executable).parent
LIMIT_S = 120.0
# systemd is not here: what starts and stops the service in its place.
SYSTEMCTL = """#!/bin/bash
case $1 in
start) nohup {serve} >> serve.log 2>&1 & echo $! > serve.pid ;;
stop) pid=$(cat serve.pid); kill "$pid"; while grep -qs '^State:.[^Z]' "/proc/$pid/status"; do sleep 0.1; done ;;
esac
"""


def commands(heading: str) -> list[str]:
    """The lines of the blocks under a heading, up to the next one; a line that goes on is one."""
    section = re.split(r"^#+ ", DOC.split(f"\n## {heading}\n", 1)[1], maxsplit=1, flags=re.M)[0]
    blocks = re.findall(r"^```\n(.*?)^```", section, flags=re.M | re.S)
    return "".join(blocks).replace("\\\n", "").splitlines()


def until(condition: Callable[[], Any], what: str) -> None:
    give_up = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < give_up, what
        time.sleep(0.1)


class Operator:
    """A shell in an empty folder. What `instead` has is another place, port or number here."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as api, socket.create_server(("127.0.0.1", 0)) as broker:
            self.api, self.broker = api.getsockname()[1], broker.getsockname()[1]
        self.folder = folder
        self.instead = {
            "synth12k-": f"{folder}/synth12k-", "/var/lib/whir": str(folder / "var"), "/backup": str(folder),
            "http://fleet.plant:8080": f"http://127.0.0.1:{self.api}", "0.0.0.0": "127.0.0.1", ":1883": f":{self.broker}",
            "2026-11-21": "$(date +%F)", ' --window "22:00-05:00 Europe/Berlin"': "",
        }  # fmt: skip
        clean = {name: value for name, value in os.environ.items() if not name.startswith("WHIR_")}
        self.environment = clean | {
            "PATH": f"{folder}:{BIN}:{os.environ['PATH']}",
            "WHIR_FLEET_API_PORT": str(self.api),
            "WHIR_FLEET_BROKER_PORT": str(self.broker),
            "WHIR_FLEET_URL": f"http://127.0.0.1:{self.api}",
        }
        self.nodes: list[subprocess.Popen[bytes]] = []

    def line(self, text: str) -> str:
        for theirs, ours in self.instead.items():
            text = text.replace(theirs, ours)
        return text.split("  #")[0].rstrip()

    def types(self, text: str) -> str:
        """What it prints. Variables that it exports stay. What is `whir` and nothing else needs no further process."""
        line = self.line(text)
        if line.startswith("whir ") and not re.search(r"[$&|;<>]", line):
            clean = dict.fromkeys((name for name in os.environ if name.startswith("WHIR_")), None)
            result = CliRunner().invoke(app, shlex.split(line)[1:], env=clean | self.environment)
            assert result.exit_code == 0, f"{text}\n{result.output}"
            return result.stdout
        command = f"{line} && env -0 > .environment"
        done = subprocess.run(["bash", "-c", command], cwd=self.folder, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        told = dict(item.split("=", 1) for item in (self.folder / ".environment").read_text().split("\0") if item)
        self.environment |= {name: value for name, value in told.items() if name.startswith("WHIR_")}
        return done.stdout

    def starts_service(self, text: str) -> None:
        script = self.folder / "systemctl"
        script.write_text(SYSTEMCTL.format(serve=self.line(text)))
        script.chmod(0o755)
        self.types("systemctl start whir-fleet")
        self.waits_for_service()

    def waits_for_service(self) -> None:
        def answers() -> bool:
            try:
                return httpx.get(f"http://127.0.0.1:{self.api}/api/v1/health", timeout=10).status_code == 200
            except httpx.TransportError:
                return False

        until(answers, "the service does not start")

    def starts_node(self, text: str, name: str) -> None:
        command = ["bash", "-c", "exec " + self.line(text).replace("pump-3", name)]
        with (self.folder / f"{name}.log").open("w") as log:
            self.nodes.append(subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=log, stderr=log))

    def sees(self, what: str) -> Any:
        headers = {"Authorization": f"Bearer {self.environment['WHIR_FLEET_TOKEN']}"}
        return httpx.get(f"http://127.0.0.1:{self.api}/api/v1/{what}", headers=headers, timeout=30).json()

    def models(self) -> dict[str, str]:
        """Of the nodes that are online."""
        assert all(node.poll() is None for node in self.nodes), "a node has ended: see its log"
        return {n["name"]: n["model_version"] for n in self.sees("nodes")["items"] if n["presence"] == "online"}

    def closes(self) -> None:
        for node in self.nodes:
            node.terminate()
            node.wait()
        if (self.folder / "serve.pid").exists():
            self.types("systemctl stop whir-fleet")


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    public = KEYS[1].public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "1.pem").write_bytes(public)
    for number in (1, 2):
        made = bundle(hardware_class="esp32", model_version=f"{number}.0.0", security_counter=1)
        (tmp_path / f"synth12k-{number}.0.0.whir").write_bytes(made)
    recording.save(
        recording.Recording(
            name="healthy", samples=signal("healthy", 20), scale=np.full(3, 61e-6, np.float32), offset=np.zeros(3, np.float32),
            rate_hz=1000.0, unit="g", channels=("x", "y", "z"), label="healthy", sublabel="", rpm=1500.0,
        ), tmp_path / "healthy.npz",
    )  # fmt: skip
    made = Operator(tmp_path)
    yield made
    made.closes()


def test_start_roll_out_halt_roll_back_back_up_and_restore(operator: Operator) -> None:
    prepare, serve, token, password, node, look = commands("One machine")
    operator.types(prepare)
    operator.starts_service(serve)
    operator.types(token)
    operator.types(password)
    for name in ("pump-3", "pump-4"):
        operator.starts_node(node, name)
    until(lambda: operator.models() == {"pump-3": "1.0.0", "pump-4": "1.0.0"}, "the nodes do not come")
    assert "plant-1/pump-3" in operator.types(look)

    upload, rehearse, tag, create, show, halt, resume, abort, rollback = commands("Rolling out, halting, rolling back")
    operator.instead["9f86d081"] = operator.types(upload)[:8]
    assert "0 confirmed faults missed" in operator.types(rehearse)
    operator.types(tag)
    operator.types(create)
    (made,) = operator.sees("rollouts")["items"]
    operator.instead["ID"] = made["id"]
    until(lambda: operator.models()["pump-3"] == "2.0.0", "the pilot does not take the new model")
    assert "running" in operator.types(show)
    assert "halted" in operator.types(halt)
    assert "running" in operator.types(resume)
    operator.types(abort)
    until(lambda: operator.sees(f"rollouts/{made['id']}")["state"] == "aborted", "the rollout is not taken back")
    until(lambda: set(operator.models().values()) == {"1.0.0"}, "the pilot is not back at the old model")
    operator.types(rollback)

    back_up, stop, restore, start = commands("Backing up and restoring")
    operator.types(back_up)
    operator.types(stop)
    operator.types(restore)
    operator.types(start)
    operator.waits_for_service()
    assert made["id"] in json.dumps(operator.sees("rollouts"))
    until(lambda: set(operator.models()) == {"pump-3", "pump-4"}, "the nodes do not come back")
