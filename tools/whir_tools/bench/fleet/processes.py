"""The processes that are measured, on loopback and in a folder of their own: broker, ingest, service, and who sends to them."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from whir_fleet.auth import Role, create
from whir_fleet.broker import Users, free_port, mosquitto_files
from whir_fleet.clock import now_ms
from whir_fleet.db import Database
from whir_fleet.remote import Remote
from whir_tools.bench.fleet.errors import FleetBenchError, MosquittoMissingError, ProcessEndedError, TooLongError
from whir_tools.bench.fleet.wait import wait_until

Say = Callable[[str, float, float], None]  # what is under way, done, total (0 = unknown)

HOST = "127.0.0.1"
_START_S = 120.0
_END_S = 20.0


def end(process: subprocess.Popen[Any] | None) -> None:
    """SIGTERM, and SIGKILL to what does not heed it."""
    if process is None:
        return
    process.terminate()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def cpu_seconds(process: psutil.Process) -> float:
    """That it has used so far, all its threads."""
    times = process.cpu_times()
    return float(times.user + times.system)


def require_mosquitto() -> None:
    if shutil.which("mosquitto") is None:
        raise MosquittoMissingError


def mosquitto_version() -> str:
    """Such as `mosquitto 2.0.11`."""
    said = subprocess.run(["mosquitto", "-h"], capture_output=True, text=True).stdout.split()
    return f"mosquitto {said[2]}" if said[1:2] == ["version"] else "mosquitto"


class Broker:
    """mosquitto as `whir fleet broker-config` configures it, on a free loopback port."""

    def __init__(self, folder: Path) -> None:
        require_mosquitto()
        folder.mkdir(parents=True)
        self.folder, self.port = folder, free_port(HOST)
        self.passwords = Users.load(folder / "users.toml").passwords
        self._config = mosquitto_files(folder, self.port, Users(self.passwords), HOST, getpass.getuser())
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def saved(self) -> Path:
        """Sessions and queues, once it was stopped in order."""
        return self.folder / "mosquitto.db"

    def start(self) -> None:
        with (self.folder / "mosquitto.log").open("ab") as log:
            self._process = process = subprocess.Popen(["mosquitto", "-c", str(self._config)], stdout=log, stderr=log)

        def listens() -> bool:
            if process.poll() is not None:
                raise ProcessEndedError(f"mosquitto ended: {(self.folder / 'mosquitto.log').read_text()[-300:].strip()}")
            with socket.socket() as probe:
                return probe.connect_ex((HOST, self.port)) == 0

        wait_until(listens, "mosquitto listens", _START_S)

    def stop(self) -> None:
        end(self._process)
        self._process = None

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Broker:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class FleetProcess:
    """`whir fleet ingest` or `serve` on a broker, with what it logs."""

    def __init__(self, what: str, folder: Path, port: int, password: str, *options: str, **settings: str) -> None:
        self._command = [sys.executable, "-m", "whir_tools.cli", "fleet", what, "--broker", f"mqtt://fleet@{HOST}:{port}"]
        self._command += options
        self._environment = os.environ | {"WHIR_FLEET_BROKER_PASSWORD": password, "WHIR_FLEET_DATA_DIR": str(folder)}
        self._environment |= {f"WHIR_FLEET_{name.upper()}": value for name, value in settings.items()}
        folder.mkdir(parents=True, exist_ok=True)
        self.database_url = settings.get("database_url", f"sqlite:///{folder / 'fleet.db'}")
        self._log = folder / f"{what}.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return self._log.read_text()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)

    def wait_logged(self, text: str, times: int = 1, poll_s: float = 0.02) -> None:
        """Until it has logged `text` so many times; ProcessEndedError with its last words when it ends before."""

        def logged() -> bool:
            if self.process is not None and self.process.poll() is not None:
                raise ProcessEndedError(f"{' '.join(self._command[3:5])} ended: {self.log[-500:].strip()}")
            return self.log.count(text) >= times

        wait_until(logged, f"{' '.join(self._command[3:5])} logs {text!r}", _START_S, poll_s)

    def wait_connected(self, times: int = 1, poll_s: float = 0.02) -> None:
        """Until it has subscribed to telemetry for the `times`-th time: only then does the broker hold a session for it."""
        self.wait_logged("as whir-fleet-ingest-", times, poll_s)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        end(self.process)
        self.process = None


class Service(FleetProcess):
    """`whir fleet serve` with a way into its API."""

    def __init__(self, folder: Path, broker: Broker, **settings: str) -> None:
        port = free_port(HOST)
        self.url = f"http://{HOST}:{port}"
        super().__init__("serve", folder, broker.port, broker.passwords["fleet"], "--port", str(port), **settings)

    def __enter__(self) -> Service:
        self.start()
        try:
            self.wait_logged("API http")
        except FleetBenchError:
            self.stop()
            raise
        self.database = Database(self.database_url)
        with self.database.write() as session:
            self.token = create(session, "bench", Role.ADMIN, now_ms())[1]
        self.remote = Remote(self.url, self.token)
        return self

    def __exit__(self, *_: object) -> None:
        self.database.close()
        self.stop()


@dataclass
class FloodProcess:
    """`flood` as a process; `sent` follows what it prints, `join()` gives its result."""

    port: int
    password: str
    nodes: int
    telemetry: int
    alerts: int
    sent: int = 0
    result: dict[str, Any] = field(default_factory=dict)

    def start(self) -> None:
        numbers = [str(n) for n in (self.nodes, self.telemetry, self.alerts)]
        command = [sys.executable, "-m", "whir_tools.bench.fleet.flood", str(self.port), "nodes", *numbers]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdin is not None
        self.process.stdin.write(self.password + "\n")
        self.process.stdin.flush()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("sent "):
                self.sent = int(line.split()[1])
            else:
                self.result = json.loads(line)

    def wait_sent(self, share: float) -> None:
        while self.sent < share * self.nodes * self.telemetry and self.reader.is_alive():
            time.sleep(0.01)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def join(self, limit_s: float = 200) -> dict[str, Any]:
        self.reader.join(limit_s)
        if self.reader.is_alive():
            self.kill()
            raise TooLongError(f"flood: not within {limit_s:.0f} s")
        if self.process.wait(10) != 0:
            raise ProcessEndedError("flood ended before its end; its last words are above")
        return self.result


class SwarmProcess:
    """`whir node swarm` on a broker, or on a `port` that leads there, until `finish()`. It ends with this object."""

    def __init__(self, broker: Broker, site: str, nodes: int, *options: str, port: int | None = None) -> None:
        address = f"mqtt://nodes@{HOST}:{port or broker.port}"
        self._command = [sys.executable, "-m", "whir_tools.cli", "node", "swarm", "--broker", address]
        self._command += ["--site", site, "--nodes", str(nodes), *options]
        self._environment = os.environ | {"WHIR_BROKER_PASSWORD": broker.passwords["nodes"]}

    def __enter__(self) -> SwarmProcess:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True, env=self._environment)
        assert self._process.stdout is not None
        if not self._process.stdout.readline().startswith('{"connected"'):
            raise ProcessEndedError("the swarm ended before all its nodes were connected")
        return self

    def finish(self) -> dict[str, Any]:
        """No more beats; waits for the receipts. What was sent."""
        self._process.terminate()
        try:
            said, _ = self._process.communicate(timeout=300)
        except subprocess.TimeoutExpired as error:
            raise TooLongError("the swarm does not come to an end") from error
        if self._process.returncode != 0:
            raise ProcessEndedError("the swarm ended before its time")
        result: dict[str, Any] = json.loads(said)
        return result

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
