"""`whir fleet` and `whir rollout`: what they print, and one line when something is wrong. What serves runs as a process."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import Result
from typer.testing import CliRunner

from whir_fleet.auth import Role
from whir_fleet.messages import Inbound
from whir_fleet.service import FleetService
from whir_fleet.settings import Settings
from whir_fleet.store import store
from whir_tools.cli import app


def whir(*arguments: str, **environment: str) -> Result:
    """Runs the command with nothing of WHIR_FLEET_… but what is given."""
    clean: dict[str, str | None] = {name: None for name in os.environ if name.startswith("WHIR_FLEET_")}
    return CliRunner().invoke(app, arguments, env=clean | environment)


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """What serves takes signals and writes a log: the tests' own come back."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    root = logging.getLogger()
    log, level = root.handlers[:], root.level
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    root.handlers[:] = log
    root.setLevel(level)


def failure(*arguments: str, **environment: str) -> str:
    """The one line on stderr of a command that fails."""
    result = whir(*arguments, **environment)
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    assert len(result.stderr.splitlines()) == 1, result.stderr
    return result.stderr


def test_upload_and_rollout_from_the_command_line(
    tmp_path: Path, keys: Path, make_bundle: Callable[..., bytes], says: Callable[..., Inbound]
) -> None:
    bundle, broken = tmp_path / "new.whir", tmp_path / "broken.whir"
    bundle.write_bytes(make_bundle())
    broken.write_bytes(make_bundle()[:-1])
    settings = Settings.load(data_dir=tmp_path / "data", keys_dir=keys, api_port=0, broker_port=0)
    with FleetService(settings) as service:
        with service.database.write() as session:
            store(session, [says("status", node=node, seq=1) for node in ("n1", "n2")], 100)
        environment = {"WHIR_FLEET_URL": service.url, "WHIR_FLEET_TOKEN": service.create_token("cli", Role.OPERATOR)}
        assert failure("fleet", "upload", str(broken), **environment).count("bundle_truncated") == 1
        sha256 = json.loads(whir("fleet", "upload", str(bundle), "--json", **environment).stdout)["sha256"]
        made = whir("rollout", "create", sha256[:10], "--canary", "n2", "--no-start", "--json", **environment)
        rollout = json.loads(made.stdout)
        assert [action["node"] for action in rollout["actions"]] == ["n2", "n1"]
        assert json.loads(whir("rollout", "start", rollout["id"], "--json", **environment).stdout)["state"] == "running"
        assert "cannot resume" in failure("rollout", "resume", rollout["id"], **environment)
        assert "n2" in whir("rollout", "show", rollout["id"], **environment).stdout
        assert rollout["id"] in whir("rollout", "list", **environment).stdout
        assert [n["name"] for n in json.loads(whir("fleet", "nodes", "--json", **environment).stdout)] == ["n1", "n2"]
        assert "credential" in failure("rollout", "list", **environment | {"WHIR_FLEET_TOKEN": "whir_x_y"})


def test_machines_from_the_command_line(tmp_path: Path, keys: Path) -> None:
    good, bad = tmp_path / "machines.csv", tmp_path / "bad.csv"
    good.write_text("site,machine,point,rated_kw,node\nlab,pump,de,22,n1\nlab,pump,nde,,n2\n")
    bad.write_text("site,machine,point,rated_kw\nlab,pump,de,much\nlab,Fan,de,1\n")
    settings = Settings.load(data_dir=tmp_path / "data", keys_dir=keys, api_port=0, broker_port=0)
    with FleetService(settings) as service:
        environment = {"WHIR_FLEET_URL": service.url, "WHIR_FLEET_TOKEN": service.create_token("cli", Role.OPERATOR)}
        done = whir("fleet", "machines", "import", str(good), "--json", **environment)
        assert json.loads(done.stdout) == {"machines": 1, "points": 2, "assigned": 2}
        refused = whir("fleet", "machines", "import", str(bad), **environment)
        assert refused.exit_code == 1
        assert [line.split(":")[0] for line in refused.stderr.splitlines()] == ["bad_lines", "line 2", "line 3"]
        time.sleep(0.002)  # an assignment cannot end in the millisecond in which it began
        assert whir("fleet", "machines", "assign", "lab/pump", "de", "n3", **environment).exit_code == 0
        assert whir("fleet", "machines", "release", "lab/pump", "nde", **environment).exit_code == 0
        (machine,) = json.loads(whir("fleet", "machines", "list", "--json", **environment).stdout)
        nodes = [[a["node"] for a in point["assignments"] if a["until_ms"] is None] for point in machine["points"]]
        assert nodes == [["n3"], []]
        assert "lab/pump" in whir("fleet", "machines", "list", **environment).stdout


