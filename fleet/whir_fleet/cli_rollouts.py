"""`whir rollout`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from whir_fleet.remote import Remote
from whir_fleet.terminal import JsonOption, UrlOption, columns, one_line, print_json, print_table

app = typer.Typer(
    help="Roll a bundle, a firmware, settings or certificates out in groups.", no_args_is_help=True, add_completion=False
)


@app.command()
@one_line
def create(
    artifact: Annotated[
        str | None, typer.Argument(help="SHA-256 of an uploaded bundle or firmware package, or its beginning")
    ] = None,
    setting: Annotated[list[str] | None, typer.Option(help="key=value, in place of an artifact; again for more")] = None,
    certificates: Annotated[bool, typer.Option("--certificates", help="in place of an artifact: new certificates")] = False,
    name: Annotated[str, typer.Option(help="for people")] = "rollout",
    group: Annotated[
        list[str] | None, typer.Option(help="a number of nodes, a percentage reached, or a selector; again for the next")
    ] = None,
    canary: Annotated[list[str] | None, typer.Option(help="a node that comes first; again for more")] = None,
    where: Annotated[list[str] | None, typer.Option(help="site=…, hardware=…, tag=… or node=…; again for more")] = None,
    node: Annotated[list[str] | None, typer.Option(help="exactly these; no late joiners")] = None,
    success_percent: Annotated[int, typer.Option(min=1, max=100, help="of a group before the next starts")] = 100,
    abort_percent: Annotated[int, typer.Option(min=1, max=100, help="failures of a group that abort")] = 50,
    abort_min: Annotated[int, typer.Option(min=1, help="but not fewer than this many")] = 1,
    silence_s: Annotated[int, typer.Option(min=1, help="no result within this counts as failure")] = 3600,
    trial_s: Annotated[int, typer.Option(min=1, help="the node reverts what it could not confirm within this")] = 600,
    on_abort: Annotated[str, typer.Option(help="keep or revert")] = "keep",
    window: Annotated[str | None, typer.Option(help="start nodes only then: `sat,sun 22:00-05:00 Europe/Berlin`")] = None,
    machine: Annotated[str, typer.Option(help="start nodes only whose machine is running, or off")] = "any",
    rate_per_min: Annotated[int | None, typer.Option(min=1, help="start no more in a minute")] = None,
    jitter_s: Annotated[int, typer.Option(min=0, help="each node starts after a random part of this")] = 0,
    observe_s: Annotated[int, typer.Option(min=0, help="watch a group's verdicts for this long before the next one")] = 0,
    shadow_s: Annotated[int, typer.Option(min=0, help="run it beside the old model on the first group for so long first")] = 0,
    start: Annotated[bool, typer.Option(help="at once, unless somebody has to approve it")] = True,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """A rollout: which bundle, firmware, settings or certificates, which nodes, in which groups.

    Example: whir rollout create 9f86d081 --canary pump-3 --group 1 --group 25% --group 100% --observe-s 3600

    Example: whir rollout create --setting broker=mqtts://broker.plant:8883 --group 1 --group 100%
    """
    if (artifact is not None) + bool(setting) + certificates != 1:
        raise typer.BadParameter("give either an artifact, --setting key=value, or --certificates")
    if certificates:
        artifact = Remote(url).call("POST", "/artifacts/certificates")["sha256"]
    elif artifact is None:
        values = dict(_setting(text) for text in setting or [])
        artifact = Remote(url).call("POST", "/artifacts/settings", json={"values": values})["sha256"]
    request = {
        "name": name,
        "sha256": artifact,
        "groups": group or ["1", "100%"],
        "canary": canary or [],
        "where": where or [],
        "nodes": node or [],
        "success_percent": success_percent,
        "abort_percent": abort_percent,
        "abort_min": abort_min,
        "silence_s": silence_s,
        "trial_s": trial_s,
        "on_abort": on_abort,
        "window": window,
        "machine": machine,
        "rate_per_min": rate_per_min,
        "jitter_s": jitter_s,
        "observe_s": observe_s,
        "shadow_s": shadow_s,
        "start": start,
    }
    _show(Remote(url).call("POST", "/rollouts", json=request), as_json)


def _setting(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign:
        raise typer.BadParameter(f"--setting {text}: give key=value")
    return key, value


@app.command()
@one_line
def rehearse(
    artifact: Annotated[str, typer.Argument(help="SHA-256 of an uploaded bundle, or its beginning")],
    sign: Annotated[bool, typer.Option("--sign", help="(an admin) take the faults that it missed upon yourself")] = False,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """What the bundle says to the captures that the fleet has kept, before the first node. A missed fault blocks its start.

    Example: whir rollout rehearse 9f86d081
    """
    place = f"/artifacts/{artifact}/rehearsal"
    found = Remote(url).call("POST", f"{place}/sign" if sign else place)
    if as_json:
        print_json(found)
        return
    table = columns("machine", "was", "now", "change", "outcome", whole="machine")
    for row in sorted(found["rows"], key=lambda row: (not row["missed"], row["change"] == "same", row["site"], row["machine"])):
        change = "missed" if row["missed"] else row["change"]
        table.add_row(f"{row['site']}/{row['machine']}", row["was"], row["now"], change, row["outcome"] or "")
    print_table(table)
    signed = f", signed for by {found['signed_by']}" if found["signed_by"] else ""
    typer.echo(f"{len(found['rows'])} captures, {found['missed']} confirmed faults missed{signed}")


@app.command("list")
@one_line
def listed(url: UrlOption = None, as_json: JsonOption = False) -> None:
    """All rollouts, newest first.

    Example: whir rollout list
    """
    found = list(Remote(url).pages("/rollouts"))
    if as_json:
        print_json(found)
        return
    table = columns("id", "name", "kind", "state", "reason", whole="id")
    for rollout in found:
        table.add_row(rollout["id"], rollout["name"], rollout["kind"], rollout["state"], rollout["reason"] or "")
    print_table(table)


@app.command()
@one_line
def show(rollout: str, url: UrlOption = None, as_json: JsonOption = False) -> None:
    """One rollout with its groups and nodes.

    Example: whir rollout show 01JZ7V0M4Q8W2N5R6T9XAYB3CD
    """
    _show(Remote(url).call("GET", f"/rollouts/{rollout}"), as_json)


def _verb(name: str, text: str) -> None:
    @app.command(name, help=f"{text}\n\nExample: whir rollout {name} 01JZ7V0M4Q8W2N5R6T9XAYB3CD")
    @one_line
    def run(rollout: str, url: UrlOption = None, as_json: JsonOption = False) -> None:
        _show(Remote(url).call("POST", f"/rollouts/{rollout}/{name}"), as_json)


_verb("approve", "Approves what somebody else proposed; it can be started then.")
_verb("start", "Starts a rollout that was created with --no-start, or that had to be approved.")
_verb("halt", "Starts no further node; what has been started runs on.")
_verb("resume", "Goes on after a halt; what went wrong so far is acknowledged by it.")
_verb("abort", "Ends it; with --on-abort revert the confirmed nodes go back.")


def _show(rollout: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(rollout)
        return
    typer.echo(
        f"{rollout['id']}  {rollout['name']}: {rollout['state']}{' – ' + rollout['reason'] if rollout['reason'] else ''}"
    )
    table = columns("group", "node", "state", "why", whole="node")
    for action in rollout["actions"]:
        why = ": ".join(part for part in (action["code"], action["text"]) if part) or (
            "already there" if action["already"] else ""
        )
        table.add_row(str(action["group"]), f"{action['site']}/{action['node']}", action["state"], why)
    print_table(table)
