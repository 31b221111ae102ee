"""`whir provision`: the verbs of a factory line."""

from __future__ import annotations

import functools
import getpass
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

import typer
from rich.console import Console

from whir_node.errors import BundleError
from whir_tools.provision import bundles, desk, files, label, record, report, terminal
from whir_tools.provision import retire as retiring
from whir_tools.provision import station as stations
from whir_tools.provision.batch import COLUMNS, Batch, read
from whir_tools.provision.efuse import Permit, plan_text
from whir_tools.provision.enrol import Outbox
from whir_tools.provision.errors import PassphraseError, PlanError, ProvisionError
from whir_tools.provision.journal import Journal
from whir_tools.provision.keys import PASSPHRASE_VARIABLE, Passphrase, Signer
from whir_tools.provision.line import Line, kits
from whir_tools.provision.station import PURPOSES, Station

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="From a reel of blank boards to nodes that the fleet knows.",
)

P = ParamSpec("P")
R = TypeVar("R")

StationOption = Annotated[Path, typer.Option("--station", help="the station's folder", envvar="WHIR_STATION")]
PassphraseOption = Annotated[
    Path | None, typer.Option("--passphrase-file", help=f"else ${PASSPHRASE_VARIABLE}, else asked for")
]
JsonOption = Annotated[bool, typer.Option("--json", help="for programs")]
_FOLDER = Path("whir-factory")


