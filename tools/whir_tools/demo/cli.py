"""`whir demo`: runs the story, prints the closing table, exits 0 only if every check of the database held."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from whir_fleet.service import FleetService
    from whir_tools.demo.lan import LanBroker
    from whir_tools.demo.story import Outcome

BOARD_MODEL = "synth12k-linear"  # the rig's recordings are in volts, which no board's sensor measures


def demo(
    seed: Annotated[int, typer.Option(help="draws the recordings and the accidents")] = 1,
    keep: Annotated[
        bool, typer.Option("--keep", help="leave everything running at the end; boards on the LAN can join by TLS")
    ] = False,
    broken: Annotated[
        str | None, typer.Option("--break", envvar="DEMO_BREAK", help="take a safeguard out: gate, signature or alert")
    ] = None,
    folder: Annotated[Path, typer.Option(help="everything it writes")] = Path("build/demo"),
    desk: Annotated[Path, typer.Option(help="with --keep: the folder of `whir provision dev`")] = Path("whir-desk"),
) -> None:
    """The main job: train, serve, six nodes, two faults, alerts, a better model rolled out with two accidents on the way.

    Example: whir demo --seed 7
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from rich.console import Console

    from whir_fleet.errors import FleetError
    from whir_ml.errors import MlError
    from whir_tools.demo.lan import LanBroker, LanError, mosquitto
    from whir_tools.demo.story import BREAKS, Demo, DemoError

    console = Console(soft_wrap=True)
    if broken is not None and broken not in BREAKS:
        console.print(f"error: --break takes {', '.join(BREAKS)}, not {broken!r}")
        raise typer.Exit(2)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what runs is stopped on the way out
    program = mosquitto() if keep else None
    try:
        shutil.rmtree(folder, ignore_errors=True)
        with LanBroker(program, folder / "broker", desk) if program else nullcontext() as lan:
            story = Demo(console, seed, broken, folder, lan)
            outcome = story.run(lambda service, outcome: _end(console, service, outcome, desk, lan, keep))
    except (DemoError, LanError, FleetError, MlError) as error:
        console.print(f"\n[red]failed[/]  {error}")
        raise typer.Exit(1) from error
    if not all(check.ok for check in outcome.checks):
        raise typer.Exit(1)


def _end(console: Console, service: FleetService, outcome: Outcome, desk: Path, lan: LanBroker | None, keep: bool) -> None:
    show(console, outcome)
    if keep:
        with _board(console, service, desk, lan) if lan is not None else nullcontext():
            _keep(console, service, service.users if lan is None else lan.users)


@contextmanager
def _board(console: Console, service: FleetService, desk: Path, lan: LanBroker) -> Iterator[None]:
    """A board of one's own may join, with a model for sensors in g. The desk signs it with a key of its own."""
    from cryptography.hazmat.primitives.asymmetric import ec

    from whir_fleet.auth import Role
    from whir_ml.pipeline import build_bundle
    from whir_tools.provision.desk import Target, offered

    with console.status(f"training {BOARD_MODEL}, for boards"):
        key = ec.generate_private_key(ec.SECP256R1())
        model = build_bundle(BOARD_MODEL, key=key, key_id=1, version="1.0.0", counter=1).path.resolve()
    token = service.create_token("desk", Role.ADMIN)
    with offered(desk, Target(lan.url, str(lan.certificate.resolve()), str(model), service.url, token)):
        console.print(f"\n{lan.url} listens on the LAN with TLS, for boards with a certificate of {desk}; a board joins by")
        console.print("   whir provision dev --port /dev/ttyUSB0 --wifi SSID", highlight=False)
        yield


def _keep(console: Console, service: FleetService, users: dict[str, str]) -> None:
    from whir_fleet.auth import Role

    console.print(f"\nRunning at {service.url}; Ctrl-C ends it.")
    console.print(f"   token      {service.create_token('visitor', Role.OPERATOR)}")
    console.print(f"   console    {service.url}/console/")
    console.print(f"   API        curl -H 'Authorization: Bearer TOKEN' {service.url}/api/v1/alerts")
    broker = service.broker
    address = f"{broker.host} {broker.port} {users['subscriber']}"
    console.print(f"   subscribe  {sys.executable} examples/alert_subscriber.py {address}")
    if service.embedded is not None:
        console.print("   boards     none can join: that takes mosquitto, apt-get install mosquitto", highlight=False)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell has started it in the background
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
