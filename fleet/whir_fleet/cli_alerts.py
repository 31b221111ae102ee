"""`whir fleet alerts` and `whir fleet maintenance`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from whir_fleet.remote import Remote
from whir_fleet.terminal import JsonOption, UrlOption, columns, one_line, print_json, print_table

app = typer.Typer(help="Alerts: look, acknowledge, assign, resolve, say what it was.", no_args_is_help=True)
maintenance_app = typer.Typer(help="Maintenance windows: no alert is told meanwhile.", no_args_is_help=True)

AlertArgument = Annotated[str, typer.Argument(metavar="ALERT_ID")]
WhyOption = Annotated[str | None, typer.Option(help="for the history")]


def _when(ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ms / 1000))


@app.command("list")
@one_line
def listed(
    state: Annotated[str | None, typer.Option(help="open, acknowledged or resolved")] = None,
    site: Annotated[str | None, typer.Option(help="only this one")] = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Alerts, newest first.

    Example: whir fleet alerts list --state open
    """
    found = list(Remote(url).pages("/alerts", state=state, site=site))
    if as_json:
        print_json(found)
        return
    table = columns("alert", "machine", "fault", "severity", "state", "whose", "opened", whole="alert")
    for a in found:
        machine = f"{a['site']}/{a['machine']}" + (f" {a['point']}" if a["point"] else "")
        state = a["state"] + (", muted" if a["muted"] else "") + (", flaps" if a["settles_ms"] else "")
        table.add_row(
            a["alert_id"], machine, a["verdict"], a["severity"], state, a["assigned_to"] or "–", _when(a["opened_ms"])
        )
    print_table(table)


@app.command()
@one_line
def show(alert: AlertArgument, url: UrlOption = None, as_json: JsonOption = False) -> None:
    """One alert with its history: who did what, when and why.

    Example: whir fleet alerts show 01JZ7V0M4Q8W2N5R6T9XAYB3CD
    """
    found = Remote(url).call("GET", f"/alerts/{alert}")
    if as_json:
        print_json(found)
        return
    typer.echo(_summary(found))
    table = columns("when", "what", "who", "why", whole="when")
    for change in found["changes"]:
        table.add_row(_when(change["at_ms"]), change["what"], change["who"], change["why"] or "")
    print_table(table)


