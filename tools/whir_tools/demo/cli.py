"""`whir demo`: runs the story, prints the closing table, exits 0 only if every check of the database held."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from whir_fleet.service import FleetService
    from whir_tools.demo.story import Outcome


def demo(
    seed: Annotated[int, typer.Option(help="draws the recordings and the accidents")] = 1,
    keep: Annotated[bool, typer.Option("--keep", help="leave everything running at the end, with the URL")] = False,
    broken: Annotated[
        str | None, typer.Option("--break", envvar="DEMO_BREAK", help="take a safeguard out: gate, signature or alert")
    ] = None,
    folder: Annotated[Path, typer.Option(help="everything it writes")] = Path("build/demo"),
) -> None:
    """The main job: train, serve, six nodes, two faults, alerts, a better model rolled out with two accidents on the way.

    Example: whir demo --seed 7
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from rich.console import Console

    from whir_fleet.errors import FleetError
    from whir_ml.errors import MlError
    from whir_tools.demo.story import BREAKS, Demo, DemoError

    console = Console(soft_wrap=True)
    if broken is not None and broken not in BREAKS:
        console.print(f"error: --break takes {', '.join(BREAKS)}, not {broken!r}")
        raise typer.Exit(2)
    story = Demo(console, seed, broken, folder)
    try:
        outcome = story.run(lambda service, outcome: _end(console, service, outcome, keep))
    except (DemoError, FleetError, MlError) as error:
        console.print(f"\n[red]failed[/]  {error}")
        raise typer.Exit(1) from error
    if not all(check.ok for check in outcome.checks):
        raise typer.Exit(1)


def _end(console: Console, service: FleetService, outcome: Outcome, keep: bool) -> None:
    show(console, outcome)
    if keep:
        _keep(console, service)


def _keep(console: Console, service: FleetService) -> None:
    from whir_fleet.auth import Role

    console.print(f"\nRunning at {service.url}; Ctrl-C ends it.")
    console.print(f"   token      {service.create_token('visitor', Role.OPERATOR)}")
    console.print(f"   API        curl -H 'Authorization: Bearer TOKEN' {service.url}/api/v1/alerts")
    broker = service.broker
    address = f"{broker.host} {broker.port} {service.users['subscriber']}"
    console.print(f"   subscribe  {sys.executable} examples/alert_subscriber.py {address}")
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        console.print("ending")


def show(console: Console, outcome: Outcome) -> None:
    """Verdicts against truth, latency, models; then every check."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    title = "\nWhat came of it; latency from the onset, on the node's clock and really"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("node", "truth", "alert", "node", "real", "model", "verdicts right"):
        table.add_column(heading, justify="left" if heading in ("node", "truth", "alert", "model") else "right", no_wrap=True)
    for row in outcome.rows:
        table.add_row(*row)
    console.print(table)
    title = f"\nModels (int8), balanced accuracy on held-out recordings: {outcome.models.data}"
    sizes = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("model", "bundle", "flash", "RAM", "per verdict", "per window"):
        sizes.add_column(heading, justify="left" if heading == "model" else "right", no_wrap=True)
    for bundle in (outcome.models.first, outcome.models.second):
        cost, int8 = bundle.metrics["cost"], bundle.metrics["int8"]
        sizes.add_row(
            bundle.path.stem, f"{bundle.path.stat().st_size:,} B", f"{cost['model_bytes']:,} B",
            f"{cost['arena_bytes']:,} B", f"{int8['verdict']['balanced_accuracy']:.3f}",
            f"{int8['window']['balanced_accuracy']:.3f}",
        )  # fmt: skip
    console.print(sizes)
    console.print("\nFrom the fleet's database:")
    for check in outcome.checks:
        mark = "[green]yes[/]" if check.ok else "[red]NO [/]"
        console.print(f"   {mark}  {check.text}" + (f" ({check.detail})" if check.detail else ""), highlight=False)
    install = os.environ.get("WHIR_INSTALL_S", "-")
    console.print(f"\ninstall {install} s, training {outcome.train_s:.0f} s, run {outcome.run_s:.0f} s", highlight=False)
