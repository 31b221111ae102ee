"""The command and its table."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from whir_tools.bench import common
from whir_tools.bench.common import AsJson, Quick, store
from whir_tools.bench.engine.errors import EngineBenchError, ToolMissingError
from whir_tools.bench.engine.peer import compare

# The system to beat: flash, RAM and time per verdict as it was published, on a chip and at a clock of its own.
PUBLISHED_PATH = "97 KB", "4.1 KB", "1.2 ms"
WHOLE_PATH_MHZ = 160


class TargetName(StrEnum):
    """Targets by the names that engine.json has for them."""

    rv32 = "rv32"
    xtensa = "xtensa"
    avr = "avr"
    host = "host"


COLUMNS = {
    "model": "model", "variant": "variant", "opt": "opt", "flash_bytes": "flash", "arena_bytes": "arena",
    "state_bytes": "state", "stack_bytes": "stack", "model_bytes": "model B", "instructions_setup": "set-up",
    "instructions_invoke": "invoke", "macs": "MACs", "bit_exact": "exact",
}  # fmt: skip


def run_engine(
    models: Annotated[
        list[Path] | None,
        typer.Argument(help=".tflite files; default: the reference and own models, and the pipeline"),
    ] = None,
    target: Annotated[
        list[TargetName] | None, typer.Option(help="may be given several times; default: all whose tools are installed")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="fail where a figure is above ci/size_budget.toml by 1 %")] = False,
    update_budget: Annotated[bool, typer.Option("--update-budget", help="take the figures over into that file")] = False,
    quick: Quick = False,
    as_json: AsJson = False,
) -> None:
    """Flash, RAM and instructions of whir_nn, every output byte compared in the guest.

    Example: whir bench engine build/models/fft32/model.tflite --target rv32 --json
    """
    from whir_tools.bench.engine import budget
    from whir_tools.bench.engine import rows as bench
    from whir_tools.bench.engine.model import default_models
    from whir_tools.bench.engine.target import require

    def report(line: str) -> None:
        typer.echo(line, err=True)

    try:
        targets = list(_installed(target, bench.TARGETS, require))
        opts, variants = (("-O2",), ("default",)) if quick else (bench.OPTS, tuple(bench.VARIANTS))
        work = bench.jobs(models or default_models(), targets, opts, variants, not models, report)
        with common.progress(as_json) as progress:
            rows = bench.measure(work, progress)
        over = budget.exceeded(rows, budget.read()) if check else []
        if update_budget:
            old = budget.read() if budget.BUDGET.exists() else {}
            budget.BUDGET.write_text(budget.text(budget.updated(rows, old)))
        headers = _write_headers({job.subject.model for job in work if job.subject.model is not None})
    except EngineBenchError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    path = None if models else store("engine", rows)
    if as_json:
        typer.echo(json.dumps(rows))
    else:
        console = Console(width=None if sys.stdout.isatty() else 128)
        for name in targets:
            console.print(_table(bench.TARGETS[name].what, [row for row in rows if row["target"] == name]))
        if any(compare(rows)):
            console.print(_against_peer(rows))
        if any(row["model"] == "pipeline" for row in rows):
            console.print(_whole_path(rows))
        for row in rows:
            if "cycles_invoke" in row["notes"]:
                notes = row["notes"]
                typer.echo(
                    f"{row['model']} {row['target']} {row['opt']}: {notes['cycles_invoke']:,} cycles, "
                    f"{notes['ms_invoke_at_16_mhz']} ms at 16 MHz, {notes['ram_bytes']:,} bytes of RAM with stack"
                )
        for line in headers:
            typer.echo(line)
        if path:
            typer.echo(f"written: {path}")
    for line in over:
        typer.echo(f"over budget: {line}", err=True)
    wrong = [f"{row['target']} {row['model']} {row['opt']}" for row in rows if not row["bit_exact"]]
    for name in wrong:
        typer.echo(f"error: {name}: other bytes than expected", err=True)
    if over or wrong:
        raise typer.Exit(1)


def _installed(wanted: Sequence[TargetName] | None, targets: dict[str, Any], require: Any) -> Iterator[str]:
    """Targets asked for must be there; of all of them, those that are not are named and left out."""
    for name in targets if wanted is None else [t.value for t in wanted]:
        try:
            require(targets[name].tools)
        except ToolMissingError as error:
            if wanted is not None:
                raise
            typer.echo(f"left out: {name}: {error}", err=True)
            continue
        yield name


def _write_headers(models: Iterable[Any]) -> list[str]:
    """Config headers and planned models under build/bench/, and a line about each model."""
    from whir_node.engine import planned

    lines = []
    for model in sorted(models, key=lambda m: str(m.name)):
        path = Path("build/bench") / f"whir_nn_ops_{model.name}.h"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(model.config_header())
        with_plan = path.with_name(f"{model.name}.planned.tflite")
        with_plan.write_bytes(planned(model.data))
        operators = ", ".join(model.operator_set)
        lines.append(f"{model.name}: {operators}; only these in a build with -include {path}; with its plan: {with_plan}")
    return lines


def _table(what: str, rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(title=f"whir_nn on {what}", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name, heading in COLUMNS.items():
        table.add_column(heading, justify="left" if name in ("model", "variant", "opt") else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in COLUMNS))
    return table


def _against_peer(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(title="against TensorFlow Lite Micro on RV32IMC", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("model", "figure", "TFLM", "whir_nn", "of it"):
        table.add_column(heading, justify="left" if heading in ("model", "figure") else "right", no_wrap=True)
    for model, figure, theirs, ours in compare(rows):
        table.add_row(model, figure, f"{theirs:,}", f"{ours:,}", f"{100 * ours / theirs:.0f} %")
    return table


def _whole_path(rows: Sequence[dict[str, Any]]) -> Table:
    """Condition, window, features, inference and permille together, beside a published system."""
    table = Table(title="from a sample to a verdict", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("", "opt", "flash", "RAM", "instructions", "of them conditioning", f"at {WHOLE_PATH_MHZ} MHz, 1 per cycle"):
        table.add_column(heading, justify="left" if heading in ("", "opt") else "right", no_wrap=True)
    for row in rows:
        if row["model"] == "pipeline" and row["target"] == "rv32" and row["variant"] == "default":
            ram = row["arena_bytes"] + row["state_bytes"] + row["stack_bytes"]
            instructions = row["instructions_invoke"]
            ms = f"{instructions / WHOLE_PATH_MHZ / 1000:.2f}"
            flash = row["flash_bytes"] + row["model_bytes"]
            table.add_row(
                "ours, RV32IMC",
                row["opt"],
                f"{flash:,}",
                f"{ram:,}",
                f"{instructions:,}",
                f"{row['notes']['instructions_condition']:,}",
                f"{ms} ms",
            )
    table.add_row("published", "–", *PUBLISHED_PATH[:2], "–", "–", PUBLISHED_PATH[2])
    return table


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
