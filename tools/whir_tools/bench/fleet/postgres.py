"""A PostgreSQL of its own: Debian's programs, a new cluster in a folder of its own, on a socket there and nowhere else."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

from whir_tools.bench.fleet.errors import PostgresMissingError, ProcessEndedError, TooLongError
from whir_tools.bench.fleet.wait import wait_until

_START_S = 60.0
_USER = "whir"
_PLACES = "/usr/lib/postgresql"  # Debian keeps the server's programs out of the path


def programs() -> Path:
    """The folder of `initdb` and `postgres`, of the newest version that is there."""
    found = shutil.which("initdb")
    places = sorted(Path(_PLACES).glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found and not places:
        raise PostgresMissingError
    return places[-1].parent if places else Path(str(found)).resolve().parent


class Postgres:
    """`start()`, `stop()`, `kill()`; `url(name)` of a database, `create(name)` makes one.

    `durable=False` leaves out the waiting for the disk: for tests that do not pull the plug. `explain` writes the plan of every
    statement to the log; `preload` is a library of the server.
    """

    def __init__(self, *, durable: bool = True, explain: bool = False, preload: str = "") -> None:
        self._programs = programs()
        self.folder = Path(tempfile.mkdtemp(prefix="whir-pg-"))  # short: the path of a socket holds 107 bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._account = pwd.getpwnam("postgres") if os.getuid() == 0 else None  # the server refuses to run as root
        if self._account is not None:
            os.chown(self.folder, self._account.pw_uid, self._account.pw_gid)
        self._data = self.folder / "data"
        self._run("initdb", "--pgdata", self._data, "--username", _USER, "--auth", "trust", "--encoding", "UTF8", "--no-sync")
        options = {"listen_addresses": "''", "unix_socket_directories": f"'{self.folder}'", "max_connections": "50"}
        if not durable:
            options |= {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}
            options |= {"wal_level": "minimal", "max_wal_senders": "0", "checkpoint_timeout": "1d", "max_wal_size": "10GB"}
        if preload:
            options |= {"shared_preload_libraries": f"'{preload}'"}
        if explain:
            options |= {"session_preload_libraries": "'auto_explain'", "auto_explain.log_min_duration": "0"}
        with (self._data / "postgresql.conf").open("a") as config:
            config.writelines(f"{name} = {value}\n" for name, value in options.items())

    def _popen(self, program: str, *arguments: str | Path) -> subprocess.Popen[bytes]:
        account = self._account
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [self._programs / program, *arguments],
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )

    def _run(self, program: str, *arguments: str | Path) -> None:
        if self._popen(program, *arguments).wait() != 0:
            raise ProcessEndedError(f"{program}: {self._last_words()}")

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def _last_words(self) -> str:
        return self.log[-500:].strip()

    def start(self) -> None:
        """After a kill it waits for what the killed server's children still hold."""
        probe: list[str | Path] = [self._programs / "pg_isready", "--quiet", "--host", self.folder, "--username", _USER]

        def answers() -> bool:
            if self._process is None or self._process.poll() is not None:
                self._process = self._popen("postgres", "-D", self._data)
            return subprocess.run(probe).returncode == 0

        try:
            wait_until(answers, "PostgreSQL answers", _START_S, 0.1)
        except TooLongError as error:
            raise ProcessEndedError(f"postgres: {self._last_words()}") from error

    def stop(self) -> None:
        """Open connections are cut, what was committed is on the disk."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(_START_S)
            self._process = None

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        return self._process.pid if self._process is not None else None

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://{_USER}@/{name}?host={self.folder}"

    def create(self, name: str, template: str = "template1") -> str:
        """A new database; its URL."""
        self._run("createdb", "--host", self.folder, "--username", _USER, "--template", template, name)
        return self.url(name)

    def __enter__(self) -> Postgres:
        self.start()
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._end(signal.SIGQUIT)  # at once, without a checkpoint: the folder goes as well
        shutil.rmtree(self.folder)
