"""`whir bench`: size and speed of the engine on the target's instructions, quality of the models, load on the fleet."""

from __future__ import annotations

import typer

from whir_tools.bench.engine.command import run_engine
from whir_tools.bench.fleet.command import run_fleet
from whir_tools.bench.quality import run_quality

app = typer.Typer(no_args_is_help=True)


@app.callback()
def root() -> None:
    """Measure; results go to build/bench/ as JSON and to the terminal as a table."""


app.command("engine")(run_engine)
app.command("quality")(run_quality)
app.command("fleet")(run_fleet)
