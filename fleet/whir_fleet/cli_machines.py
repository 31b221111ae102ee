"""`whir fleet machines`: the registry of machines and measuring points."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from whir_fleet.remote import Remote
from whir_fleet.terminal import JsonOption, UrlOption, columns, one_line, print_json, print_table

app = typer.Typer(help="Machines and measuring points, and which node listens where.", no_args_is_help=True)

MachineArgument = Annotated[str, typer.Argument(metavar="SITE/MACHINE")]
PointArgument = Annotated[str, typer.Argument(metavar="POINT")]


@app.command("import")
@one_line
def import_csv(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV; the first line names the columns")],
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Machines, points and nodes from a CSV file, one line per point; all of it, or nothing and every wrong line named.

    Columns: site, machine, point; and what is known of rated_kw, rated_rpm, iso_group, foundation, blades, teeth, bearing,
    bpfo, bpfi, bsf, ftf, position, axes, node. docs/OPERATIONS.md explains them.

    Example: whir fleet machines import machines.csv
    """
    headers = {"Content-Type": "text/csv"}
    answer = Remote(url).call("POST", "/machines/import", content=file.read_bytes(), headers=headers)
    if as_json:
        print_json(answer)
    else:
        typer.echo(f"{answer['machines']} machines, {answer['points']} points; {answer['assigned']} nodes assigned anew")


@app.command("list")
@one_line
def listed(
    site: Annotated[str | None, typer.Option(help="only this one")] = None, url: UrlOption = None, as_json: JsonOption = False
) -> None:
    """All machines with their points and nodes.

    Example: whir fleet machines list --site plant-1
    """
    found = list(Remote(url).pages("/machines", site=site))
    if as_json:
        print_json(found)
        return
    table = columns("machine", "point", "node", "kW", "rpm", whole="machine")
    for machine in found:
        name = f"{machine['site']}/{machine['name']}"
        power, speed = (f"{value:g}" if value is not None else "–" for value in (machine["rated_kw"], machine["rated_rpm"]))
        for point in machine["points"] or [{"name": "–", "assignments": []}]:
            node = next((a["node"] for a in point["assignments"] if a["until_ms"] is None), "–")
            table.add_row(name, point["name"], node, power, speed)
    print_table(table)


@app.command()
@one_line
def assign(
    machine: MachineArgument,
    point: PointArgument,
    node: Annotated[str, typer.Argument(help="its name; it need not have been heard yet")],
    from_ms: Annotated[int | None, typer.Option(min=0, help="since when, ms since 1970; now when left out")] = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """A node listens at a point from now on: the point keeps its history when a node is replaced.

    Example: whir fleet machines assign plant-1/pump-3 de n17
    """
    answer = Remote(url).call("POST", f"/machines/{machine}/points/{point}/assign", json={"node": node, "from_ms": from_ms})
    if as_json:
        print_json(answer)


@app.command()
@one_line
def release(machine: MachineArgument, point: PointArgument, url: UrlOption = None, as_json: JsonOption = False) -> None:
    """Nobody listens at this point any more; its history stays.

    Example: whir fleet machines release plant-1/pump-3 de
    """
    answer = Remote(url).call("POST", f"/machines/{machine}/points/{point}/release", json={})
    if as_json:
        print_json(answer)
