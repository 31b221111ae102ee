"""A data folder serves one service at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from whir_fleet.data_lock import DataLock
from whir_fleet.errors import DataDirInUseError


def test_a_second_lock_is_refused_by_one_line_and_the_folder_is_free_after_the_first(tmp_path: Path) -> None:
    first, second = DataLock(tmp_path), DataLock(tmp_path)
    first.acquire()
    with pytest.raises(DataDirInUseError, match=f"{tmp_path}: in use by another process .* --data-dir"):
        second.acquire()
    second.release()  # holds nothing, so frees nothing
    with pytest.raises(DataDirInUseError):
        second.acquire()
    first.release()
    second.acquire()
    second.release()
