"""`whir train | export | evaluate | bundle`: the stages from a config to a signed file, in one folder per model."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from whir_contracts.recording import RecordingError, load_folder
from whir_ml import artifact, bundle, dataset
from whir_ml import config as configs
from whir_ml.artifact import Artifact
from whir_ml.config import Config
from whir_ml.dataset import Progress
from whir_ml.errors import ArtifactError, ExportError, MlError
from whir_node.bundle import inspect
from whir_node.crypto import KeyFileError, load_private_key, load_public_key
from whir_node.errors import CoreError
from whir_node.operators import config_header, outline

ConfigName = Annotated[str, typer.Argument(metavar="CONFIG", help="A name in ml/configs, or the path of a TOML file.")]
ModelFolder = Annotated[Path | None, typer.Option("--out", help="The model's folder; default: build/models/NAME.")]
DataRoot = Annotated[Path | None, typer.Option("--data", help="Folder of data sets; default: $WHIR_DATA or ../shared/data.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


def train(
    config: ConfigName,
    out: ModelFolder = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of the config's.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the config's.")] = None,
    data: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Train a network on the training recordings of a config.

    Example: whir train adi4k
    """
    with _one_line_errors(), progress_bars(as_json) as progress:
        chosen = configs.load(config).reduced(epochs=epochs, seed=seed)
        from whir_ml.temperature import calibrated

        split = dataset.load(chosen, dataset.folder_of(chosen, data, progress))
        cache = dataset.cache_folder()
        examples = dataset.training_examples(chosen, split, cache=cache, progress=progress)
        plain = dataset.examples(chosen, split.train, cache=cache, progress=progress)
        trained = calibrated(chosen, examples, plain, progress)
        folder = _folder(chosen, out)
        trained.save(folder)
    facts = {
        "folder": str(folder),
        "recordings": len(split.train),
        "windows": len(examples.target),
        "parameters": int(trained.model.count_params()),
        "loss": trained.losses[-1],
        "temperature": trained.temperature,
    }
    told = f"loss {trained.losses[-1]:.4f} on {len(examples.target):,} windows, temperature {trained.temperature:g}"
    _tell(as_json, facts, f"{chosen.name}: {told} → {folder}")


def export(
    config: Annotated[str | None, typer.Argument(metavar="CONFIG", help="A name in ml/configs, or a TOML file.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder; default: build/models/NAME.")] = None,
    data: DataRoot = None,
    as_json: AsJson = False,
    plain_c: Annotated[
        Path | None,
        typer.Option("--c", metavar="MODEL.tflite", help="Write this model as plain C instead."),
    ] = None,
) -> None:
    """Quantize a trained network to a full-int8 .tflite and prove it equal in whir_nn and TensorFlow Lite Micro.

    Example: whir export adi4k
    Example: whir export --c build/models/fft32/model.tflite -o src
    """
    if plain_c is not None:
        _export_c(plain_c, out, as_json)
        return
    with _one_line_errors():
        if config is None:
            raise ExportError("name a config, or a .tflite with --c")
        chosen = configs.load(config)
    with _one_line_errors(), progress_bars(as_json) as progress:
        folder = _folder(chosen, out)
        from whir_ml.export import export as run
        from whir_ml.train import Trained

        trained = Trained.load(chosen, folder)
        plain, held_out = _both_sides(chosen, data, progress)
        exported = run(trained, plain, held_out)
        exported.artifact(chosen, held_out).save(folder)
    facts = {"folder": str(folder), **exported.described()}
    agreement = exported.agreement
    _tell(
        as_json,
        facts,
        f"{chosen.name}: {len(exported.model):,} bytes, arena {exported.arena_bytes:,}, {' → '.join(exported.operators)}\n"
        f"whir_nn = tflite-micro on every byte of {agreement.windows:,} windows; TFLite differs on "
        f"{agreement.tflite_different_windows}, by at most {agreement.tflite_lsb_max} LSB",
    )


def _export_c(model: Path, out: Path | None, as_json: bool) -> None:
    from whir_ml import c_export

    with _one_line_errors():
        name = re.sub(r"\W", "_", model.parent.name if model.stem == "model" else model.stem).lower()
        folder = out or model.parent
        plain = c_export.write(model.read_bytes(), folder, name)
    source = folder / f"{name}.c"
    facts = {"file": str(source), "table_bytes": plain.table_bytes, "work_bytes": plain.work_bytes}
    _tell(as_json, facts, f"{source}: {plain.table_bytes:,} bytes of constants, {plain.work_bytes:,} of work memory")


