"""`whir node`: run a virtual node from the command line."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from whir_contracts.contract import Severity
    from whir_node.node import Verdict
    from whir_node.runner import Observer

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="The firmware's core on this computer."
)
PASSWORD_VARIABLE = "WHIR_BROKER_PASSWORD"  # noqa: S105  the name of the variable, not a password


@app.callback()
def node() -> None:
    """The firmware's core on this computer."""


def _fail(reason: object) -> NoReturn:
    typer.echo(f"whir node: {reason}", err=True)
    raise typer.Exit(1)


@app.command()
def run(
    site: Annotated[str, typer.Option(help="Site name: a-z, 0-9 and -, at most 32.")],
    name: Annotated[str, typer.Option(help="Node name, by the same rule.")],
    broker: Annotated[str, typer.Option(help="mqtt://user@host:port")],
    keys: Annotated[Path, typer.Option(help="Folder of public keys, <key_id>.pem, at most four.")],
    replay: Annotated[list[str], typer.Option(help="file.npz[:seconds], played in order; repeat the option.")],
    flash: Annotated[Path | None, typer.Option(help="File that keeps the flash between runs; without it, in memory.")] = None,
    bundle: Annotated[Path | None, typer.Option(help="First model, written into slot a of a flash that has none.")] = None,
    speed: Annotated[float, typer.Option(help="Node seconds per second; only at 1 the node knows the wall clock.")] = 1.0,
    hardware: Annotated[str, typer.Option(help="Hardware class that bundles must be made for.")] = "esp32",
    engine: Annotated[str, typer.Option(help="whir_nn or tflm (TensorFlow Lite Micro, from its wheel).")] = "whir_nn",
    profile: Annotated[str, typer.Option(help="plant: a fault must stand for 10 minutes; fast: in 3 of 5 verdicts.")] = "plant",
    power_kw: Annotated[float | None, typer.Option(help="Rated power of the machine. With the next three: its zone.")] = None,
    group: Annotated[str | None, typer.Option(help="group1, group2 (ISO 20816-3) or class1 (up to 15 kW).")] = None,
    foundation: Annotated[str | None, typer.Option(help="rigid or flexible.")] = None,
    calibrated: Annotated[bool, typer.Option("--calibrated", help="The recordings' unit is known to be right.")] = False,
    rpm: Annotated[
        float, typer.Option(help="Speed of the shaft, for order bands; else what each recording states.")
    ] = math.nan,
    password_file: Annotated[Path | None, typer.Option(help=f"Broker password; else ${PASSWORD_VARIABLE}.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per line on stdout: messages, verdicts, link, power.")
    ] = False,
) -> None:
    """Plays recordings into a virtual node that talks to a broker, until they end or Ctrl-C.

    Example: whir node run --site demo --name pump-1 --broker mqtt://node@127.0.0.1:1883 --keys keys --flash pump-1.flash
    --bundle first.whir --replay healthy.npz:30 --replay bearing.npz
    """
    from whir_contracts.recording import RecordingError
    from whir_node.crypto import KeyFileError
    from whir_node.errors import CoreError
    from whir_node.mqtt import BrokerError
    from whir_node.node import NodeError
    from whir_node.replay import ReplayError

    try:
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        with _runner(
            site,
            name,
            broker,
            keys,
            replay,
            flash,
            bundle,
            speed,
            hardware,
            engine,
            profile,
            (power_kw, group, foundation, calibrated, rpm),
            password_file,
            as_json,
        ) as runner:
            runner.run(stop)
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename else error)
    except (BrokerError, NodeError, ReplayError, RecordingError, KeyFileError, CoreError, ValueError) as error:
        _fail(error)


