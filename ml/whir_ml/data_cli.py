"""`whir data`: list, import, look at and simulate recordings."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from whir_contracts import recording
from whir_contracts.recording import DataFolderError, RecordingError
from whir_ml.data import SetSummary, summarize_all
from whir_ml.errors import MlError

app = typer.Typer(help="List, import, look at and simulate recordings.", no_args_is_help=True, add_completion=False)

JSON_HELP = "Machine-readable output."


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """What is wrong with the user's files is one line on stderr and exit code 1, not a traceback."""
    try:
        yield
    except (RecordingError, MlError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


@app.command("list")
def list_sets(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of data sets, or one data set; default: the data folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Show data sets and their recordings by label.

    Example: whir data list
    """
    with _one_line_errors():
        root = folder or recording.data_root()
        if root is None:
            raise DataFolderError("WHIR_DATA", "", "no data folder: set it, or name a folder: `whir data list FOLDER`")
        if not root.is_dir():
            raise DataFolderError(root, "", "no such folder")
        sets = summarize_all(root)
        if not sets:
            raise DataFolderError(root, "", f"no data set there (a folder with {recording.INDEX_NAME})")
    if as_json:
        print(json.dumps([_plain(summary) for summary in sets], indent=2))
        return
    table = Table(title=f"Data sets in {root}", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("set / label", no_wrap=True)
    for heading in ("recordings", "seconds"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("measured / finer labels", overflow="fold")
    for summary in sets:
        rates = ", ".join(f"{rate:g}" for rate in summary.rates_hz)
        measured = f"{' '.join(summary.channels)} in {summary.unit} at {rates} Hz"
        seconds = sum(label.seconds for label in summary.labels)
        table.add_row(f"[bold]{summary.name}", str(summary.recordings), f"{seconds:.0f}", measured)
        for label in summary.labels:
            finer = ", ".join(f"{name} {count}" for name, count in label.sublabels.items() if name != label.label)
            end = label is summary.labels[-1]
            table.add_row(f"  {label.label}", str(label.recordings), f"{label.seconds:.0f}", finer, end_section=end)
    Console().print(table)


def _plain(summary: SetSummary) -> dict[str, object]:
    return {**dataclasses.asdict(summary), "folder": str(summary.folder), "recordings": summary.recordings}


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="CSV, WAV, or npz in the recording format.")],
    into: Annotated[Path, typer.Option(help="Data set to add it to; made when it is not there.")],
    label: Annotated[str, typer.Option(help="normal, imbalance, misalignment, bearing, … (CSV, WAV)")] = "",
    unit: Annotated[str, typer.Option(help="g, m/s^2 or V (CSV, WAV)")] = "g",
    rate: Annotated[float, typer.Option(help="Sampling rate in Hz (CSV)")] = 0.0,
    columns: Annotated[
        str, typer.Option(help="Columns by header or number from 1, comma-separated, in axis order (CSV)")
    ] = "1,2,3",
    full_scale: Annotated[float, typer.Option(help="Value of the largest sample, in the unit (WAV)")] = 1.0,
    sublabel: Annotated[str, typer.Option(help="Finer label")] = "",
    rpm: Annotated[float, typer.Option(help="Shaft speed, where known")] = math.nan,
    load: Annotated[str, typer.Option(help="Load, in words")] = "",
    condition: Annotated[str, typer.Option(help="Condition or session; recordings of one belong on one side of a split")] = "",
) -> None:
    """Add a foreign file to a data set.

    Example: whir data import pump.csv --into data/pumps --label normal --rate 3200 --columns ax,ay,az
    """
    from whir_ml import importers

    with _one_line_errors():
        kind = file.suffix.lower()
        if kind == ".npz":
            rec = importers.from_npz(file)
        elif kind in (".csv", ".tsv", ".txt", ".wav"):
            if not label:
                raise RecordingError(file, "label", f"a {kind[1:]} file does not say what it shows: give --label")
            facts = importers.Facts(label, unit, sublabel, rpm, load, condition)
            if kind == ".wav":
                rec = importers.from_wav(file, full_scale, facts)
            else:
                rec = importers.from_csv(file, rate, [column.strip() for column in columns.split(",")], facts)
        else:
            raise RecordingError(file, "", "unknown kind of file; CSV, WAV and npz can be imported")
        path = importers.add(rec, into, str(file))
    print(f"{path}: {len(rec.samples)} samples at {rec.rate_hz:g} Hz, channels {' '.join(rec.channels)}, {rec.label}")


@app.command("inspect")
def inspect_file(
    file: Annotated[Path, typer.Argument(help="Recording (npz).")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="PNG to write; default: the recording's name, here.")] = None,
) -> None:
    """Draw waveform, spectrum and orders of one recording to a PNG.

    Example: whir data inspect ../shared/data/adi_cbm/recordings/1800_GoB_BS_BaLo_WA_00lb.npz -o look.png
    """
    from whir_ml import inspect

    with _one_line_errors():
        rec = recording.load(file)
        target = out or Path(f"{rec.name}.png")
        inspect.draw(rec, target)
    print(target)


@app.command("synth")
def synth_set(
    folder: Annotated[Path, typer.Argument(help="Folder to write; must be new or empty.")],
    seed: Annotated[int | None, typer.Option(help="Same seed, same bytes; default: the configuration's.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML like synth12k.toml; default: synth12k.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Processes; default: one per processor.")] = None,
) -> None:
    """Simulate a data set: a motor with a 3-axis sensor, healthy and faulty.

    Example: whir data synth build/synth12k
    """
    from whir_ml import synth

    with _one_line_errors():
        chosen = synth.load_config(config) if config else synth.default_config()
        columns = (TextColumn("simulating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task("simulating", total=chosen.recordings)
            count = synth.write(chosen, folder, seed, jobs, lambda: progress.advance(task))
    print(f"{folder}: {count} recordings of {chosen.seconds:g} s, {count * chosen.windows} windows")
