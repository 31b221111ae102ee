"""`whir data`: list, import, export, look at and simulate recordings."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from whir_contracts import recording
from whir_contracts.recording import DataFolderError, RecordingError
from whir_fleet.errors import FleetError
from whir_ml.data import SetSummary, summarize_all
from whir_ml.errors import MlError

if TYPE_CHECKING:  # SciPy loads in half a second; only the commands that read foreign files wait for it
    from whir_ml.importers import DataSet, Facts, Imported
    from whir_node.velocity import Machine

app = typer.Typer(help="List, import, export, look at and simulate recordings.", no_args_is_help=True, add_completion=False)

JSON_HELP: Final = "Machine-readable output."


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """What is wrong with the user's files is one line on stderr and exit code 1, not a traceback."""
    try:
        yield
    except (RecordingError, MlError) as error:
        reason = str(error)
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    except FleetError as error:
        reason = f"{error.code}: {error}"
    else:
        return
    print(f"error: {reason}", file=sys.stderr)
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
def import_files(
    into: Annotated[Path, typer.Option(help="Data set to add to; made when it is not there.")],
    source: Annotated[
        Path | None, typer.Argument(help="File, or folder of files; whir.toml in a folder says what the files do not.")
    ] = None,
    from_fleet: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Instead of files: the captures of this fleet whose alerts have an outcome; token WHIR_FLEET_TOKEN",
        ),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(help="cwru, paderborn, mafaulda, vbl, ims, wav, npz, edge-impulse or csv; default: what it looks like"),
    ] = None,
    label: Annotated[str | None, typer.Option(help="normal, imbalance, misalignment, bearing, …")] = None,
    sublabel: Annotated[str | None, typer.Option(help="Finer label")] = None,
    unit: Annotated[str | None, typer.Option(help="g, m/s^2 or V")] = None,
    rate: Annotated[float | None, typer.Option(help="Sampling rate in Hz, where there are no time stamps")] = None,
    columns: Annotated[
        str | None, typer.Option(help="Channels by name or number from 1, comma-separated, in axis order; default: all")
    ] = None,
    time: Annotated[str | None, typer.Option(help="Column of time stamps, by name or number (csv)")] = None,
    time_unit: Annotated[str | None, typer.Option(help="s, ms, us or ns; default: as the header says, else s (csv)")] = None,
    full_scale: Annotated[
        float | None, typer.Option(help="Range of the sensor, in the unit; of a WAV file, the value of its largest sample")
    ] = None,
    rpm: Annotated[float | None, typer.Option(help="Shaft speed")] = None,
    load: Annotated[str | None, typer.Option(help="Load, in words")] = None,
    condition: Annotated[
        str | None, typer.Option(help="Condition or session; recordings of one belong on one side of a split")
    ] = None,
    machine: Annotated[str | None, typer.Option(help="Which machine")] = None,
    sensor: Annotated[str | None, typer.Option(help="Which sensor")] = None,
    mounting: Annotated[
        str | None, typer.Option(help="Where and how it sits; recordings of one mounting must agree on gravity")
    ] = None,
    bearing: Annotated[str | None, typer.Option(help="Designation of the bearing, as 6205")] = None,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            help="Take the file although this check refuses it, and say so in the recording; may be repeated: "
            "clipping, stuck_axis, swapped_axis, gap, jitter, too_short, unit"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Add foreign files to a data set, checked; what a folder's import has added already is left alone.

    Example: whir data import pump.csv --into data/pumps --label normal --unit g --rate 3200 --columns ax,ay,az

    Example: whir data import --from-fleet https://whir.plant.example --into data/found
    """
    from whir_ml import importers

    facts = importers.Facts(
        layout=layout,
        label=label,
        sublabel=sublabel,
        unit=unit,
        rate_hz=rate,
        rpm=rpm,
        load=load,
        condition=condition,
        machine=machine,
        sensor=sensor,
        mounting=mounting,
        bearing=bearing,
        full_scale=full_scale,
        columns=None if columns is None else tuple(column.strip() for column in columns.split(",")),
        time=time,
        time_unit=time_unit,
    )
    accepted = set(accept or ())
    with _one_line_errors():
        for name in sorted(accepted - set(importers.CHECKS)):
            raise RecordingError("--accept", name, f"no such check; there are {', '.join(importers.CHECKS)}")
        data_set = importers.DataSet(into)
        if (source is None) == (from_fleet is None):
            raise RecordingError("source", "", "name a file, a folder, or a fleet with --from-fleet URL: one of them")
        if from_fleet is not None:
            _import_captures(from_fleet, facts, accepted, data_set, as_json)
            return
        assert source is not None
        if source.is_dir():
            _import_folder(source, facts, accepted, data_set, as_json)
            return
        done = importers.import_file(source, facts, accepted, data_set=data_set)
        path = data_set.add(done.recording, str(source))
    print(json.dumps(_told(done, path)) if as_json else _line(done, path))


@dataclass(frozen=True)
class _Job:
    """One of many to import: the recording's name, where it comes from, and how it is made."""

    name: str
    source: str
    make: Callable[[], Imported]