@app.command()
def swarm(
    site: Annotated[str, typer.Option(help="Site name of all; the nodes are n00000, n00001, ...")],
    broker: Annotated[str, typer.Option(help="mqtt://user@host:port")],
    nodes: Annotated[int, typer.Option(min=1, max=100_000, help="How many; each holds a connection, so a file.")],
    telemetry: Annotated[float, typer.Option(min=0, help="Seconds between a node's telemetry; 0 = none.")] = 10.0,
    alert: Annotated[float, typer.Option(min=0, help="Seconds between a node's alerts, raised and cleared; 0 = none.")] = 0.0,
    seconds: Annotated[float | None, typer.Option(min=0, help="For so long; else until Ctrl-C.")] = None,
    bundle: Annotated[
        Path | None, typer.Option(help="Model in service; with it they carry out updates, on the real core.")
    ] = None,
    keys: Annotated[Path | None, typer.Option(help="Folder of public keys, <key_id>.pem; with --bundle.")] = None,
    failing: Annotated[float, typer.Option(min=0, max=100, help="Percent whose line spoils each download.")] = 0,
    silent: Annotated[float, typer.Option(min=0, max=100, help="Percent that never answer an update.")] = 0,
    password_file: Annotated[Path | None, typer.Option(help=f"Broker password; else ${PASSWORD_VARIABLE}.")] = None,
) -> None:
    """Thousands of nodes on one event loop, true to the protocol: last will, numbers, receipts, resending, updates.

    Prints one line of JSON when all are connected and one at the end: what was sent, by node and by topic.

    Example: whir node swarm --site load --broker mqtt://nodes@127.0.0.1:1883 --nodes 1000 --seconds 60
    """
    import asyncio

    import httpx

    from whir_node.bundle import inspect
    from whir_node.crypto import KeyFileError
    from whir_node.errors import CoreError
    from whir_node.mqtt import BrokerAddress, BrokerError
    from whir_node.swarm import SwarmError, SwarmSettings, raise_file_limit, run
    from whir_node.swarm_update import Factory

    try:
        _check_names(("--site", site))
        raise_file_limit(nodes)
        factory = None
        if bundle is not None:
            if keys is None:
                raise ValueError("--bundle needs --keys")
            public = _read_keys(keys)
            factory = Factory(bundle.read_bytes(), inspect(bundle.read_bytes(), public), public)
        settings = SwarmSettings(
            BrokerAddress.parse(broker), _password(password_file), site, nodes, telemetry, alert, failing, silent, factory
        )
        sent = asyncio.run(run(settings, seconds, lambda: print(json.dumps({"connected": nodes}), flush=True)))
        print(json.dumps(sent), flush=True)
    except TimeoutError:
        _fail("not every node was let in by the broker")
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename else error)
    except (SwarmError, BrokerError, KeyFileError, CoreError, httpx.HTTPError, ValueError) as error:
        _fail(error)


def _password(file: Path | None) -> str | None:
    return file.read_text().strip() if file is not None else os.environ.get(PASSWORD_VARIABLE)


def _runner(
    site: str,
    name: str,
    broker: str,
    keys: Path,
    replay: list[str],
    flash: Path | None,
    bundle: Path | None,
    speed: float,
    hardware: str,
    engine: str,
    profile: str,
    machine: tuple[float | None, str | None, str | None, bool, float],
    password_file: Path | None,
    as_json: bool,
) -> Any:
    from whir_contracts.contract import HARDWARE, Profile
    from whir_node.mqtt import BrokerAddress
    from whir_node.node import ENGINES, NodeConfig
    from whir_node.replay import Replay, parse_segment
    from whir_node.runner import NodeRunner
    from whir_node.velocity import Machine

    _check_names(("--site", site), ("--name", name))
    if hardware not in HARDWARE:
        raise ValueError(f"--hardware {hardware}: one of {', '.join(HARDWARE)}")
    if engine not in ENGINES:
        raise ValueError(f"--engine {engine}: one of {', '.join(ENGINES)}")
    profiles = [member.name.lower() for member in Profile]
    if profile not in profiles:
        raise ValueError(f"--profile {profile}: one of {', '.join(profiles)}")
    if not 0 < speed < float("inf"):
        raise ValueError(f"--speed {speed}: must be positive")
    address = BrokerAddress.parse(broker)
    played = Replay([parse_segment(text) for text in replay])
    return NodeRunner(
        NodeConfig(
            site=site,
            name=name,
            sensor=played.sensor,
            hardware_class=hardware,
            engine=engine,
            profile=Profile[profile.upper()],
            machine=Machine.stated(*machine),
        ),
        played,
        address,
        _password(password_file),
        public_keys=_read_keys(keys),
        flash=flash,
        first_bundle=None if bundle is None else bundle.read_bytes(),
        speed=speed,
        observer=_printer(as_json),
    )


