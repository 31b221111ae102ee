"""One service for each data folder: a second one would take over the leases of the first and run beside it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from whir_fleet.errors import DataDirInUseError


class DataLock:
    """An exclusive lock on `serve.lock` in the folder. The kernel releases it when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: int | None = None

    def acquire(self) -> None:
        """DataDirInUseError while another holds it."""
        file = os.open(self._folder / "serve.lock", os.O_RDWR | os.O_CREAT, 0o600)  # not inherited by the embedded broker
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(file)
            raise DataDirInUseError(self._folder) from error
        self._file = file

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