def _import_folder(root: Path, facts: Facts, accepted: set[str], data_set: DataSet, as_json: bool) -> None:
    from whir_ml import importers

    found = importers.find_files(root)
    if not found.files:
        raise RecordingError(root, "", "no file there that a layout reads")
    others = ", ".join(str(file.relative_to(root)) for file in found.others)
    left_out = {f"that no layout reads: {others}": len(found.others)} if others else {}

    def job(file: Path) -> _Job:
        make = partial(importers.import_file, file, facts, accepted, root=root, data_set=data_set)
        return _Job(importers.recording_name(file, root), str(file), make)

    _import_all([job(file) for file in found.files], data_set, "files", as_json, left_out=left_out)


def _import_captures(url: str, facts: Facts, accepted: set[str], data_set: DataSet, as_json: bool) -> None:
    from whir_fleet.remote import Remote
    from whir_ml.importers import fleet_captures

    fleet_captures.check_options(facts)
    remote = Remote(url)
    found = fleet_captures.labelled(remote)

    def job(capture: fleet_captures.Capture) -> _Job:
        return _Job(capture.name, capture.source, partial(capture.imported, remote, facts, accepted, data_set))

    jobs = [job(capture) for capture in found.captures]
    _import_all(
        jobs, data_set, "captures", as_json, refused=found.outdated(data_set), left_out=found.left_out, of_what="alerts"
    )


def _import_all(
    jobs: Sequence[_Job],
    data_set: DataSet,
    what: str,
    as_json: bool,
    *,
    refused: Iterable[str] = (),
    left_out: Mapping[str, int] = MappingProxyType({}),
    of_what: str = "files",
) -> None:
    """Import what can be; what is refused is named and does not stop the others, but the exit code is 1."""
    told, refusals, held = [], list(refused), 0
    with _progress() as progress:
        task = progress.add_task("importing", total=len(jobs))
        for job in jobs:
            progress.advance(task)
            try:
                if data_set.holds(job.name, job.source):
                    held += 1
                    continue
                done = job.make()
                told.append(_told(done, data_set.add(done.recording, job.source)))
            except RecordingError as error:
                refusals.append(str(error))
    if as_json:
        report = {"imported": told, "held_already": held, "refused": refusals, "left_out": dict(left_out)}
        print(json.dumps(report, indent=2))
    else:
        known = f", {held} were there already" if held else ""
        print(f"{data_set.folder}: {len(told)} recordings added{known}, {len(refusals)} {what} refused")
        for reason, count in left_out.items():
            print(f"left out: {count} {of_what} {reason}")
    for reason in refusals:
        print(f"error: {reason}", file=sys.stderr)
    if refusals:
        sys.exit(1)


def _told(done: Imported, path: Path) -> dict[str, object]:
    rec = done.recording
    return {
        "file": str(path),
        "layout": done.layout,
        "label": rec.label,
        "sublabel": rec.sublabel,
        "samples": len(rec.samples),
        "rate_hz": rec.rate_hz,
        "channels": rec.channels,
        "unit": rec.unit,
        "rpm": None if math.isnan(rec.rpm) else rec.rpm,
        "accepted": [str(one) for one in done.accepted],
    }