def _check_names(*options: tuple[str, str]) -> None:
    import re

    from whir_contracts.contract import NAME_SITE_NODE_PATTERN

    for option, text in options:
        if re.fullmatch(NAME_SITE_NODE_PATTERN, text) is None:
            raise ValueError(f"{option} {text!r}: a name matches {NAME_SITE_NODE_PATTERN}")


def _read_keys(folder: Path) -> dict[int, Any]:
    from whir_node.crypto import load_public_key

    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".pem" and path.stem.isdecimal():
            found[int(path.stem)] = load_public_key(path)
    if not found:
        raise ValueError(f"{folder}: no public key; a file is called <key_id>.pem, e.g. 1.pem")
    return found


def _chunk(payload: bytes) -> dict[str, Any]:
    """A chunk's facts, without its samples."""
    from whir_contracts.capture import Chunk

    facts = vars(Chunk.read(payload)).copy()
    del facts["frames"]
    return {**facts, "trigger": facts["trigger"].name.lower(), "unit": facts["unit"].name.lower()}


def _printer(as_json: bool) -> Observer:
    from whir_node.runner import Observer

    class Lines(Observer):
        """One JSON object per line."""

        def _line(self, **fields: Any) -> None:
            print(json.dumps(fields), flush=True)

        def on_link(self, up: bool, reason: str) -> None:
            self._line(link="up" if up else "down", reason=reason)

        def on_message(self, topic: str, payload: bytes) -> None:
            if topic == "capture":
                self._line(topic=topic, **_chunk(payload))
            else:
                self._line(topic=topic, message=json.loads(payload))

        def on_verdict(self, verdict: Verdict, label: str) -> None:
            fields = {
                "top": verdict.top,
                "permille": verdict.permille,
                "windows": verdict.windows,
                "quality": int(verdict.quality),
                "novelty": verdict.novelty,
                "velocity_um_s": verdict.velocity_um_s,
                "zone": verdict.zone.name if verdict.zone else None,
                "zone_reason": None if verdict.zone else verdict.zone_reason.name.lower(),
            }
            self._line(verdict=fields, at_ms=verdict.at_ms, truth=label)

        def on_identify(self, seconds: int) -> None:
            self._line(identify_s=seconds)

        def on_output(self, severity: Severity) -> None:
            self._line(output=severity.name.lower())

        def on_power(self, on: bool) -> None:
            self._line(power="on" if on else "cut")

    class Words(Observer):
        """What a person wants to know: link, alerts, events, local alarm."""

        def on_link(self, up: bool, reason: str) -> None:
            print("link up" if up else f"link down: {reason}", file=sys.stderr, flush=True)

        def on_message(self, topic: str, payload: bytes) -> None:
            if topic == "capture":
                chunk = _chunk(payload)
                if chunk["chunk"] + 1 == chunk["chunks"]:
                    print(
                        f"capture  {chunk['trigger']}, {chunk['samples']} samples at {chunk['rate_mhz'] / 1000:g} Hz",
                        flush=True,
                    )
                return
            body = json.loads(payload)
            if topic == "alert":
                print(
                    f"alert    {body['verdict']} {body['state']}, {body['severity']}, p {body['p'] / 1000:.3f}"
                    + (f", zone {body['zone']}" if body["zone"] else ""),
                    flush=True,
                )
            elif topic == "event":
                print(f"event    {body['kind']}" + (f": {body['code']}" if body.get("code") else ""), flush=True)
            elif topic == "status":
                model = f"{body['model']} {body['model_version']}" if body["model"] else "no model"
                print(f"status   {body['state']}, {model}", flush=True)

        def on_identify(self, seconds: int) -> None:
            print(f"identify blink for {seconds} s", flush=True)

        def on_output(self, severity: Severity) -> None:
            print(f"output   {severity.name.lower()}", flush=True)

    return Lines() if as_json else Words()