@app.command()
@one_line
def evidence(
    alert: AlertArgument,
    pdf: Annotated[Path | None, typer.Option(help="write it as a page to this file")] = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """What speaks for the verdict and what against it, from the alert's capture, and what to measure next.

    Example: whir fleet alerts evidence 01JZ7V0M4Q8W2N5R6T9XAYB3CD --pdf pump-3.pdf
    """
    if pdf is not None:
        pdf.write_bytes(Remote(url).get(f"/alerts/{alert}/evidence.pdf"))
        return
    found = Remote(url).call("GET", f"/alerts/{alert}/evidence")
    if as_json:
        print_json(found)
        return
    typer.echo(
        f"{found['verdict']} at {found['site']}/{found['machine']}, {found['rpm']:.0f} rpm ({found['rpm_confidence']:.0%})"
    )
    for finding in found["findings"]:
        typer.echo(f"{finding['side']:8} {finding['text']}")
    for step in found["next"]:
        typer.echo(f"next     {step}")


def _summary(alert: dict[str, Any]) -> str:
    parts = [
        f"{alert['alert_id']}  {alert['site']}/{alert['machine']}: {alert['verdict']}, {alert['severity']}, {alert['state']}"
    ]
    if alert["assigned_to"]:
        parts.append(f"assigned to {alert['assigned_to']}")
    if alert["outcome"]:
        parts.append(f"outcome {alert['outcome']}" + (f" ({alert['outcome_fault']})" if alert["outcome_fault"] else ""))
    return "; ".join(parts)


def _change(url: str | None, as_json: bool, alert: str, verb: str, **values: str | None) -> None:
    answer = Remote(url).call("POST", f"/alerts/{alert}/{verb}", json={k: v for k, v in values.items() if v is not None})
    if as_json:
        print_json(answer)
    else:
        typer.echo(_summary(answer))


@app.command()
@one_line
def acknowledge(alert: AlertArgument, why: WhyOption = None, url: UrlOption = None, as_json: JsonOption = False) -> None:
    """Somebody has seen it: it does not escalate any more. A rise in severity opens it again.

    Example: whir fleet alerts acknowledge 01JZ7V0M4Q8W2N5R6T9XAYB3CD --why "bearing is ordered"
    """
    _change(url, as_json, alert, "acknowledge", why=why)


@app.command()
@one_line
def assign(
    alert: AlertArgument,
    to: Annotated[str, typer.Argument(help="whose it is from now on")],
    why: WhyOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give an alert to somebody.

    Example: whir fleet alerts assign 01JZ7V0M4Q8W2N5R6T9XAYB3CD anna
    """
    _change(url, as_json, alert, "assign", to=to, why=why)


@app.command()
@one_line
def resolve(alert: AlertArgument, why: WhyOption = None, url: UrlOption = None, as_json: JsonOption = False) -> None:
    """By hand. When the node goes on hearing the fault, a new alert opens.

    Example: whir fleet alerts resolve 01JZ7V0M4Q8W2N5R6T9XAYB3CD --why "bearing replaced"
    """
    _change(url, as_json, alert, "resolve", why=why)


@app.command()
@one_line
def outcome(
    alert: AlertArgument,
    what: Annotated[str, typer.Argument(help="confirmed, other_fault, false_alarm or sensor_loose")],
    fault: Annotated[str | None, typer.Option(help="what it was; for other_fault")] = None,
    note: Annotated[str | None, typer.Option(help="what was found")] = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """What was found at the machine. The precision of the model versions follows from it.

    Example: whir fleet alerts outcome 01JZ7V0M4Q8W2N5R6T9XAYB3CD confirmed --note "outer ring"
    """
    _change(url, as_json, alert, "outcome", outcome=what, fault=fault, note=note)


@app.command()
@one_line
def precision(url: UrlOption = None, as_json: JsonOption = False) -> None:
    """How often the alerts of each model version were right, by their outcomes.

    Example: whir fleet alerts precision
    """
    found = Remote(url).call("GET", "/alerts/precision")
    if as_json:
        print_json(found)
        return
    table = columns("model", "alerts", "confirmed", "other fault", "false", "loose", "open", "precision", "95 %", whole="model")
    for p in found:
        name = f"{p['model']} {p['model_version'] or '?'} ({p['counter']})"
        counts = [str(p[n]) for n in ("alerts", "confirmed", "other_fault", "false_alarm", "sensor_loose", "undecided")]
        right = f"{p['precision']:.0%}" if p["precision"] is not None else "–"
        span = "{:.0%} to {:.0%}".format(*p["ci95"]) if p["ci95"] else "–"
        table.add_row(name, *counts, right, span)
    print_table(table)


@maintenance_app.command("add")
@one_line
def add(
    where: Annotated[str, typer.Argument(metavar="SITE[/MACHINE]")],
    hours: Annotated[float, typer.Option(min=0.01, max=2160, help="how long, from now on")],
    why: Annotated[str, typer.Option(help="what is being done")],
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """From now on nothing that opens there is told; what is still there at the end is.

    Example: whir fleet maintenance add plant-1/pump-3 --hours 4 --why "new coupling"
    """
    site, _, machine = where.partition("/")
    now = time.time_ns() // 1_000_000
    request = {"site": site, "machine": machine or None, "until_ms": now + round(hours * 3_600_000), "why": why}
    answer = Remote(url).call("POST", "/maintenance", json=request)
    if as_json:
        print_json(answer)
    else:
        typer.echo(f"{answer['id']}  until {_when(answer['until_ms'])}")


@maintenance_app.command("list")
@one_line
def windows(url: UrlOption = None, as_json: JsonOption = False) -> None:
    """All windows, the last to begin first.

    Example: whir fleet maintenance list
    """
    found = list(Remote(url).pages("/maintenance"))
    if as_json:
        print_json(found)
        return
    table = columns("window", "where", "from", "until", "why", "by", whole="window")
    for w in found:
        where = w["site"] + (f"/{w['machine']}" if w["machine"] else "")
        table.add_row(w["id"], where, _when(w["from_ms"]), _when(w["until_ms"]), w["why"], w["planned_by"])
    print_table(table)


@maintenance_app.command("end")
@one_line
def end(
    window: Annotated[str, typer.Argument(metavar="WINDOW_ID")], url: UrlOption = None, as_json: JsonOption = False
) -> None:
    """Now instead of later.

    Example: whir fleet maintenance end 01JZ7V0M4Q8W2N5R6T9XAYB3CD
    """
    answer = Remote(url).call("POST", f"/maintenance/{window}/end")
    if as_json:
        print_json(answer)