def _line(done: Imported, path: Path) -> str:
    rec = done.recording
    measured = f"{len(rec.samples)} samples at {rec.rate_hz:g} Hz, channels {' '.join(rec.channels)}"
    return "\n".join((f"{path}: {done.layout}, {measured}, {rec.label}", *(f"accepted: {one}" for one in done.accepted)))


@app.command("export")
def export_recordings(
    source: Annotated[Path, typer.Argument(help="Recording (npz), or data set.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to; made when it is not there.")],
    to: Annotated[str, typer.Option(help="Format: edge-impulse.")] = "edge-impulse",
    encoding: Annotated[str, typer.Option(help="json or cbor")] = "json",
    sign: Annotated[bool, typer.Option(help="Sign by HMAC-SHA256 with the key in $EI_HMAC_KEY.")] = False,
) -> None:
    """Write recordings as files that another tool reads: LABEL.NAME.json, one a recording.

    Example: whir data export data/pumps --to edge-impulse --out pumps-ei --encoding cbor
    """
    from whir_ml.importers import edge_impulse

    with _one_line_errors():
        if to != "edge-impulse":
            raise RecordingError(source, "to", f"{to!r} is no format that can be written; there is edge-impulse")
        if encoding not in ("json", "cbor"):
            raise RecordingError(source, "encoding", f"{encoding!r} is neither json nor cbor")
        key = os.environ.get(edge_impulse.KEY_VARIABLE) if sign else None
        if sign and not key:
            raise RecordingError(source, "sign", f"${edge_impulse.KEY_VARIABLE} is not set")
        files = [source / row.file for row in recording.read_index(source)] if source.is_dir() else [source]
        out.mkdir(parents=True, exist_ok=True)
        with _progress() as progress:
            task = progress.add_task("exporting", total=len(files))
            for file in files:
                rec = recording.load(file)
                # Uploads take what stands before the first dot as the label.
                label = rec.label.replace(".", "_")
                (out / f"{label}.{rec.name}.{encoding}").write_bytes(edge_impulse.export(rec, encoding, key))
                progress.advance(task)
    print(f"{out}: {len(files)} files")


def _progress() -> Progress:
    """A bar on the terminal's stderr that leaves nothing behind."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


@app.command("inspect")
def inspect_file(
    file: Annotated[Path, typer.Argument(help="Recording (npz).")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="PNG, SVG or PDF to write; default: PNG of the recording's name, here.")
    ] = None,
    rpm: Annotated[float | None, typer.Option(help="Shaft speed; default: the recording's.")] = None,
    bearing: Annotated[
        str | None, typer.Option(help="Bearing whose tones are marked, as 6205; default: the recording's.")
    ] = None,
    bpfo: Annotated[float | None, typer.Option(help="Outer race, cycles a revolution")] = None,
    bpfi: Annotated[float | None, typer.Option(help="Inner race, cycles a revolution")] = None,
    bsf: Annotated[float | None, typer.Option(help="Ball spin, cycles a revolution")] = None,
    ftf: Annotated[float | None, typer.Option(help="Cage, cycles a revolution")] = None,
    band: Annotated[
        str | None, typer.Option(help="Band of the envelope in Hz, as 2000-4000; default: the most impulsive.")
    ] = None,
    power_kw: Annotated[float | None, typer.Option(help="Rated power of the machine; with the next three, its zone.")] = None,
    group: Annotated[str | None, typer.Option(help="group1, group2 (ISO 20816-3) or class1 (up to 15 kW).")] = None,
    foundation: Annotated[str | None, typer.Option(help="rigid or flexible.")] = None,
    calibrated: Annotated[bool, typer.Option("--calibrated", help="The unit is known to be right.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Draw waveform, spectrum, orders, waterfall and envelope spectrum of one recording.

    Example: whir data inspect ../shared/data/cwru_bearing_12k/recordings/OR007_at_6_load0.npz --bearing 6205 -o look.png
    """
    from whir_ml import inspect

    with _one_line_errors():
        rec = recording.load(file)
        named = {"BPFO": bpfo, "BPFI": bpfi, "BSF": bsf, "FTF": ftf}
        orders = {name: order for name, order in named.items() if order is not None}
        machine = _machine(power_kw, group, foundation, calibrated)
        how = inspect.look(rec, rpm, bearing, orders, None if band is None else _band(band), machine)
        target = out or Path(f"{rec.name}.png")
        seen = inspect.draw(rec, target, how)
    if as_json:
        print(json.dumps({"picture": str(target), **dataclasses.asdict(seen)}, indent=2))
        return
    print(target)
    for channel, m_s in (seen.velocity_m_s or {}).items():
        print(f"{channel}: velocity RMS {m_s * 1000:.3g} mm/s, 10 to {seen.velocity_hz} Hz")
    print(f"zone: {seen.zone}" if seen.zone else f"zone: none: {seen.zone_reason}")
    for channel, tones in seen.tones.items():
        for tone in tones:
            also = "" if tone.shaft_multiple is None else f", or the shaft's {tone.shaft_multiple} x"
            place = f"{tone.order:.3f} x = {tone.hertz:.1f} Hz"
            print(f"{channel}: {tone.name} {place}: {tone.strength:.1f} x its surroundings{also}")