@app.command()
def firmware(
    image: Annotated[
        Path, typer.Argument(help="The application as it was built, firmware.bin, signed for secure boot or not.")
    ],
    key: Annotated[Path, typer.Option(help="P-256 private key in PEM; its public half is one of the nodes' bundle keys.")],
    key_id: Annotated[int, typer.Option(help="Number under which the nodes know it.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The package.")],
    hardware: Annotated[str, typer.Option(help="Hardware class of the nodes.")] = "esp32",
    version_min: Annotated[str, typer.Option(help="Oldest version that may be followed by this one, x.y.z.")] = "",
) -> None:
    """Signs an application image as a package for the command `firmware`. Version and security counter are the image's own.

    Example: whir node firmware .pio/build/esp32dev/firmware.bin --key bundle.pem --key-id 1 -o node-1.4.0.whirfw
    """
    from whir_node.crypto import KeyFileError, load_private_key
    from whir_node.firmware import ImageError, describe, pack

    try:
        data = image.read_bytes()
        own = describe(data)
        output.write_bytes(
            pack(data, hardware_class=hardware, private_key=load_private_key(key), key_id=key_id, version_min=version_min)
        )
    except (OSError, KeyFileError, ImageError) as error:
        _fail(error)
    typer.echo(f"{output}: {own.project} {own.version}, security counter {own.secure_version}")


@app.command()
def power(
    chip: Annotated[str, typer.Option(help="esp32, esp32s3 or esp32c3.")] = "esp32",
    sensor: Annotated[str, typer.Option(help="The accelerometer.")] = "lis3dh",
    every_s: Annotated[float, typer.Option(help="From one measurement to the next, where the board rests.")] = 600,
    battery_mah: Annotated[float, typer.Option(help="Nominal charge; 80 % of it count.")] = 3000,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """What each power mode takes from a battery, computed from the currents in firmware/whir_node/power.toml, not measured.

    Example: whir node power --chip esp32c3 --sensor kx134 --every-s 900 --battery-mah 6000
    """
    from whir_node.power import PowerFactsError, budgets

    try:
        found = budgets(chip, sensor, every_s)
    except PowerFactsError as error:
        _fail(error)
    if as_json:
        rows = [
            {"mode": b.mode.name.lower(), "average_ma": b.average_ma, "days": b.days(battery_mah), "parts_ma": b.parts}
            for b in found
        ]
        typer.echo(json.dumps({"chip": chip, "sensor": sensor, "every_s": every_s, "computed": True, "modes": rows}))
        return
    typer.echo(f"{chip} with {sensor}, every {every_s:g} s, {battery_mah:g} mAh; computed from nominal currents, not measured")
    for b in found:
        parts = ", ".join(f"{name} {ma:.3g}" for name, ma in b.parts.items())
        typer.echo(f"{b.mode.name.lower():<11} {b.average_ma:8.3f} mA  {b.days(battery_mah):7.1f} days   ({parts} mA)")


@app.command("check")
def check_board(
    port: Annotated[str, typer.Option(help="Serial port of a board that runs the firmware.")],
    engine: Annotated[Path, typer.Option(help="Emulated counts, of `whir bench engine`.")] = Path("build/bench/engine.json"),
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Is a port right? Flash rules and times, clock, sensor rate, noise floor and golden vectors, measured on a real board, and
    what a window costs there. One sector of the model slot that is not in service is written. Exit code 1: something is wrong.

    Example: whir node check --port /dev/ttyUSB0
    """
    try:
        from whir_node.check import as_json as report_json
        from whir_node.check import check
        from whir_node.console import ConsoleError
    except ModuleNotFoundError:
        _fail("the serial port needs the package pyserial: pip install 'whir[factory]'")

    try:
        report = check(port, engine)
    except (ConsoleError, OSError, ValueError) as error:
        _fail(error)
    if as_json:
        typer.echo(json.dumps(report_json(report)))
    else:
        typer.echo(", ".join(f"{key} {report.node.get(key)}" for key in ("site", "node", "mac", "hardware", "fw", "model")))
        for result in report.results:
            typer.echo(f"{'ok' if result.ok else 'WRONG' if result.ok is False else '-':<6} {result.name:<8} {result.text}")
        for row in report.cycles:
            told = "-" if row.measured is None else f"{row.measured:,} cycles"
            emulated = "-" if row.emulated is None else f"{row.emulated:,} instructions emulated"
            typer.echo(f"       {row.part:<8} {told}, {emulated}" + (f" ({row.reason})" if row.reason else ""))
    raise typer.Exit(0 if report.good else 1)
