"""Which recordings are held out together: the lists in configs/folds, and the seeded script that wrote them.

A list has the columns `recording`, `fold` and, where the inner validation cannot go by fold, `inner`. The recordings of one
fold are held out together; fold -1 is never held out. `inner` groups recordings for the choice of a configuration: only
groups of the training part are ever held out there. `python -m whir_ml.splits` writes the lists again; the committed files
are what counts, adi_cbm-by_recording.csv being older than the script.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from whir_contracts import recording
from whir_contracts.recording import Recording
from whir_ml import config as configs
from whir_ml import dataset
from whir_ml.config import Config
from whir_ml.errors import DatasetError

SEED: Final = 20261121
NEVER_HELD_OUT: Final = -1
RECORDING_PARTS: Final = 4


@dataclass(frozen=True)
class Place:
    """Where a recording stands in a list."""

    fold: int
    inner: int


Folds = dict[str, Place]  # by recording


def path_of(set_name: str, split: str) -> Path:
    """The committed list of a set and split."""
    return configs.FOLDER / "folds" / f"{set_name}-{split}.csv"


def read(path: Path) -> Folds:
    """Read a list; without a column `inner` the folds themselves are the inner groups."""
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        folds = {row["recording"]: Place(int(row["fold"]), int(row.get("inner") or row["fold"])) for row in rows}
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such list of folds") from None
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path}: not a CSV of recording,fold[,inner]: {error}") from None
    if len(folds) != len(rows):
        raise DatasetError(f"{path}: a recording stands in it twice")
    return folds


def write(path: Path, folds: Folds) -> None:
    """Write a list, sorted by recording; `inner` only where it says something else than `fold`."""
    with_inner = any(place.inner != place.fold for place in folds.values())
    lines = ["recording,fold,inner" if with_inner else "recording,fold"]
    lines += [f"{name},{p.fold},{p.inner}" if with_inner else f"{name},{p.fold}" for name, p in sorted(folds.items())]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def of_config(config: Config, recs: Sequence[Recording]) -> Folds:
    """What a configuration leaves out together: by its list, or by what its recordings say of themselves.

    Raises:
        DatasetError: the set comes split into train and test; all recordings say the same.
    """
    if config.data.folds is not None:
        return read(config.folder / config.data.folds)
    if config.data.leave_out is None:
        raise DatasetError(f"{config.name}: the set comes split into train and test; there are no folds to go through")
    groups = groups_of(config, recs)
    values = sorted(set(groups.values()))
    fold = {name: values.index(value) for name, value in groups.items()}
    # With two groups nothing but one is left to choose by: then recordings are dealt.
    return _places(fold, None if len(values) > 2 else dealt(recs, lambda rec: config.data.class_of(rec) or "", RECORDING_PARTS))


def groups_of(config: Config, recs: Sequence[Recording]) -> dict[str, str]:
    """What each recording says of what the configuration leaves out, as text; with "recording" the number of its part."""
    what = config.data.leave_out or "recording"
    if what == "recording":
        return {
            name: str(part) for name, part in dealt(recs, lambda rec: config.data.class_of(rec) or "", RECORDING_PARTS).items()
        }
    said = {rec.name: getattr(rec, configs.LEAVE_OUT[what]) for rec in recs}
    groups = {name: f"{value:g}" if isinstance(value, float) else value for name, value in said.items()}
    silent = [name for name, value in groups.items() if value in ("", "nan")]
    if silent:
        raise DatasetError(f"{silent[0]}: does not state its {what}, so that none can be left out (and {len(silent) - 1} more)")
    if len(set(groups.values())) < 2:
        raise DatasetError(
            f"{config.name}: all recordings have the same {what}, {min(groups.values())!r}: leave out something else"
        )
    return groups


def outer(folds: Folds) -> Iterator[tuple[frozenset[str], frozenset[str]]]:
    """Names to train on and names to test, fold by fold."""
    for fold in sorted({place.fold for place in folds.values()} - {NEVER_HELD_OUT}):
        tested = frozenset(name for name, place in folds.items() if place.fold == fold)
        yield frozenset(folds) - tested, tested


def inner(folds: Folds, train: frozenset[str]) -> Iterator[tuple[frozenset[str], frozenset[str]]]:
    """Names to learn from and names to choose by, group by group, all of them out of `train`."""
    for group in sorted({folds[name].inner for name in train}):
        chosen_by = frozenset(name for name in train if folds[name].inner == group)
        yield train - chosen_by, chosen_by


def dealt(recs: Sequence[Recording], kind: Callable[[Recording], str], count: int, seed: int = SEED) -> dict[str, int]:
    """Groups of about equal size with the same mixture of kinds: each kind shuffled, then dealt out in turn."""
    rng = np.random.default_rng(seed)
    groups: dict[str, int] = {}
    for name in sorted({kind(rec) for rec in recs}):
        own = sorted(rec.name for rec in recs if kind(rec) == name)
        for index in rng.permutation(len(own)):
            groups[own[index]] = len(groups) % count
    return groups


def grouped(recs: Sequence[Recording], key: Callable[[Recording], str]) -> dict[str, int]:
    """One group for each value of the key, in the order of the values."""
    values = sorted({key(rec) for rec in recs})
    return {rec.name: values.index(key(rec)) for rec in recs}


def generate(folder: Path, set_name: str) -> dict[str, Folds]:
    """All lists of a data set by split."""
    recs = list(recording.load_folder(folder))
    return {split: folds for split, folds in _SETS[set_name](recs)}


def _places(fold: dict[str, int], inner_groups: dict[str, int] | None = None) -> Folds:
    return {name: Place(number, number if inner_groups is None else inner_groups[name]) for name, number in fold.items()}


def _adi(recs: list[Recording]) -> Iterator[tuple[str, Folds]]:
    # For novelty: each healthy recording once held out, the faults dealt out; the unseen one is always asked, so in no fold.
    known = [rec for rec in recs if rec.label != "bent_shaft"]
    healthy = sum(rec.label == "normal" for rec in known)
    unseen = {rec.name: NEVER_HELD_OUT for rec in recs if rec.label == "bent_shaft"}
    yield "leave_fault_out", _places(dealt(known, lambda rec: rec.label, healthy) | unseen)
    recs = [rec for rec in recs if rec.label != "bent_shaft"]
    yield "leave_speed_out", _places(grouped(recs, lambda rec: f"{rec.rpm:05.0f}"))
    # Training has one load only: whatever is chosen there can be chosen by recordings alone.
    yield "leave_load_out", _places(grouped(recs, lambda rec: rec.load), dealt(recs, lambda rec: rec.label, 4))


def _cwru(recs: list[Recording]) -> Iterator[tuple[str, Folds]]:
    recs = [rec for rec in recs if rec.label == "bearing"]
    yield "by_recording", _places(dealt(recs, lambda rec: _part(r"(\w+?)_\d{3}", rec.sublabel), 4))
    yield "leave_load_out", _places(grouped(recs, lambda rec: rec.load))
    yield "leave_size_out", _places(grouped(recs, lambda rec: _part(r"_(\d{3})", rec.sublabel)))


def _fan(recs: list[Recording]) -> Iterator[tuple[str, Folds]]:
    recs = [rec for rec in recs if rec.label != "off"]
    position = grouped(recs, lambda rec: _part(r"_(P\d)", rec.condition))
    session = {rec.name: NEVER_HELD_OUT if "sessionA" in rec.condition else 0 for rec in recs}
    yield "by_recording", _places(dealt(recs, lambda rec: rec.label, 5))
    yield "session_a_to_b", _places(session, position)
    yield "leave_position_out", _places(position)


def _synth(recs: list[Recording]) -> Iterator[tuple[str, Folds]]:
    """The set comes split; the inner groups are three ranges of speed, since the speeds of the test part are new as well."""
    train = sorted((rec for rec in recs if rec.condition == "train"), key=lambda rec: rec.rpm)
    ranges = {rec.name: 3 * number // len(train) for number, rec in enumerate(train)}
    tested = {rec.name: 0 for rec in recs if rec.condition == "test"}
    yield "by_recording", _places({name: NEVER_HELD_OUT for name in ranges} | tested, ranges | tested)


def _part(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise DatasetError(f"{text!r} does not say {pattern}")
    return found[1]


_SETS: Final[dict[str, Callable[[list[Recording]], Iterator[tuple[str, Folds]]]]] = {
    "adi_cbm": _adi,
    "cwru_bearing_12k": _cwru,
    "lsm6dsox_esp32c3_fan": _fan,
    "synth12k": _synth,
}


def main() -> None:
    """Write the lists of all sets."""
    for name in _SETS:
        folder = dataset.synth_folder() if name == "synth12k" else recording.data_set(name)
        for split, folds in generate(folder, name).items():
            write(path_of(name, split), folds)


if __name__ == "__main__":
    main()