def test_serve_runs_until_it_is_told_to_stop_and_says_what_the_embedded_broker_lacks(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port, broker_port = free_port(), free_port()
    token = whir("fleet", "token", "create", "--role", "viewer", "--data-dir", str(tmp_path)).stdout.strip()
    command = [sys.executable, "-m", "whir_tools.cli", "fleet", "serve", "--data-dir", str(tmp_path)]
    command += ["--port", str(port), "--broker-port", str(broker_port)]
    serving = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    url, give_up = f"http://127.0.0.1:{port}/api/v1", time.monotonic() + 120
    while True:
        try:
            ready = httpx.get(f"{url}/ready", headers={"Authorization": f"Bearer {token}"})
            if ready.status_code == 200:
                break
        except httpx.HTTPError:
            pass
        assert serving.poll() is None and time.monotonic() < give_up
        time.sleep(0.1)
    assert ready.json()["ingest"] == "here"
    serving.send_signal(signal.SIGTERM)
    _, log = serving.communicate(timeout=60)
    assert serving.returncode == 0
    assert "no ACL" in log and "mosquitto" in log and "EMQX" in log
    with socket.create_server(("127.0.0.1", broker_port)):  # the broker is gone, too
        pass


@pytest.mark.parametrize("option", ["--port", "--broker-port"])
def test_a_port_in_use_is_one_line_that_names_the_option(tmp_path: Path, free_port: Callable[[], int], option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = {"--port": str(free_port()), "--broker-port": str(free_port()), option: str(taken.getsockname()[1])}
        arguments = [word for pair in ports.items() for word in pair]
        assert option in failure("fleet", "serve", "--data-dir", str(tmp_path), *arguments)


@pytest.mark.parametrize("option", ["--host", "--broker-host"])
def test_an_address_of_another_machine_is_one_line_that_names_the_option(
    tmp_path: Path, free_port: Callable[[], int], option: str
) -> None:
    ports = ("--port", str(free_port()), "--broker-port", str(free_port()))
    said = failure("fleet", "serve", "--data-dir", str(tmp_path), *ports, option, "192.0.2.1")
    assert "192.0.2.1 is not an address of this machine" in said and option in said


def test_a_second_service_on_the_same_data_folder_ends_with_one_line_and_the_first_goes_on(tmp_path: Path) -> None:
    with FleetService(Settings.load(data_dir=tmp_path, api_port=0, broker_port=0)) as first:
        said = failure("fleet", "serve", "--data-dir", str(tmp_path), "--port", "0", "--broker-port", "0")
        assert f"{tmp_path}: in use by another process (whir fleet serve); stop it, or take another --data-dir" in said
        token = first.create_token("t", Role.VIEWER)
        ready = httpx.get(f"{first.url}/api/v1/ready", headers={"Authorization": f"Bearer {token}"})
        assert (ready.status_code, ready.json()["ingest"]) == (200, "here")


def test_a_nodes_name_is_whole_in_a_terminal_of_80_columns(tmp_path: Path, says: Callable[..., Inbound]) -> None:
    usual, longest = ("plant-2", "pump-house-3-motor-de"), ("s" * 32, "n" * 32)
    with FleetService(Settings.load(data_dir=tmp_path, api_port=0, broker_port=0)) as service:
        token = service.create_token("cli", Role.VIEWER)
        environment = {"WHIR_FLEET_URL": service.url, "WHIR_FLEET_TOKEN": token, "COLUMNS": "80"}
        assert "lost" in whir("fleet", "nodes", **environment).stdout  # with no nodes yet
        with service.database.write() as session:
            store(
                session,
                [says("status", seq=1, site=usual[0], node=usual[1], model="m" * 31, model_version="2026.11.21-rc1")],
                100,
            )
        shown = whir("fleet", "nodes", **environment).stdout
        assert "/".join(usual) in shown and ", ok" in shown
        assert max(map(len, shown.splitlines())) <= 80
        with service.database.write() as session:
            store(session, [says("status", seq=1, site=longest[0], node=longest[1])], 100)
        shown = whir("fleet", "nodes", **environment).stdout
        assert "/".join(longest) in shown and ", ok" in shown


def test_what_is_missing_is_one_line_that_says_what_to_do(tmp_path: Path, free_port: Callable[[], int]) -> None:
    assert "whir fleet token create" in failure("rollout", "list")
    nobody = f"http://127.0.0.1:{free_port()}"
    assert "whir fleet serve" in failure("rollout", "list", WHIR_FLEET_TOKEN="x", WHIR_FLEET_URL=nobody)
    ingest = ("fleet", "ingest", "--data-dir", str(tmp_path), "--broker", "mqtt://fleet@127.0.0.1:1")
    assert "WHIR_FLEET_BROKER_PASSWORD_FILE" in failure(*ingest)
    assert "WHIR_FLEET_API_PORT" in failure("fleet", "serve", WHIR_FLEET_API_PORT="x")
    assert "WHIR_FLEET_NONSENSE" in failure("fleet", "serve", WHIR_FLEET_NONSENSE="1")


def test_a_wrong_broker_password_ends_ingest_with_one_line(tmp_path: Path, mosquitto: Callable[..., Any]) -> None:
    broker = mosquitto(users={"fleet": "right-word"})
    done = whir("fleet", "ingest", "--data-dir", str(tmp_path), "--broker", broker.url, WHIR_FLEET_BROKER_PASSWORD="wrong-word")
    assert done.exit_code == 1
    assert "check user name and password" in done.stderr.splitlines()[-1]


def test_a_broker_configuration_is_written_with_its_users(tmp_path: Path) -> None:
    done = whir("fleet", "broker-config", str(tmp_path / "broker"), "--port", "1884")
    config = Path(done.stdout.strip())
    assert "listener 1884" in config.read_text()
    assert {path.name for path in config.parent.iterdir()} == {"mosquitto.conf", "passwords", "acl", "users.toml"}


def test_a_broker_configuration_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert f"{tmp_path / 'file' / 'x'}: cannot be written: Not a directory" in failure(
        "fleet", "broker-config", str(tmp_path / "file" / "x")
    )


def test_alerts_maintenance_channels_and_the_audit_log_from_the_command_line(
    tmp_path: Path, keys: Path, says: Callable[..., Inbound]
) -> None:
    settings = Settings.load(data_dir=tmp_path / "data", keys_dir=keys, api_port=0, broker_port=0)
    with FleetService(settings) as service:
        with service.database.write() as session:
            store(session, [says("status", seq=1), says("alert", seq=5, model="m", counter=1)], 100)
        environment = {"WHIR_FLEET_URL": service.url, "WHIR_FLEET_TOKEN": service.create_token("cli", Role.ADMIN)}

        def fleet(*arguments: str) -> str:
            done = whir("fleet", *arguments, **environment)
            assert done.exit_code == 0, done.stderr
            return done.stdout

        alert = json.loads(fleet("alerts", "list", "--state", "open", "--json"))[0]["alert_id"]
        assert "acknowledged" in fleet("alerts", "acknowledge", alert, "--why", "seen")
        assert "assigned to anna" in fleet("alerts", "assign", alert, "anna")
        assert "outcome confirmed (bearing)" in fleet("alerts", "outcome", alert, "confirmed")
        assert "resolved" in fleet("alerts", "resolve", alert)
        shown = fleet("alerts", "show", alert)
        assert all(text in shown for text in ("acknowledge", "seen", "node n1"))
        assert "100%" in fleet("alerts", "precision")
        fleet("maintenance", "add", "lab/n1", "--hours", "1", "--why", "coupling")
        assert "whsec_" in fleet("channels", "add", "hook", "http://127.0.0.1:9/")
        assert "measure: pending" in fleet("command", "lab/n1", "measure")
        actions = [json.loads(line)["action"] for line in fleet("audit").splitlines()]
        assert actions[0] == "nodes.command"
        assert actions[-1] == "alerts.acknowledge"
