"""`whir fleet channels` and `whir fleet deliveries`."""

from __future__ import annotations

from typing import Annotated

import typer

from whir_fleet.remote import Remote
from whir_fleet.terminal import JsonOption, UrlOption, columns, one_line, print_json, print_table

channels_app = typer.Typer(help="Who is told of alerts: webhooks and e-mail.", no_args_is_help=True)
deliveries_app = typer.Typer(help="What was told, and what has not arrived.", no_args_is_help=True)

ChannelArgument = Annotated[str, typer.Argument(metavar="CHANNEL_ID")]


@channels_app.command()
@one_line
def add(
    name: Annotated[str, typer.Argument(help="for people")],
    target: Annotated[str, typer.Argument(help="https://… for a webhook, or an e-mail address")],
    site: Annotated[list[str] | None, typer.Option(help="only of this one; again for more")] = None,
    min_severity: Annotated[str, typer.Option(help="advisory, warning or critical")] = "warning",
    after_s: Annotated[int, typer.Option(min=0, help="only of what nobody has acknowledged for so long")] = 0,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Alerts are told there from now on. Prints the id, and the secret that verifies a webhook's signatures.

    Example: whir fleet channels add on-call https://hooks.plant/whir --site plant-1 --after-s 900
    """
    kind = "webhook" if "://" in target else "email"
    request = {"name": name, "kind": kind, "target": target, "sites": site, "min_severity": min_severity, "after_s": after_s}
    answer = Remote(url).call("POST", "/channels", json=request)
    if as_json:
        print_json(answer)
    else:
        typer.echo("  ".join(part for part in (answer["id"], answer["secret"]) if part))


@channels_app.command("list")
@one_line
def listed(url: UrlOption = None, as_json: JsonOption = False) -> None:
    """All channels.

    Example: whir fleet channels list
    """
    found = Remote(url).call("GET", "/channels")
    if as_json:
        print_json(found)
        return
    table = columns("channel", "name", "target", "sites", "from", "after", whole="channel")
    for c in found:
        sites = ", ".join(c["sites"]) if c["sites"] else "all"
        table.add_row(c["id"], c["name"], c["target"], sites, c["min_severity"], f"{c['after_s']} s")
    print_table(table)


@channels_app.command()
@one_line
def remove(channel: ChannelArgument, url: UrlOption = None) -> None:
    """Nothing is told there any more.

    Example: whir fleet channels remove 01JZ7V0M4Q8W2N5R6T9XAYB3CD
    """
    Remote(url).call("DELETE", f"/channels/{channel}")


@channels_app.command()
@one_line
def test(channel: ChannelArgument, url: UrlOption = None, as_json: JsonOption = False) -> None:
    """Sends a message that tells of nothing; `whir fleet deliveries list` says whether it has arrived.

    Example: whir fleet channels test 01JZ7V0M4Q8W2N5R6T9XAYB3CD
    """
    answer = Remote(url).call("POST", f"/channels/{channel}/test")
    if as_json:
        print_json(answer)


@deliveries_app.command("list")
@one_line
def deliveries(
    state: Annotated[str | None, typer.Option(help="pending, delivered or dead")] = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Newest first; dead ones were given up.

    Example: whir fleet deliveries list --state dead
    """
    found = list(Remote(url).pages("/deliveries", state=state))
    if as_json:
        print_json(found)
        return
    table = columns("id", "channel", "alert", "what", "state", "tries", "error", whole="id")
    for d in found:
        table.add_row(
            str(d["id"]), d["channel_id"], d["alert_id"] or "–", d["what"], d["state"], str(d["attempts"]), d["error"] or ""
        )
    print_table(table)


@deliveries_app.command()
@one_line
def retry(delivery: Annotated[int, typer.Argument(metavar="ID")], url: UrlOption = None, as_json: JsonOption = False) -> None:
    """A dead one goes out again.

    Example: whir fleet deliveries retry 17
    """
    answer = Remote(url).call("POST", f"/deliveries/{delivery}/retry")
    if as_json:
        print_json(answer)
