"""`whir bench quality`: what the models do on recordings that they have never seen, beside their rivals.

One row per data set, rate, split and variant, each by nested validation (whir_ml/protocol.py). A finished row is kept under
build/cache by the hash of code, libraries, configurations, folds and data: a run that was stopped goes on where it was.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from whir_contracts import recording
from whir_contracts.recording import Recording, RecordingError
from whir_ml import artifact, dataset, novelty, protocol, splits
from whir_ml import config as configs
from whir_ml.config import Config
from whir_ml.dataset import Progress
from whir_ml.errors import DatasetError, MlError
from whir_ml.protocol import SEEDS
from whir_ml.scores import windows_per_verdict
from whir_node.errors import CoreError
from whir_tools.bench import common
from whir_tools.bench.common import AsJson, Quick, store

QUICK_SEEDS: Final = (1,)
QUICK_EFFORT: Final = 3  # a look trains for a third of the epochs
# whatever changes a figure when it changes
_MODULES: Final = (
    "backend", "config", "dataset", "evaluate", "export", "networks", "novelty", "protocol", "rivals", "scores",
    "splits", "temperature", "train",
)  # fmt: skip
_LIBRARIES: Final = ("keras", "numpy", "scikit-learn", "scipy", "tensorflow-cpu", "tflite-micro")


class DatasetName(StrEnum):
    """Data sets by the names that quality.json has for them."""

    synth12k = "synth12k"
    adi_cbm = "adi_cbm"
    cwru_bearing_12k = "cwru_bearing_12k"
    lsm6dsox_esp32c3_fan = "lsm6dsox_esp32c3_fan"


@dataclass(frozen=True)
class RowName:
    """What a row is about: the key of quality.json."""

    dataset: str
    rate_hz: int
    split: str
    variant: str = "plain"


# Set and rate → configurations to choose from by inner validation, the simplest first: one layer before two.
CANDIDATES: Final[dict[tuple[str, int], tuple[str, ...]]] = {
    ("synth12k", 1000): ("synth12k-linear", "synth12k"),
    ("adi_cbm", 4000): ("adi4k-linear", "adi4k-orders", "adi4k-orders-level"),
    ("adi_cbm", 1000): ("adi1k-linear", "adi1k-orders"),
    ("cwru_bearing_12k", 12000): (
        "cwru12k-linear",
        "cwru12k-lines",
        "cwru12k-lines-low",
        "cwru12k-whitened",
        "cwru12k",
        "cwru12k-relative",
    ),
    ("lsm6dsox_esp32c3_fan", 445): ("fan445-linear", "fan445-turned", "fan445-whitened", "fan445"),
}
SIMULATED_MACHINES: Final = RowName("synth12k", 1000, "leave_fault_out")  # drawn for the row; there are no folds
QUICK_ROWS: Final = (
    RowName("synth12k", 1000, "by_recording"),
    RowName("adi_cbm", 4000, "by_recording"),
    RowName("adi_cbm", 1000, "by_recording"),
)
ROWS: Final = (
    RowName("synth12k", 1000, "by_recording"),
    *(RowName("adi_cbm", 4000, split) for split in ("by_recording", "leave_speed_out", "leave_load_out")),
    RowName("adi_cbm", 1000, "by_recording"),
    RowName("adi_cbm", 4000, "leave_fault_out"),
    RowName("adi_cbm", 1000, "leave_fault_out"),
    SIMULATED_MACHINES,
    *(RowName("cwru_bearing_12k", 12000, split) for split in ("by_recording", "leave_load_out", "leave_size_out")),
    *(RowName("lsm6dsox_esp32c3_fan", 445, split) for split in ("by_recording", "session_a_to_b", "leave_position_out")),
    *(
        RowName("adi_cbm", rate_hz, split, variant)
        for variant in ("gain_detrended", "no_bearing")
        for rate_hz, split in (
            (4000, "by_recording"),
            (4000, "leave_speed_out"),
            (4000, "leave_load_out"),
            (1000, "by_recording"),
        )
    ),
)
# Balanced accuracy of int8 verdicts to reach; of novelty, the AUROC. Rows without one are there to be compared with.
GOALS: Final[dict[RowName, float]] = {
    RowName("synth12k", 1000, "by_recording"): 1.0,
    RowName("adi_cbm", 4000, "by_recording"): 0.97,
    RowName("adi_cbm", 4000, "leave_speed_out"): 0.97,
    RowName("adi_cbm", 4000, "leave_load_out"): 0.90,
    RowName("adi_cbm", 1000, "by_recording"): 0.95,
    RowName("adi_cbm", 4000, "leave_fault_out"): 0.95,
    RowName("cwru_bearing_12k", 12000, "by_recording"): 0.98,
    RowName("cwru_bearing_12k", 12000, "leave_size_out"): 0.75,
    RowName("lsm6dsox_esp32c3_fan", 445, "by_recording"): 0.90,
    RowName("lsm6dsox_esp32c3_fan", 445, "session_a_to_b"): 0.95,
    RowName("lsm6dsox_esp32c3_fan", 445, "leave_position_out"): 0.85,
}
_FIGURES: Final = (
    "windows_per_verdict", "seeds", "balanced_accuracy_float", "balanced_accuracy_int8", "single_window_int8", "ci95",
    "macro_f1", "recall", "wrong_recordings", "novelty_auroc", "rivals",
)  # fmt: skip

Step = Callable[[str], None]


def run_quality(
    only: Annotated[
        list[DatasetName] | None, typer.Option("--only", help="data sets; may be given several times; default: all there are")
    ] = None,
    quick: Quick = False,
    as_json: AsJson = False,
) -> None:
    """Balanced accuracy on held-out recordings, float and int8, beside logistic regression, LDA and two forests.

    Example: whir bench quality --only adi_cbm
    """
    names = [name for name in (QUICK_ROWS if quick else ROWS) if only is None or name.dataset in only]
    rows: list[dict[str, Any]] = []
    path: Path | None = None
    try:
        with common.progress(as_json) as progress:
            for done, name in enumerate(names):
                row = measured(name, quick, partial(progress, done=done, total=len(names)))
                rows.append({**row, "goal": GOALS.get(name)})
                path = store("quality", rows)  # whatever is finished outlives a run that is stopped
    except (MlError, CoreError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    absent = {row["dataset"]: row["reasons"]["all"] for row in rows if "all" in row["reasons"]}
    if as_json:
        typer.echo(json.dumps(rows))
    else:
        Console(width=None if sys.stdout.isatty() else 150).print(table(rows))
        typer.echo(f"written: {path}" if path else "nothing to measure")
    for dataset_name, reason in absent.items():
        typer.echo(f"left out: {dataset_name}: {reason}", err=True)
    if not rows or (only and absent):
        raise typer.Exit(1)


def measured(name: RowName, quick: bool, step: Step) -> dict[str, Any]:
    """The row, from the cache when it is there; without the recordings, a row of nulls that says so."""
    candidates = [configs.load(candidate) for candidate in CANDIDATES[name.dataset, name.rate_hz]]
    if quick:
        candidates = [c.reduced(epochs=-(-c.training.epochs // QUICK_EFFORT)) for c in candidates]
    seeds = QUICK_SEEDS if quick else SEEDS

    def progress(what: str, done: int, total: int) -> None:
        step(f"{name.dataset} {name.rate_hz} Hz {name.split} {name.variant}: {what}")

    try:
        folder = dataset.folder_of(candidates[0], progress=progress)
        digest = row_digest(name, candidates, folder, seeds)
    except RecordingError as error:
        return {**asdict(name), **dict.fromkeys(_FIGURES), "reasons": {"all": str(error)}}
    cache = dataset.cache_folder()
    kept = cache / "quality" / f"{name.dataset}-{name.rate_hz}-{name.split}-{name.variant}-{digest[:24]}.json"
    if kept.is_file():
        return artifact.read_json(kept, "whir bench quality")
    recs = list(recording.load_folder(folder))
    if name.split == "leave_fault_out":
        return _kept(kept, {**asdict(name), **novelty_row(name, candidates[0], recs, cache, progress)})
    varied = [protocol.variant_of(candidate, recs, name.variant) for candidate in candidates]
    own = varied[0][1]
    # Without level, candidates that differ in nothing else are one.
    chosen_from = list({repr(dataclasses.replace(config, name="")): config for config, _ in reversed(varied)}.values())[::-1]
    folds = splits.read(splits.path_of(name.dataset, name.split))
    row = {**asdict(name), **protocol.row(chosen_from, own, folds, seeds, cache=cache, progress=progress)}
    return _kept(kept, row)


def _kept(path: Path, row: dict[str, Any]) -> dict[str, Any]:
    part = path.with_suffix(".part")
    artifact.write_json(part, row)
    part.replace(path)
    return row


def novelty_row(name: RowName, config: Config, recs: list[Recording], cache: Path, progress: Progress) -> dict[str, Any]:
    """A row that is about novelty alone; the simplest configuration's features, which all of the set share."""
    if name.dataset == "synth12k":
        parts, unseen = list(novelty.of_simulated_machines(config, progress)), list(novelty.UNSEEN_OF_SYNTH)
    else:
        folds = splits.read(splits.path_of(name.dataset, name.split))
        unseen = sorted({rec.label for rec in recs if config.data.class_of(rec) is None})
        parts = list(novelty.of_set(config, recs, folds, cache))
    return {
        **dict.fromkeys(_FIGURES),
        "windows_per_verdict": windows_per_verdict(config),
        **novelty.figures(config, parts, unseen),
        "reasons": {"balanced_accuracy_int8": "the row is about the distance from a baseline, not about classes"},
    }


