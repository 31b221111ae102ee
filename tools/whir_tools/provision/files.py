"""Files that survive a power cut whole or not at all, and a place for secrets that no disk ever sees."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from whir_tools.provision.errors import DiskError

_RAM = Path("/dev/shm")  # noqa: S108  held in memory: gone with the power


def write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replaces `path` in one step, with `mode` from the first byte on.

    Raises:
        DiskError: full, or not writable.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise disk_error(error, path) from error


def disk_error(error: OSError, path: Path) -> DiskError:
    """An OSError of the station's own disk, in words."""
    if error.errno == errno.ENOSPC:
        return DiskError(f"{path}: the disk is full; make room and run again")
    return DiskError(f"{path}: {error.strerror or error}")


def _scratch_root(station: Path) -> Path:
    name = hashlib.sha256(str(station.resolve()).encode()).hexdigest()[:12]
    root = _RAM if _RAM.is_dir() else Path(tempfile.gettempdir())
    return root / f"whir-provision-{os.getuid()}-{name}"


def sweep_scratch(station: Path) -> None:
    """Takes away what a killed run left; call while holding the station's lock."""
    shutil.rmtree(_scratch_root(station), ignore_errors=True)


@contextlib.contextmanager
def scratch(station: Path) -> Iterator[Path]:
    """A folder (0700, in memory where there is /dev/shm) for keys and settings on their way to a program; gone afterwards."""
    root = _scratch_root(station)
    try:
        root.mkdir(mode=0o700, exist_ok=True)
        if root.stat().st_uid != os.getuid():
            raise DiskError(f"{root}: belongs to another user; remove it")
        folder = Path(tempfile.mkdtemp(dir=root))
    except OSError as error:
        raise disk_error(error, root) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
