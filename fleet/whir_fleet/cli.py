"""`whir fleet`: nodes, bundles, tokens, and the commands of the other `cli_` files."""

from __future__ import annotations

import getpass
import json
import time
from pathlib import Path
from typing import Annotated

import typer

from whir_fleet import cli_alerts, cli_bridge, cli_captures, cli_machines, cli_notifications, cli_service
from whir_fleet.remote import Remote
from whir_fleet.terminal import ConfigOption, DataOption, JsonOption, UrlOption, columns, one_line, print_json, print_table

app = typer.Typer(help="The fleet service: serve, ingest, upload, tokens.", no_args_is_help=True, add_completion=False)
token_app = typer.Typer(help="API tokens.", no_args_is_help=True)
app.add_typer(cli_service.app)
app.add_typer(token_app, name="token")
app.add_typer(cli_bridge.app, name="bridge")
app.add_typer(cli_machines.app, name="machines")
app.add_typer(cli_alerts.app, name="alerts")
app.add_typer(cli_alerts.maintenance_app, name="maintenance")
app.add_typer(cli_captures.app, name="captures")
app.add_typer(cli_notifications.channels_app, name="channels")
app.add_typer(cli_notifications.deliveries_app, name="deliveries")


@app.command()
@one_line
def upload(
    bundle: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="a signed bundle or firmware package")],
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Upload a bundle or a firmware package; the server checks it with the node's own code.

    Example: whir fleet upload build/synth12k.whir
    """
    answer = Remote(url).call("POST", "/artifacts", content=bundle.read_bytes())
    if as_json:
        print_json(answer)
    else:
        typer.echo(
            f"{answer['sha256']}  {answer['model']} {answer['model_version']}, "
            f"counter {answer['counter']}, {answer['bytes']} bytes"
        )


@app.command()
@one_line
def nodes(url: UrlOption = None, as_json: JsonOption = False) -> None:
    """All nodes with their model and what was lost on the way.

    Example: whir fleet nodes --json
    """
    found = list(Remote(url).pages("/nodes"))
    if as_json:
        print_json(found)
        return
    table = columns("node", "state", "model", "received", "lost", whole="node")
    for n in found:
        model = f"{n['model']} {n['model_version'] or ''}".rstrip() if n["model"] else "–"
        name = f"{n['site']}/{n['name']}"
        state = f"{n['presence']}, {n['state']}" if n["state"] else n["presence"]
        table.add_row(name, state, model, str(n["received"]), str(n["lost"]))
    print_table(table)


@app.command()
@one_line
def command(
    node: Annotated[str, typer.Argument(metavar="SITE/NODE")],
    what: Annotated[
        str,
        typer.Argument(help="measure, capture, identify (it blinks), commission, thresholds, restart, rollback, factory_reset"),
    ],
    raise_permille: Annotated[int | None, typer.Option("--raise", help="thresholds: a fault is raised from here on")] = None,
    clear_permille: Annotated[
        int | None, typer.Option("--clear", help="thresholds: it clears below; both 0: the bundle's")
    ] = None,
    seconds: Annotated[int | None, typer.Option(help="commission (default a day of running) and identify: how long")] = None,
    ttl_s: Annotated[int, typer.Option(min=1, help="what the node has not got by then it must not do")] = 300,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell a node something; it goes out again after each status of the node until it is answered or too late.

    Example: whir fleet command plant-1/pump-3 measure
    """
    asked = {"c": what, "ttl_s": ttl_s}
    more = {"raise_permille": raise_permille, "clear_permille": clear_permille, "seconds": seconds}
    asked |= {name: value for name, value in more.items() if value is not None}
    answer = Remote(url).call("POST", f"/nodes/{node}/commands", json=asked)
    if as_json:
        print_json(answer)
    else:
        typer.echo(f"{answer['id']}  {answer['c']}: {answer['state']}")


@app.command()
@one_line
def tag(
    node: Annotated[str, typer.Argument(metavar="SITE/NODE")],
    tags: Annotated[list[str] | None, typer.Argument(help="all that it is to have; none takes them away")] = None,
    url: UrlOption = None,
) -> None:
    """Gives a node tags, by which rollouts choose.

    Example: whir fleet tag plant-1/pump-3 pilot
    """
    typer.echo(" ".join(Remote(url).call("PUT", f"/nodes/{node}/tags", json=tags or [])))


@app.command("pass-through")
@one_line
def pass_through(
    artifact: Annotated[str, typer.Argument(help="SHA-256 of an uploaded bundle, or its beginning")],
    needed: Annotated[bool, typer.Option("--needed/--not-needed", help="or no longer")] = True,
    url: UrlOption = None,
) -> None:
    """Marks a bundle that every older node has to run before it takes a newer one.

    Example: whir fleet pass-through 9f86d081
    """
    answer = Remote(url).call("PATCH", f"/artifacts/{artifact}", json={"pass_through": needed})
    typer.echo(f"{answer['model']} {answer['model_version']}: {'pass-through' if answer['pass_through'] else 'may be skipped'}")


@app.command("audit")
@one_line
def audit_log(
    since_days: Annotated[float, typer.Option(min=0, help="how far back")] = 30,
    url: UrlOption = None,
) -> None:
    """Who changed what, newest first: one JSON object a line, for a file or another log.

    Example: whir fleet audit --since-days 90 > audit.jsonl
    """
    since_ms = time.time_ns() // 1_000_000 - round(since_days * 86_400_000)
    for entry in Remote(url).pages("/audit", since_ms=max(0, since_ms)):
        typer.echo(json.dumps(entry))


@token_app.command("create")
@one_line
def token_create(
    role: Annotated[str, typer.Option(help="viewer, operator or admin")],
    label: Annotated[str, typer.Option(help="whose it is")] = "cli",
    days: Annotated[int, typer.Option(min=1, max=3650, help="until it expires")] = 365,
    site: Annotated[list[str] | None, typer.Option(help="the role is granted on this one only; again for more")] = None,
    area: Annotated[list[str] | None, typer.Option(help="only for this part of the API, e.g. alerts; again for more")] = None,
    config: ConfigOption = None,
    data_dir: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Makes a token in the database, beside the running service or before its first start. It is shown this once.

    Example: export WHIR_FLEET_TOKEN=$(whir fleet token create --role operator --site plant-1 --days 90)
    """
    from whir_fleet import audit, auth
    from whir_fleet.auth import Role
    from whir_fleet.clock import now_ms
    from whir_fleet.db import Database
    from whir_fleet.settings import Settings

    if role.upper() not in Role.__members__:
        raise typer.BadParameter("viewer, operator or admin", param_hint="--role")
    if unknown := set(area or ()) - set(auth.AREAS):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: not one of {', '.join(auth.AREAS)}", param_hint="--area")
    settings = Settings.load(config, data_dir=data_dir)
    settings.prepare()
    database = Database(settings.url)
    database.migrate()
    with database.write() as session:
        row, token = auth.create(
            session, label, Role[role.upper()], now_ms(), days=days, sites=site or None, areas=area or None
        )
        audit.note(session, object=row.id, label=label, role=row.role, sites=row.sites, areas=row.areas)
        audit.record(session, now_ms(), f"{getpass.getuser()} at the console", "tokens.create")
    database.close()
    if as_json:
        print_json({"id": row.id, "label": row.label, "role": row.role, "token": token})
    else:
        typer.echo(token)