def _one_line(command: Callable[P, R]) -> Callable[P, R]:
    """An error of ours is told in words on stderr, and the exit code is 1."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except ProvisionError as error:
            for line in str(error).splitlines():
                typer.secho(f"{error.code}: {line}", fg="red", err=True)
            raise typer.Exit(1) from error

    return run


def _passphrase(file: Path | None, *, new: bool = False) -> Passphrase:
    if file is None and PASSPHRASE_VARIABLE not in os.environ and sys.stdin.isatty():
        text = getpass.getpass("Passphrase of the station: ")
        if new and getpass.getpass("Again: ") != text:
            raise PassphraseError("the two differ")
        os.environ[PASSPHRASE_VARIABLE] = text
    return Passphrase.read(file)


def _open(folder: Path, file: Path | None) -> Station:
    stations.Settings.read(folder / "factory.toml")  # before the passphrase is asked for
    return Station(folder, _passphrase(file))


def _batch(station: Station, path: Path, journal: Journal | None) -> Batch:
    used = {board["name"]: board["serial"] for board in journal.boards()} if journal is not None else {}
    return read(path, sorted(station.settings.board), used)


@app.command()
@_one_line
def init(
    station: StationOption = _FOLDER,
    passphrase_file: PassphraseOption = None,
    pkcs11_module: Annotated[
        str | None, typer.Option(help="library of a token: the device CA's key is made and stays in it")
    ] = None,
    pkcs11_token: Annotated[str, typer.Option(help="the token's label; the passphrase is its user PIN")] = "",
) -> None:
    """Makes the station: device CA, bundle key, record key, secure-boot key. What is there already stays.

    Example: whir provision init --station /srv/factory
    """
    made = stations.init(
        station, _passphrase(passphrase_file, new=True), pkcs11=(pkcs11_module, pkcs11_token) if pkcs11_module else None
    )
    with made.locked():
        retiring.write_crl(made, Journal(station / "journal.db"))
    typer.echo(
        f"{made.folder}: keys made, encrypted by the passphrase; next: its factory.toml and broker-ca.pem, see docs/FACTORY.md"
    )


@app.command()
@_one_line
def rotate(
    purpose: Annotated[str, typer.Argument(help=", ".join(PURPOSES))],
    station: StationOption = _FOLDER,
    passphrase_file: PassphraseOption = None,
) -> None:
    """The next generation of a key; what older ones signed stays valid.

    Example: whir provision rotate device-ca
    """
    if purpose not in PURPOSES:
        raise typer.BadParameter(", ".join(PURPOSES), param_hint="purpose")
    opened = _open(station, passphrase_file)
    with opened.locked():
        number = opened.rotate(purpose)
        if purpose == "device-ca":
            retiring.write_crl(opened, Journal(station / "journal.db"))
    typer.echo(f"{purpose}: key {number} signs from now on")


@app.command("sign-bundle")
@_one_line
def sign_bundle(
    bundle: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="a bundle, whoever signed it")],
    out: Annotated[Path, typer.Argument(help="the same, signed with the newest bundle key")],
    station: StationOption = _FOLDER,
    passphrase_file: PassphraseOption = None,
) -> None:
    """Signs a bundle with the station's key, which its nodes trust.

    Example: whir provision sign-bundle synth12k-1.0.0.whir model.whir
    """
    opened = _open(station, passphrase_file)
    folder = opened.key("bundle")
    number = folder.newest
    files.write(out, _signed(bundle, folder.signer(number), number), 0o644)
    typer.echo(f"{out}: signed with key {number}; its public key is {folder.folder / f'{number}.pem'}")


def _signed(bundle: Path, signer: Signer, number: int) -> bytes:
    try:
        return bundles.sign(bundle.read_bytes(), signer, number)
    except BundleError as error:
        raise PlanError([f"{bundle}: {error}"]) from error


@app.command()
@_one_line
def dev(
    port: Annotated[str, typer.Option(help="the serial port of the one board")],
    wifi: Annotated[str, typer.Option(help="network name; the password is asked for, or WHIR_WIFI_PASSWORD")],
    build: Annotated[
        Path, typer.Option(file_okay=False, help="build folder of PlatformIO or ESP-IDF, with flasher_args.json")
    ] = Path("firmware/.pio/build/esp32dev"),
    model: Annotated[str, typer.Option(help="a bundle, whoever signed it")] = "",
    broker: Annotated[str, typer.Option(help="mqtts://host:port")] = "",
    broker_ca: Annotated[str, typer.Option(help="CA certificate of the broker, PEM")] = "",
    fleet_url: Annotated[str, typer.Option(help="enrols there; token WHIR_FLEET_TOKEN")] = "",
    sensor: Annotated[str, typer.Option(help="the part on the board")] = "lsm6dsox",
    name: Annotated[str, typer.Option(help="of the node, at the site `desk`")] = "desk-1",
    station: StationOption = desk.FOLDER,
) -> None:
    """One board on a desk: development CA and keys, settings, flash, self-test, enrolment. No batch, no eFuses.

    While `make demo KEEP=1` runs, model, broker and fleet are the demo's. Release builds refuse the desk's keys; their
    passphrase lies beside them: it protects nothing. The same board may come again and again.

    Example: whir provision dev --port /dev/ttyUSB0 --wifi SSID
    """
    demo = desk.running_demo(station)
    target = desk.Target(broker, broker_ca, model, fleet_url).over(demo)
    missing = [f"--{f.replace('_', '-')}" for f in ("model", "broker", "broker_ca") if not getattr(target, f)]
    if missing:
        raise PlanError([f"no demo runs here (make demo KEEP=1), so {', '.join(missing)} must be given"])
    password = os.environ.get("WHIR_WIFI_PASSWORD")
    if password is None and sys.stdin.isatty():
        password = getpass.getpass(f"Password of {wifi} (empty: open network): ")
    serial = f"DESK-{name.upper()}"
    row = dict(zip(COLUMNS, (serial, "desk", name, "desk", wifi, password or "", target.broker), strict=True))
    opened = desk.furnished(station, build.resolve(), sensor, target)
    console = Console(soft_wrap=True)
    with opened.locked():
        journal = Journal(station / "journal.db")
        journal.reopen(serial)
        with terminal.Progress(console, [port]) as tell:
            line = Line(opened, desk.batch(row), journal, tell=tell, once=True, token=target.token or None)
            done = line.run([port])
    if not done.good:
        if done.refused:
            console.print(f"{serial} is another board's, or has no turn here: a second board takes --name desk-2")
        raise typer.Exit(1)
    console.print(f"node desk/{name} is on its way to {target.broker}; records and label in {station}")
    if not demo.broker:
        console.print(f"the broker must trust {station / 'keys' / 'device-ca'}/*.crt.pem")
    if target.fleet_url and done.unenrolled:
        console.print(f"the fleet does not know it yet ({line.outbox.trouble}): `whir provision sync --station {station}`")
        raise typer.Exit(3)


@app.command()
@_one_line
def plan(
    batch: Annotated[Path, typer.Argument(help="the batch file")],
    station: StationOption = _FOLDER,
    as_json: JsonOption = False,
) -> None:
    """Checks the whole batch before the first board, and shows what will be done. Burns, writes and signs nothing.

    Example: whir provision plan batch.csv
    """
    opened = Station(station)
    path = station / "journal.db"
    journal = Journal(path) if path.exists() else None
    checked = _batch(opened, batch, journal)
    done = {board["serial"]: board["state"] for board in journal.boards()} if journal is not None else {}
    boards: dict[str, Any] = {}
    for name, kit in kits(opened, checked).items():
        mine = [row for row in checked.rows if row.board == name]
        boards[name] = {
            "boards": len(mine),
            "chip": kit.build.chip,
            "writes": {f"0x{offset:x}": len(data) for offset, data in sorted(kit.build.files.items())},
            "model": f"{kit.bundle.model_name} {kit.bundle.model_version}",
            "security": kit.settings.security,
            "efuses": plan_text(kit.build.chip, kit.settings.security) if kit.settings.security != "none" else [],
            "copy_protected": kit.settings.security == "release",
        }
    states = {
        state: sum(1 for row in checked.rows if done.get(row.serial) == state)
        for state in ("good", "failed", "claimed", "retired")
    }
    if as_json:
        typer.echo(json.dumps({"rows": len(checked.rows), "states": states, "boards": boards}, indent=2))
        return
    typer.echo(
        f"{batch}: {len(checked.rows)} boards, {checked.rows[0].serial} to {checked.rows[-1].serial}; "
        f"good already: {states['good']}"
    )
    for name, board in boards.items():
        typer.echo(f"\n{name}: {board['boards']} boards, {board['chip']}, model {board['model']}")
        typer.echo(
            "  writes  "
            + ", ".join(f"{offset} {size:,} B" for offset, size in board["writes"].items())
            + ", model, settings, identity"
        )
        typer.echo(
            "  tests   sensor, noise floor, golden vectors, Wi-Fi, broker"
            + (", again after burning" if board["efuses"] else "")
        )
        for line in board["efuses"]:
            typer.echo(f"  burns   {line}")
        if not board["copy_protected"]:
            typer.echo("  NOTE    without flash encryption in release mode whoever holds the board can read and copy it")


@app.command()
@_one_line
def run(
    batch: Annotated[Path, typer.Argument(help="the batch file")],
    port: Annotated[list[str], typer.Option(help="a serial port; again for more, they run side by side")],
    station: StationOption = _FOLDER,
    passphrase_file: PassphraseOption = None,
    once: Annotated[bool, typer.Option("--once", help="one board per port, then end")] = False,
    permit: Annotated[
        str | None, typer.Option("--i-have-read-the-plan", metavar="FIRST..LAST", help="serials whose eFuses may be burnt")
    ] = None,
    operator: Annotated[str, typer.Option(help="who runs the line; with eFuses")] = "",
    confirmed_by: Annotated[str, typer.Option(help="the second person; with eFuses")] = "",
    as_json: JsonOption = False,
) -> None:
    """Takes board after board on every port until the batch is done; Ctrl-C ends after those in hand. Run it again to go on.

    Exit code: 0 every board was good, 1 one was not, 3 all good but the fleet does not know them all yet.

    Example: whir provision run batch.csv --port /dev/ttyUSB0 --port /dev/ttyUSB1
    """
    opened = _open(station, passphrase_file)
    console = Console(stderr=as_json, soft_wrap=True)
    with opened.locked():
        journal = Journal(station / "journal.db")
        line_permit = None
        if permit is not None:
            second = _second_person(permit, confirmed_by)
            line_permit = Permit.of(permit, operator, second)
        progress = terminal.Progress(console, port)
        line = Line(
            opened,
            _batch(opened, batch, journal),
            journal,
            tell=terminal.json_events if as_json else progress.tell,
            permit=line_permit,
            once=once,
        )
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: line.stop())
        with progress:
            done = line.run(port)
    text = f"{done.good} good, {done.failed} failed, {done.refused} refused, {done.left} left"
    if done.unenrolled:
        text += (
            f"; {done.unenrolled} messages wait for the fleet ({line.outbox.trouble or 'no fleet_url'}): `whir provision sync`"
        )
    (
        typer.echo(json.dumps({"state": "end", **{name: getattr(done, name) for name in done.__slots__}}))
        if as_json
        else console.print(text)
    )
    if done.failed or done.refused:
        raise typer.Exit(1)
    if done.unenrolled and opened.settings.fleet_url:
        raise typer.Exit(3)


def _second_person(permit: str, given: str) -> str:
    """Types the range again, so that it is a person; `--confirmed-by` alone where there is no terminal."""
    if sys.stdin.isatty():
        typer.echo(
            f"{given or 'The second person'}: type the serial range whose eFuses will be burnt, from your own copy of the plan."
        )
        if input("> ").strip() != permit:
            raise PlanError(["the second person's range is another one; nothing was burnt"])
    return given


@app.command("report")
@_one_line
def report_command(
    station: StationOption = _FOLDER,
    erp: Annotated[Path | None, typer.Option(help="write a CSV with a row per board")] = None,
    as_json: JsonOption = False,
) -> None:
    """Yield, times, failures by cause, and what the fleet does not know yet.

    Example: whir provision report --erp boards.csv
    """
    journal = Journal(_existing(station))
    found = report.summary(journal)
    if erp is not None:
        erp.write_text(report.erp_csv(journal))
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    typer.echo(
        f"{found['boards']} boards: {found['good']} good, {found['failed']} failed, {found['in_progress']} in progress, "
        f"{found['retired']} retired"
    )
    if found["yield_percent"] is not None:
        typer.echo(f"yield {found['yield_percent']} %, at the first attempt {found['first_pass_percent']} %")
    for cause, count in found["failures"].items():
        typer.echo(f"  {cause:<10} {count}")
    for name, times in found["steps_ms"].items():
        typer.echo(f"  {name:<10} {times['median'] / 1000:6.2f} s median, {times['max'] / 1000:6.2f} s at most")
    typer.echo(f"{found['unenrolled']} messages wait for the fleet, {len(found['refused_by_fleet'])} were refused by it")


def _existing(folder: Path) -> Path:
    if not (folder / "journal.db").exists():
        raise PlanError([f"{folder / 'journal.db'}: not there; nothing has been provisioned"])
    return folder / "journal.db"


@app.command()
@_one_line
def labels(
    out: Annotated[Path, typer.Argument(help="PDF, A4, 24 labels on a sheet")],
    batch: Annotated[Path, typer.Option(help="only boards of this batch file")],
    station: StationOption = _FOLDER,
    passphrase_file: PassphraseOption = None,
) -> None:
    """A sheet of labels of the good boards of a batch. The same code each time: a lost label can be printed again.

    Example: whir provision labels sheet.pdf --batch batch.csv
    """
    opened = _open(station, passphrase_file)
    journal = Journal(_existing(station))
    secret = opened.claim_secret()
    serials = {row.serial for row in _batch(opened, batch, journal).rows}
    made = [
        label.Label(board["serial"], record.claim_code(secret, board["serial"], board["mac"]), board["name"])
        for board in journal.boards()
        if board["state"] == "good" and board["serial"] in serials
    ]
    if not made:
        raise PlanError([f"{batch}: no good board yet"])
    out.write_bytes(label.sheet(made))
    typer.echo(f"{out}: {len(made)} labels")


@app.command()
@_one_line
def retire(
    serial: Annotated[str, typer.Argument(help="as on the label")],
    station: StationOption = _FOLDER,
    passphrase_file: PassphraseOption = None,
) -> None:
    """Takes a node out of service for ever: certificate revoked, fleet and broker refuse it.

    Example: whir provision retire WH-000017
    """
    opened = _open(station, passphrase_file)
    with opened.locked():
        journal = Journal(_existing(station))
        retiring.retire(opened, journal, serial)
        outbox = Outbox(journal, opened.settings.fleet_url)
        left = outbox.drain(now=True)
    typer.echo(f"{serial}: retired; {station / 'crl.pem'} written")
    if left:
        typer.secho(
            f"the fleet does not know it yet ({outbox.trouble or 'no fleet_url'}): `whir provision sync`", fg="yellow", err=True
        )
        raise typer.Exit(3)


@app.command()
@_one_line
def sync(station: StationOption = _FOLDER, as_json: JsonOption = False) -> None:
    """Tells the fleet what it could not be told before. The token is WHIR_FLEET_TOKEN, of role admin.

    Example: whir provision sync
    """
    opened = Station(station)
    journal = Journal(_existing(station))
    outbox = Outbox(journal, opened.settings.fleet_url)
    left = outbox.drain(now=True)
    refused = [{"serial": row["serial"], "kind": row["kind"], "why": row["refused"]} for row in journal.refused()]
    if as_json:
        typer.echo(json.dumps({"waiting": left, "refused": refused, "trouble": outbox.trouble}))
    else:
        typer.echo(f"{left} messages wait" + (f": {outbox.trouble or 'no fleet_url in factory.toml'}" if left else ""))
        for row in refused:
            typer.echo(f"refused  {row['serial']} {row['kind']}: {row['why']}")
    if left or refused:
        raise typer.Exit(1)
