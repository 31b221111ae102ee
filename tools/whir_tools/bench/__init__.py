"""`whir bench`: size and speed of the engine on the target's instructions, quality of the models, load on the fleet."""

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
    models: Annotated[
        list[Path] | None, typer.Argument(help="full-int8 .tflite files; default: the reference and own models")
    ] = None,
    quick: Quick = False,
    as_json: AsJson = False,
) -> None:
    """Flash, RAM and retired instructions of whir_nn on RV32IMC, in QEMU.

    Example: whir bench engine build/models/fft32/model.tflite --json
    """
    from rich.box import SIMPLE_HEAD
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
    columns = {
        "model": "model", "opt": "opt", "flash_bytes": "flash", "arena_bytes": "arena", "state_bytes": "state",
        "stack_run_bytes": "stack", "model_bytes": "model B", "instructions_setup": "set-up", "instructions_invoke": "invoke",
        "macs": "MACs", "bit_exact": "exact",
    }  # fmt: skip
    table = Table(title="whir_nn on RV32IMC: bytes, and retired instructions in QEMU", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in columns.values():
        table.add_column(heading, justify="left" if heading in ("model", "opt") else "right", no_wrap=True)
    for row in rows:
        cells = (row[name] for name in columns)
        table.add_row(
            *("yes" if c is True else "NO" if c is False else f"{c:,}" if isinstance(c, int) else str(c) for c in cells)
        )
    Console().print(table)
    if path:
        typer.echo(f"written: {path}")
    if not all(row["bit_exact"] for row in rows):
        raise typer.Exit(1)
