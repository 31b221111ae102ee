"""A data set that recordings are added to, and the gravity of those that it holds already."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from whir_contracts.recording import (
    INDEX_NAME,
    IndexRow,
    Recording,
    RecordingIndexError,
    append_index,
    load_folder,
    read_index,
    save,
)
from whir_ml.importers import checks

Mounting = tuple[str, str, tuple[str, ...]]


class DataSet:
    """A folder of recordings with its index; made on the first `add` when it is not there yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows = read_index(folder) if (folder / INDEX_NAME).is_file() else []
        self._sources = {row.file: row.source for row in self.rows}
        self._gravity: dict[Mounting, list[NDArray[np.float64]]] | None = None

    def holds(self, name: str, source: str) -> bool:
        """Whether the recording came from this very file already; RecordingIndexError where another one has its name."""
        file = self._file(name)
        known = self._sources.get(file)
        if known is not None and Path(known).resolve() != Path(source).resolve():
            raise RecordingIndexError(self.folder / INDEX_NAME, "file", f"{file} is in this data set already, from {known}")
        return known is not None

    def add(self, rec: Recording, source: str) -> Path:
        """Write a recording and the index with it; the path of the npz."""
        file = self._file(rec.name)
        if file in self._sources:
            raise RecordingIndexError(self.folder / INDEX_NAME, "file", f"{file} is in this data set already")
        save(rec, self.folder / file)
        # At once: a long import that is stopped has an index of all that it wrote.
        self.rows.append(IndexRow.of(rec, file, source))
        append_index(self.folder, self.rows[-1])
        self._sources[file] = source
        if self._gravity is not None:
            self._remember(self._gravity, rec)
        return self.folder / file

    def gravity(self, machine: str, mounting: str, channels: tuple[str, ...]) -> list[NDArray[np.float64]]:
        """Gravity vectors in g, (3,) each, of the recordings with this mounting on this machine."""
        if self._gravity is None:
            self._gravity = {}
            if self.rows:
                for rec in load_folder(self.folder):
                    self._remember(self._gravity, rec)
        return self._gravity.get((machine, mounting, channels), [])

    @staticmethod
    def _remember(known: dict[Mounting, list[NDArray[np.float64]]], rec: Recording) -> None:
        vector = checks.gravity(rec.physical(), rec.unit) if rec.mounting else None
        if vector is not None:
            known.setdefault((rec.machine, rec.mounting, rec.channels), []).append(vector)

    @staticmethod
    def _file(name: str) -> str:
        return f"recordings/{name}.npz"
