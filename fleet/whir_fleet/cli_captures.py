"""`whir fleet captures`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from whir_fleet.remote import Remote
from whir_fleet.terminal import JsonOption, UrlOption, columns, one_line, print_json, print_table

app = typer.Typer(help="Captures: the raw signal at alerts, on command and once a day.", no_args_is_help=True)


@app.command("list")
@one_line
def listed(
    site: Annotated[str | None, typer.Option(help="only this one")] = None,
    node: Annotated[str | None, typer.Option(help="only this one")] = None,
    alert: Annotated[str | None, typer.Option(metavar="ALERT_ID", help="only of this one")] = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Captures, newest first. `whir fleet command SITE/NODE capture` asks for one.

    Example: whir fleet captures list --node pump-3
    """
    found = list(Remote(url).pages("/captures", site=site, node=node, alert_id=alert))
    if as_json:
        print_json(found)
        return
    table = columns("capture", "node", "machine", "trigger", "seconds", "when", whole="capture")
    for c in found:
        machine = c["machine"] + (f" {c['point']}" if c["point"] else "")
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(c["at_ms"] / 1000))
        seconds = f"{c['samples'] * 1000 / c['rate_mhz']:.1f}"
        table.add_row(c["id"], f"{c['site']}/{c['node']}", machine, c["trigger"], seconds, when)
    print_table(table)


@app.command()
@one_line
def get(
    capture: Annotated[str, typer.Argument(metavar="CAPTURE_ID")],
    to: Annotated[Path, typer.Argument(help="file to write; its ending says how: .csv, .wav or .uff")],
    url: UrlOption = None,
) -> None:
    """Write the samples of a capture to a file.

    Example: whir fleet captures get 01JZ7V0M4Q8W2N5R6T9XAYB3CD pump-3.csv
    """
    to.write_bytes(Remote(url).get(f"/captures/{capture}/file", format=to.suffix.removeprefix(".")))