def _machine(power_kw: float | None, group: str | None, foundation: str | None, calibrated: bool) -> Machine:
    from whir_node.velocity import Machine

    try:
        return Machine.stated(power_kw, group, foundation, calibrated)
    except ValueError as error:
        raise MlError(str(error)) from None


def _band(text: str) -> tuple[float, float]:
    low, _, high = text.partition("-")
    try:
        return float(low), float(high)
    except ValueError:
        raise MlError(f"--band: {text!r} is not two frequencies, as 2000-4000") from None


@app.command("config")
def write_config(
    data_set: Annotated[Path, typer.Argument(help="Data set.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; default: the set's name, .toml, beside the set.")
    ] = None,
    leave_out: Annotated[
        str | None,
        typer.Option(help="recording, speed, load, machine, position or session: what judges the model; default: what can be"),
    ] = None,
    held_out: Annotated[str | None, typer.Option(help="Which of them; default: the one with the most recordings.")] = None,
) -> None:
    """Write a training config for a data set: its classes, what its sensors can hear, and what is held out.

    Example: whir data config data/pumps --leave-out machine && whir train data/pumps.toml
    """
    from whir_ml import starter

    with _one_line_errors():
        target = out or data_set.with_name(f"{data_set.name}.toml")
        if target.exists():
            raise MlError(f"{target}: is there already; name another file with --out")
        text = starter.config_for(data_set, target.stem, leave_out, held_out)
        if target.parent.resolve() != data_set.parent.resolve():
            text = text.replace(f'set = "{data_set.name}"', f'set = "{data_set.resolve()}"')
        target.write_text(text, encoding="utf-8")
    print(f"{target}: next is `whir train {target}`")


@app.command("synth")
def synth_set(
    folder: Annotated[Path, typer.Argument(help="Folder to write; must be new or empty.")],
    seed: Annotated[int | None, typer.Option(min=0, help="Same seed, same bytes; default: the configuration's.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML like synth12k.toml; default: synth12k.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; default: one per processor.")] = None,
) -> None:
    """Simulate a data set: a motor with a 3-axis sensor, healthy and faulty.

    Example: whir data synth build/synth12k
    """
    from whir_ml import synth

    with _one_line_errors():
        chosen = synth.load_config(config) if config else synth.default_config()
        with _progress() as progress:
            task = progress.add_task("simulating", total=chosen.recordings)
            count = synth.write(chosen, folder, seed, jobs, lambda: progress.advance(task))
    print(f"{folder}: {count} recordings of {chosen.seconds:g} s, {count * chosen.windows} windows")