def evaluate(
    config: ConfigName,
    out: ModelFolder = None,
    folds: Annotated[
        bool, typer.Option("--folds", help="Also hold out each of the config's folds in turn, five seeds, beside rivals.")
    ] = False,
    data: DataRoot = None,
    weeks: Annotated[
        int, typer.Option(min=0, help="Also so many simulated machine-weeks in service, drifting; a minute each, then kept.")
    ] = 0,
    replay: Annotated[
        Path | None, typer.Option("--replay", help="Instead: play this folder's dated recordings through the model.")
    ] = None,
    events: Annotated[Path | None, typer.Option(help="With --replay: CSV date,machine,fault of past repairs.")] = None,
    machines: Annotated[
        Path | None, typer.Option(help="With --replay: CSV machine,power_kw,group,foundation, for severity zones.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare float, int8 and emulated RV32 on held-out recordings; writes evaluation.json and evaluation.html; of a
    plant's past, history.json and history.html.

    Example: whir evaluate adi4k
    Example: whir evaluate adi4k --replay plant/recordings-2026 --events events.csv --machines machines.csv
    """
    if replay is not None or events is not None or machines is not None:
        _replay(config, out, replay, events, machines, as_json)
        return
    with _one_line_errors(), progress_bars(as_json) as progress:
        chosen = configs.load(config)
        folder = _folder(chosen, out)
        from whir_ml import evaluate as stage
        from whir_ml import in_service, novelty, protocol, report
        from whir_ml.export import export as run
        from whir_ml.train import Trained
        from whir_node.features import quantize
        from whir_tools.bench.engine import on_target

        trained = Trained.load(chosen, folder)
        shipped = Artifact.load(folder)
        plain, held_out = _both_sides(chosen, data, progress)
        others = [rec for rec in load_folder(dataset.folder_of(chosen, data)) if chosen.data.class_of(rec) is None]
        exported = run(trained, plain, held_out)
        if exported.model != shipped.model:
            raise ArtifactError(f"{folder}: model.tflite is of another training: run `whir export {chosen.name}` again")
        figures = stage.evaluate(trained, exported, plain, held_out, progress=progress)
        inputs = quantize(exported.params, held_out.features)
        figures["on_target"] = on_target.compared(folder / "model.tflite", inputs, exported.run(held_out.features))
        figures["novelty"] = novelty.of_model(chosen, plain.recordings, held_out.recordings, others)
        figures["features"] = novelty.of_healthy(chosen, plain.recordings, held_out.recordings)
        if weeks:
            node = in_service.Node(exported.model, exported.params)
            figures["in_service"] = in_service.in_service(chosen, node, dataset.cache_folder(), weeks, progress)
        if folds:
            figures["folds"] = protocol.of_config(chosen, dataset.folder_of(chosen, data), progress)
        artifact.write_json(folder / "evaluation.json", figures)
        (folder / "evaluation.html").write_text(report.page(figures), encoding="utf-8")
    lines = []
    for kind in ("float", "int8"):
        window, verdict = (figures[kind][unit]["balanced_accuracy"] for unit in ("window", "verdict"))
        size = f"{figures[kind]['bytes']:,} bytes"
        low, high = figures[kind]["ci95"]
        accuracy = f"balanced accuracy: windows {window:.3f}, verdicts {verdict:.3f} (95 %: {low:.3f} to {high:.3f})"
        lines.append(f"{chosen.name} {kind:5} {size:>15}, {accuracy}")
    there = figures["on_target"]
    differ = there.get("reason") or f"{there['different']} of {there['windows']} windows differ"
    lines.append(f"on RV32IMC, emulated: {differ}")
    reliability = figures["reliability"]
    lines.append(
        f"temperature {reliability['temperature']:g}: calibration error of verdicts {reliability['before']['ece']:.3f} before, "
        f"{reliability['float']['ece']:.3f} after, {reliability['int8']['ece']:.3f} as int8"
    )
    lines += [_alerting(figures[key]) for key in ("on_recordings", "in_service") if key in figures]
    if figures["novelty"]["novelty_auroc"] is not None:
        unseen = ", ".join(figures["novelty"]["novelty"]["unseen"])
        lines.append(f"never seen: {unseen}: AUROC {figures['novelty']['novelty_auroc']:.3f}")
    if folds:
        found = figures["folds"]
        scores = {kind: found[f"balanced_accuracy_{kind}"] for kind in ("float", "int8")}
        scores |= {name: rival["verdict"] for name, rival in found["rivals"].items()}
        lines.append("folds, verdicts: " + ", ".join(f"{name} {value:.3f}" for name, value in scores.items()))
    lines += [f"wrong: {row['recording']} said {', '.join(row['said'])}" for row in figures["wrong_recordings"]]
    _tell(as_json, figures, "\n".join([*lines, str(folder / "evaluation.html")]))


def _alerting(found: dict[str, Any]) -> str:
    heard = f"{found['hours']} simulated hours" if found["simulated"] else f"{found['healthy_seconds']:g} healthy seconds"
    seen = found["detection"]
    delay = (
        f", {seen['delay_s']['median']:g} s after the onset (median), {seen['delay_s']['max']:g} s at most"
        if seen["found"]
        else ""
    )
    return (
        f"profile plant, {heard}: {len(found['alerts'])} false alerts, at most {found['upper95_per_week']:,g} a week (95 %); "
        f"{seen['found']} of {seen['cases']} faults told{delay}" + _unseen(found)
    )


def _unseen(found: dict[str, Any]) -> str:
    seen = found.get("unseen")
    return f"; of those that no class is for {seen['found']} of {seen['cases']}" if seen else ""


def _replay(
    config: str, out: Path | None, folder: Path | None, events: Path | None, machines: Path | None, as_json: bool
) -> None:
    with _one_line_errors(), progress_bars(as_json) as progress:
        if folder is None or events is None:
            raise ArtifactError("--replay FOLDER and --events events.csv belong together")
        from whir_ml import history, history_page

        chosen = configs.load(config)
        kept = _folder(chosen, out)
        found = history.replay(chosen, Artifact.load(kept), folder, events, machines, progress)
        artifact.write_json(kept / "history.json", found)
        page = kept / "history.html"
        page.write_text(history_page.page(found), encoding="utf-8")
    lines = [f"{found['from'][:10]} to {found['to'][:10]}: {found['seen']} of {len(found['repairs'])} repairs were told before"]
    for row in found["repairs"]:
        silent = "no alert" if row["heard"] else "no recording in the 90 days before"
        told = silent if row["alert"] is None else f"{row['alert']}, {row['days_before']:g} days before"
        lines.append(f"{row['date'][:10]} {row['machine']} {row['fault']}: {told}")
    lines += [f"false: {row['date'][:10]} {row['machine']} {row['fault']} ({row['recording']})" for row in found["false"]]
    _tell(as_json, found, "\n".join([*lines, _false_alerts(found), str(page)]))


def _false_alerts(found: dict[str, Any]) -> str:
    if found["false_per_week"] is None:
        return "false alerts a week: not known, no machine has two recordings within a week"
    a_week = f"{found['false_per_week']:g} false alerts per machine-week, at most {found['upper95_per_week']:,g} (95 %)"
    return f"{a_week}, in {found['machine_weeks']:g} machine-weeks of recordings; gaps of more than a week left out"


bundle_app = typer.Typer(help="Pack, sign and read what a node takes over the air.", no_args_is_help=True, add_completion=False)


@bundle_app.command("build")
def bundle_build(
    config: ConfigName,
    key: Annotated[Path, typer.Option(help="PEM file of the P-256 private key; `whir bundle new-key` makes one.")],
    key_id: Annotated[int, typer.Option(min=0, help="By which the nodes know its public key.")] = 1,
    version: Annotated[str, typer.Option(help="The model's version.")] = "1.0.0",
    counter: Annotated[int, typer.Option(min=1, help="Security counter; a node takes none below its own.")] = 1,
    file: Annotated[Path | None, typer.Option(help="Where to; default: NAME-VERSION.whir in the model's folder.")] = None,
    out: ModelFolder = None,
    as_json: AsJson = False,
) -> None:
    """Pack an exported and evaluated model, check it against its hardware class, and sign it.

    Example: whir bundle build adi4k --key build/key.pem --version 1.1.0 --counter 2
    """
    with _one_line_errors():
        chosen = configs.load(config)
        folder = _folder(chosen, out)
        evaluation = artifact.read_json(folder / "evaluation.json", f"whir evaluate {chosen.name}")
        loaded = Artifact.load(folder)
        packed = bundle.pack(
            chosen,
            loaded,
            bundle.summary(evaluation),
            key=load_private_key(key),
            key_id=key_id,
            version=version,
            counter=counter,
        )
        target = file or folder / f"{chosen.name}-{version}.whir"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(packed)
        operators = outline(loaded.model).operator_set
        header = folder / "whir_nn_ops.h"
        header.write_text(config_header(chosen.name, operators))
    facts = {
        "file": str(target),
        "bytes": len(packed),
        "features_hash": loaded.params.features_hash().hex(),
        "operators": list(operators),
        "config_header": str(header),
    }
    _tell(
        as_json,
        facts,
        f"{target}: {len(packed):,} bytes, signed by key {key_id}\n"
        f"operators: {', '.join(operators)}; only these in a build with -include {header}",
    )


@bundle_app.command("inspect")
def bundle_inspect(
    file: Annotated[Path, typer.Argument(help="A bundle.")],
    public_key: Annotated[Path, typer.Option(help="PEM file of the public key that it must be signed with.")],
    key_id: Annotated[int, typer.Option(min=0, help="Of that key.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Check a bundle as a node would and show what it says.

    Example: whir bundle inspect adi4k-1.0.0.whir --public-key build/key.pub.pem
    """
    with _one_line_errors():
        info = inspect(file.read_bytes(), {key_id: load_public_key(public_key)})
    facts = {
        "model": info.model_name,
        "version": info.model_version,
        "counter": info.security_counter,
        "hardware_class": info.hardware_class,
        "scope": info.scope.name.lower(),
        "classes": list(info.classes),
        "features_hash": info.features_hash.hex(),
        "kernel_sets": [kernel.name.lower() for kernel in info.kernel_sets if kernel.name],
        "bytes": info.total_bytes,
        "model_bytes": len(info.model),
        "arena_bytes": info.arena_bytes,
        "golden_bytes": len(info.golden_tensors) + len(info.golden_windows),
    }
    _tell(as_json, facts, "\n".join(f"{name:15} {value}" for name, value in facts.items()))


@bundle_app.command("new-key")
def bundle_new_key(
    file: Annotated[Path, typer.Argument(help="PEM file to write; the public key goes beside it as .pub.pem.")],
    as_json: AsJson = False,
) -> None:
    """Make a P-256 key pair for signing; an existing key is never overwritten.

    Example: whir bundle new-key build/key.pem
    """
    with _one_line_errors():
        public = bundle.new_key(file)
    _tell(as_json, {"private": str(file), "public": str(public)}, f"{file} (keep it secret), {public} (for nodes and fleet)")


def _folder(config: Config, out: Path | None) -> Path:
    return out or dataset.cache_folder().parent / "models" / config.name


def _both_sides(config: Config, data: Path | None, progress: Progress) -> tuple[dataset.Examples, dataset.Examples]:
    """Plain windows of training and of held-out recordings."""
    split = dataset.load(config, dataset.folder_of(config, data, progress))
    cache = dataset.cache_folder()
    train_side = dataset.examples(config, split.train, cache=cache, progress=progress)
    return train_side, dataset.examples(config, split.held_out, cache=cache, progress=progress)


def _tell(as_json: bool, facts: dict[str, Any], text: str) -> None:
    print(json.dumps(facts, indent=1, sort_keys=True) if as_json else text)


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """What the user can mend is one line on stderr and exit code 1, not a traceback."""
    try:
        yield
    except (MlError, RecordingError, CoreError, KeyFileError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


@contextmanager
def progress_bars(quiet: bool) -> Iterator[Progress]:
    """One progress bar per piece of work, on the terminal's stderr, gone when done."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    console = Console(stderr=True)
    # Into a file, a bar that is gone would still leave an empty line.
    with Bars(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bars:
        tasks: dict[str, Any] = {}

        def progress(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield progress
