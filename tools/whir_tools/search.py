"""`whir search`: the search of whir_ml with the emulated RV32 of `whir bench engine` as its scales."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from whir_contracts.recording import RecordingError
from whir_ml import config as configs
from whir_ml import dataset
from whir_ml import search as stage
from whir_ml.cli import DataRoot
from whir_ml.errors import MlError
from whir_ml.search import Cost, Found
from whir_node.errors import CoreError
from whir_tools.bench import common
from whir_tools.bench.common import AsJson
from whir_tools.bench.engine.errors import EngineBenchError
from whir_tools.bench.engine.rv32 import RV32
from whir_tools.bench.engine.subject import pipeline_subject
from whir_tools.bench.engine.target import Build, require

OPT = "-O2"
SHOWN = 12  # rows of the table


def on_rv32(folder: Path) -> Cost:
    """What the model in `folder` takes, built with its operators alone and run on emulated RV32IMC."""
    subject = pipeline_subject(folder)
    with tempfile.TemporaryDirectory() as scratch:
        found = RV32.measure(subject, Build(OPT), Path(scratch))
    assert subject.model is not None
    if found.different:
        raise EngineBenchError(f"{folder.name}: {found.different} of {found.vectors} vectors differ on the target")
    return Cost(
        flash_bytes=found.flash_bytes + len(subject.model.data),
        ram_bytes=found.arena_bytes + found.state_bytes + max(found.stack_setup_bytes, found.stack_run_bytes),
        instructions=int(found.notes["instructions_features"] + found.notes["instructions_infer"]),
    )


def search(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="To start from: a name in ml/configs, or a TOML file.")],
    trials: Annotated[int, typer.Option(min=1, help="How many, those of earlier runs with them.")] = 40,
    flash: Annotated[int, typer.Option(min=1, help="Bytes at most: code, tables, weights.")] = 64 * 1024,
    ram: Annotated[int, typer.Option(min=1, help="Bytes at most: tensors, window, stack.")] = 16 * 1024,
    instructions: Annotated[int, typer.Option(min=1, help="RV32 instructions for a window, at most.")] = 250_000,
    out: Annotated[Path | None, typer.Option("--out", help="Its folder; default: build/search/NAME.")] = None,
    data: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Look for the window, rate, features and network that tell best within a budget, measured on emulated RV32IMC.

    Judged by inner validation on the training recordings alone. Stopped (Ctrl-C, after the trial under way) or run again, it
    goes on where it was. It leaves a plot of what is best for how much work, and each of those as a config that `whir train`
    takes.

    Example: whir search adi4k --trials 40 --ram 6144 --instructions 100000
    """
    budget = Cost(flash, ram, instructions)
    try:
        require(RV32.tools)
        with common.progress(as_json) as progress, _interrupted() as stop:
            base = configs.load(config)
            stage.check(base)
            folder = out or dataset.cache_folder().parent / "search" / base.name
            split = dataset.load(base, dataset.folder_of(base, data, progress))
            study = stage.open_study(base, folder, budget)
            stage.run(configs.path_of(config), base, split, on_rv32, study, budget, trials, progress, stop)
        ended, rows = stage.ended(study), stage.found(study, budget)
        if not rows and not stop():
            raise stage.SearchError(f"{base.name}: no trial gave a network: {stage.reason(study)}")
        if rows:
            stage.plot(rows, budget, base.name, folder / "pareto.png")
        for row in rows:
            if row.best:
                stage.save(row, base, folder / f"{row.document['model']['name']}.toml")
    except (MlError, RecordingError, CoreError, EngineBenchError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows]))
    elif rows:
        Console(width=None if sys.stdout.isatty() else 128).print(_table(rows, budget))
        fit = sum(row.fits for row in rows)
        typer.echo(f"{fit} of {len(rows)} fit" + ("; a star: nothing that fits is both better and cheaper" if fit else ""))
        typer.echo(f"written: {folder / 'pareto.png'}" + (", and each star as a config beside it" if fit else ""))
    if ended < trials:
        typer.echo(f"stopped after {ended} of {trials} trials: run it again to go on", err=True)
        raise typer.Exit(130)
    if not any(row.fits for row in rows):
        typer.echo(f"error: {base.name}: none of {len(rows)} networks fits the budget: allow more, or search longer", err=True)
        raise typer.Exit(1)


@contextmanager
def _interrupted() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed. It does not break in, as TensorFlow makes errors of its own of that; a second one ends it."""
    asked = False

    def ask(number: int, frame: object) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        typer.echo("\nstopping after this trial; Ctrl-C once more: at once", err=True)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


def _table(rows: list[Found], budget: Cost) -> Table:
    """Wide enough for its figures on a terminal of 80 columns: what the network is folds in the last one."""
    most = asdict(budget)
    shown = Table(
        title="inner validation, balanced accuracy in %; cost on RV32IMC",
        caption="budget: {flash_bytes:,} B flash, {ram_bytes:,} B RAM, {instructions:,} instructions; > is over it".format(
            **most
        ),
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for heading in ("", "trial", "verdicts", "windows", "flash", "RAM", "instructions"):
        shown.add_column(heading, justify="right", no_wrap=True)
    shown.add_column("window, features, network")
    for row in rows[:SHOWN]:
        shown.add_row(
            "*" if row.best else "",
            str(row.number),
            f"{100 * row.verdicts:.1f}",
            f"{100 * row.windows:.1f}",
            *(("> " if value > most[name] else "") + f"{value:,}" for name, value in asdict(row.cost).items()),
            _network(row.document),
        )
    return shown


def _network(document: dict[str, Any]) -> str:
    features = document["features"]
    layers = "-".join(str(layer["units"]) for layer in document["layer"]) or "one layer"
    bands = f"{len(features['band_edges_bins']) - 1} bands"
    return ", ".join(
        [f"{features['window_samples']} at {features['rate_hz']:,} Hz", " + ".join([bands, *features["stats"]]), layers]
    )