def row_digest(name: RowName, candidates: Sequence[Config], folder: Path, seeds: Sequence[int]) -> str:
    """SHA-256 over everything that a row depends on."""
    sha = hashlib.sha256(dataset.core_digest().encode() + json.dumps([asdict(name), list(seeds)]).encode())
    for module in _MODULES:
        sha.update((Path(dataset.__file__).parent / f"{module}.py").read_bytes())
    for library in _LIBRARIES:
        sha.update(f"{library} {metadata.version(library)}".encode())
    for candidate in candidates:
        sha.update(artifact.config_digest(candidate).encode())
    path = splits.path_of(name.dataset, name.split)
    if name == SIMULATED_MACHINES:
        sha.update(b"each machine is one of its own")
    elif not path.is_file():
        raise DatasetError(f"{path}: no such list of folds")
    else:
        sha.update(path.read_bytes())
    sha.update(dataset.digest(folder).encode())
    return sha.hexdigest()


def table(rows: Sequence[dict[str, Any]]) -> Table:
    """Percent; wrong: recordings with a wrong verdict in any seed, of all that were held out."""
    shown = Table(title="balanced accuracy of verdicts, %", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("set", "Hz", "split", "variant"):
        shown.add_column(heading, no_wrap=True)
    for heading in ("int8", "goal", "95 %", "float", "window", "lr", "lda", "rf", "et", "wrong"):
        shown.add_column(heading, justify="right", no_wrap=True)
    shown.add_column("chosen")
    for row in rows:
        key = (row["dataset"], str(row["rate_hz"]), row["split"], row["variant"])
        if row["balanced_accuracy_int8"] is None:
            shown.add_row(*key, "–", _goal(row), *["–"] * 8, _novelty(row))
            continue
        low, high = row["ci95"]
        names = [choice["config"] for choice in row["chosen"]]
        shown.add_row(
            *key,
            _percent(row["balanced_accuracy_int8"]),
            _goal(row),
            f"{_percent(low)}–{_percent(high)}",
            _percent(row["balanced_accuracy_float"]),
            _percent(row["single_window_int8"]),
            *(_percent(row["rivals"][rival]["verdict"]) for rival in ("lr", "lda", "rf", "et")),
            f"{len(row['wrong_recordings'])}/{sum(row['recordings'].values())}",
            ", ".join(f"{name} ×{names.count(name)}" for name in dict.fromkeys(names)),
        )
    return shown


def _novelty(row: dict[str, Any]) -> str:
    if row["novelty_auroc"] is None:
        return ""
    healthy = row["novelty"]["against_healthy"]
    return f"AUROC of {', '.join(row['novelty']['unseen'])}: {row['novelty_auroc']:.3f}, against healthy {healthy:.3f}"


def _goal(row: dict[str, Any]) -> str:
    return "" if row.get("goal") is None else _percent(row["goal"])


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
