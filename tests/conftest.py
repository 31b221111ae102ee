"""Fixtures that more than one folder needs: a free port and a real mosquitto."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No test's outcome may hang on how busy the machine is.
settings.register_profile("whir", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("whir")


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Gives a loopback TCP port that nothing listens on."""
    return _free_port


@dataclass
class Mosquitto:
    """A mosquitto of its own on a loopback port, with a password file and without anonymous access.

    `stop()` ends it in order, `kill()` by SIGKILL; `start()` and `restart()` bring it back on the same port, with what
    it persisted when `persistence` was asked for.
    """

    folder: Path
    port: int
    users: dict[str, str]
    persistence: bool
    extra: str
    host: str = "127.0.0.1"
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def user(self) -> str:
        return next(iter(self.users))

    @property
    def password(self) -> str:
        return self.users[self.user]

    @property
    def url(self) -> str:
        """`mqtt://user@host:port`, without the password."""
        return f"mqtt://{self.user}@{self.host}:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "mosquitto.log"

    def configure(self) -> Path:
        """Writes configuration and password file, returns the former."""
        self.folder.mkdir(parents=True, exist_ok=True)
        passwords = self.folder / "passwords"
        passwords.write_text("".join(f"{user}:{password}\n" for user, password in self.users.items()))
        subprocess.run(["mosquitto_passwd", "-U", str(passwords)], check=True)
        config = self.folder / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} {self.host}\n"
            "allow_anonymous false\n"
            f"password_file {passwords}\n"
            # as root it would drop to a user that cannot read the test's folder
            f"user {getpass.getuser()}\n"
            f"log_dest file {self.log}\n"
            "max_inflight_messages 1000\n"
            "max_queued_messages 0\n"
            f"persistence {str(self.persistence).lower()}\n"
            f"persistence_location {self.folder}/\n"
            f"autosave_interval 1\n{self.extra}\n"
        )
        return config

    def start(self) -> None:
        """Starts it and waits until the port answers."""
        if self.process is not None:
            raise RuntimeError("mosquitto runs already")
        config = self.configure()
        self.process = subprocess.Popen(["mosquitto", "-c", str(config)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection((self.host, self.port), timeout=1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    log = self.log.read_text() if self.log.exists() else ""
                    raise RuntimeError(f"mosquitto did not start:\n{log}") from None
                time.sleep(0.02)

    def stop(self) -> None:
        """Ends it in order (SIGTERM): it writes what it persists."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def restart(self) -> None:
        self.stop()
        self.start()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    """Factory of running brokers: `mosquitto(users={"name": "password"}, persistence=False, extra="")`."""
    if shutil.which("mosquitto") is None or shutil.which("mosquitto_passwd") is None:
        pytest.fail("mosquitto is missing: apt-get install mosquitto")
    started: list[Mosquitto] = []

    def start(users: dict[str, str] | None = None, persistence: bool = False, extra: str = "") -> Mosquitto:
        folder = tmp_path / f"mosquitto-{len(started)}"
        broker = Mosquitto(folder, _free_port(), users or {"whir": "test-password"}, persistence, extra)
        broker.start()
        started.append(broker)
        return broker

    yield start
    for broker in started:
        broker.kill()
