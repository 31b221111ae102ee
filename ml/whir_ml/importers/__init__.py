"""Foreign files into recordings: one adapter a layout, facts said once, checks that name what looks wrong.

    path → adapter.read → Foreign → settle (facts) → checks.run → to_recording → DataSet.add

`import_file` is all but the last step, and `import_foreign` what follows the adapter. The errors are drawn in `errors.py`.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from whir_contracts.recording import INDEX_NAME, Recording
from whir_ml.importers import checks, cwru, edge_impulse, generic_csv, ims, mafaulda, npz, paderborn, vbl, wav
from whir_ml.importers.checks import CHECKS
from whir_ml.importers.data_set import DataSet
from whir_ml.importers.errors import Finding, ImportCheckError, ImportFactError, ImportFileError
from whir_ml.importers.facts import FOLDER_TABLE, Facts, gather, table
from whir_ml.importers.foreign import Adapter, Foreign, in_base_units, refuse_broken, settle, to_recording

__all__ = [
    "ADAPTERS",
    "CHECKS",
    "Adapter",
    "DataSet",
    "Facts",
    "Finding",
    "ImportCheckError",
    "ImportFactError",
    "ImportFileError",
    "Imported",
    "adapter_for",
    "find_files",
    "import_file",
    "import_foreign",
]

# The first that a file looks like reads it: layouts with a sign of their own stand before those that take anything.
ADAPTERS: Final[dict[str, Adapter]] = {
    adapter.name: adapter
    for adapter in (
        cwru.ADAPTER,
        paderborn.ADAPTER,
        mafaulda.ADAPTER,
        vbl.ADAPTER,
        ims.ADAPTER,
        wav.ADAPTER,
        npz.ADAPTER,
        edge_impulse.ADAPTER,
        generic_csv.ADAPTER,
    )
}
_MATLAB_73: Final = b"MATLAB 7.3"
_NOT_READ: Final = {
    (".zip", ".7z", ".rar", ".tar", ".tgz", ".gz", ".bz2", ".xz"): "an archive: unpack it and import the folder",
    (".xls", ".xlsx", ".ods"): "a spreadsheet: save it as CSV",
    (".mat",): "holds none of the variables that a known layout has (cwru, paderborn); export the signal as CSV or WAV",
}


@dataclass(frozen=True)
class Imported:
    """One recording, the layout in which it was found, and what was accepted with it."""

    recording: Recording
    layout: str
    accepted: tuple[Finding, ...]


def adapter_for(path: Path, layout: str | None) -> Adapter:
    """The named layout's adapter, or that of the first layout which the file looks like."""
    if layout is not None:
        if layout not in ADAPTERS:
            raise ImportFactError(path, "layout", f"{layout!r} is not one of {', '.join(ADAPTERS)}")
        return ADAPTERS[layout]
    if not path.is_file():
        raise ImportFileError(path, "", "no such file")
    for adapter in ADAPTERS.values():
        if adapter.looks(path):
            return adapter
    raise ImportFileError(path, "", _why_unknown(path))


def _why_unknown(path: Path) -> str:
    """What can be done with a file that no layout reads."""
    with path.open("rb") as file:
        begin = file.read(len(_MATLAB_73))
    if not begin:
        return "is empty"
    if begin == _MATLAB_73:
        return "MATLAB 7.3 (HDF5): save it with -v7"
    for suffixes, hint in _NOT_READ.items():
        if path.suffix.lower() in suffixes:
            return hint
    return f"unknown kind of file; name its layout with --layout ({', '.join(ADAPTERS)})"


def import_file(
    path: Path, facts: Facts, accept: Collection[str] = (), *, root: Path | None = None, data_set: DataSet | None = None
) -> Imported:
    """Read one file and check it.

    `root` is the folder that is imported; sidecars up to it count, and the recording is named by the way from there.
    `data_set` holds the recordings that this one is compared with. Raises ImportCheckError for findings of checks that
    `accept` does not name, RecordingError for everything else that is wrong.
    """
    root = path.parent if root is None else root
    said = gather(path, facts, root)
    adapter = adapter_for(path, said.layout)
    return import_foreign(
        adapter.read(path, said), path, recording_name(path, root), said, accept, layout=adapter.name, data_set=data_set
    )


def import_foreign(
    foreign: Foreign,
    source: Path | str,
    name: str,
    said: Facts,
    accept: Collection[str] = (),
    *,
    layout: str,
    data_set: DataSet | None = None,
) -> Imported:
    """As `import_file`, of what an adapter has read. `source` stands in errors, `name` is the recording's."""
    refuse_broken(foreign, source)
    foreign, said = in_base_units(foreign, source, said)
    settled = settle(foreign, source, said)
    references: Sequence[NDArray[np.float64]] = []
    if data_set is not None and settled.mounting:
        references = data_set.gravity(settled.machine or "", settled.mounting, foreign.channels)
    found = checks.run(foreign, settled, references)
    # What was accepted when a recording of ours was made need not be accepted again.
    before = foreign.kept.accepted if foreign.kept is not None else ()
    refused = [one for one in found if one.check not in accept and str(one) not in before]
    if refused:
        raise ImportCheckError(source, refused)
    return Imported(to_recording(foreign, source, name, settled, found), layout, tuple(found))


def recording_name(path: Path, root: Path) -> str:
    """The way from the root in one word: imbalance/6g/13.1072.csv is imbalance_6g_13.1072, 97.mat is 97.

    Recordings of a data set of ours keep their names.
    """
    own = root / "recordings"
    inside = path.relative_to(own if (root / INDEX_NAME).is_file() and own in path.parents else root)
    last = inside.stem if any(inside.name.lower().endswith(suffix) for suffix in _suffixes()) else inside.name
    return "_".join("_".join((*inside.parts[:-1], last)).split())


@dataclass(frozen=True)
class Folder:
    """What lies in a folder: files that a layout reads, and what is left alone; sidecars and hidden files are neither."""

    files: list[Path]
    others: list[Path]


def find_files(root: Path) -> Folder:
    """All files under a folder, by name.

    Raises:
        ImportFactError: a line of a table of facts is about no file that is there.
    """
    found, tables = Folder([], []), list[Path]()
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(one for one in folders if not one.startswith(".") and one != "__MACOSX")
        for name in sorted(names):
            path = Path(folder) / name
            if name == FOLDER_TABLE:
                tables.append(path)
            elif not name.startswith(".") and name != INDEX_NAME and path.suffix.lower() != ".toml":
                adapter = next((one for one in ADAPTERS.values() if one.looks(path)), None)
                (found.files if adapter is not None and adapter.in_folder(path) else found.others).append(path)
    for sidecar in tables:
        ways = [file.relative_to(sidecar.parent).as_posix() for file in found.files if sidecar.parent in file.parents]
        for line in table(sidecar):
            if not any(fnmatchcase(way, line.pattern) for way in ways):
                raise ImportFactError(sidecar, "file", f"line {line.number}: {line.pattern} is no file that is imported")
    found.files.sort()
    return found


def _suffixes() -> set[str]:
    return {suffix for adapter in ADAPTERS.values() for suffix in adapter.suffixes}
