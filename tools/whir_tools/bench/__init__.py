"""`whir bench`: size and speed of the engine on the target's own instructions, quality of the models, throughput of the fleet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True)


@app.callback()
def root() -> None:
    """Measure; results go to build/bench/ as JSON and to the terminal as a table."""


Quick = Annotated[bool, typer.Option("--quick", help="fewer models and seeds: for a look, not for a record")]
AsJson = Annotated[bool, typer.Option("--json", help="print the JSON instead of the table")]


def store(name: str, result: Any) -> Path:
    """Write a bench's result to build/bench/<name>.json."""
    path = Path("build/bench") / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    return path


@app.command()
def engine(
    models: Annotated[list[Path] | None, typer.Argument(help="full-int8 .tflite files; default: the reference and own models")] = None,
    quick: Quick = False,
    as_json: AsJson = False,
) -> None:
    """Flash, RAM and retired instructions of whir_nn on RV32IMC, in QEMU.

    Example: whir bench engine build/export/fft32/model.tflite --json
    """
    from rich.console import Console
    from rich.table import Table

    from whir_tools.bench import rv32 as bench

    try:
        rows = bench.measure(models or bench.default_models(), opts=("-O2",) if quick else ("-O2", "-Os"))
    except bench.EngineBenchError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    path = store("engine", rows) if not models else None
    if as_json:
        typer.echo(json.dumps(rows))
        return
    columns = ["model", "opt", "flash_bytes", "arena_bytes", "state_bytes", "stack_bytes", "model_bytes"]
    columns += ["instructions_setup", "instructions_invoke", "macs", "bit_exact"]
    table = Table(title="whir_nn on RV32IMC (retired instructions in QEMU)")
    for column in columns:
        table.add_column(column.replace("_", " "), justify="right")
    for row in rows:
        table.add_row(*(f"{row[c]:,}" if isinstance(row[c], int) and not isinstance(row[c], bool) else str(row[c]) for c in columns))
    Console().print(table)
    if path:
        typer.echo(f"written: {path}")
    if not all(row["bit_exact"] for row in rows):
        raise typer.Exit(1)
