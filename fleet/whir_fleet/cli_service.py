"""`whir fleet`: what runs and keeps the service. It is imported where it is run: the client commands start without it."""

from __future__ import annotations

import gc
import logging
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from whir_fleet.errors import SettingsError
from whir_fleet.terminal import ConfigOption, DataOption, JsonOption, one_line, print_json

app = typer.Typer()

BrokerOption = Annotated[str | None, typer.Option(help="`embedded`, or mqtt://user@host:port")]


def on_signal(stop: Callable[[], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop())


def _collect_seldom() -> None:
    """What was imported stays for good, and a batch of messages has no cycles: looked through for garbage again and again, they
    cost ingest as much as the messages themselves."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000)


@app.command()
@one_line
def serve(
    config: ConfigOption = None,
    data_dir: DataOption = None,
    host: Annotated[str | None, typer.Option(help="where the API listens")] = None,
    port: Annotated[int | None, typer.Option(help="of the API")] = None,
    broker: BrokerOption = None,
    broker_host: Annotated[str | None, typer.Option(help="where the embedded broker listens")] = None,
    broker_port: Annotated[int | None, typer.Option(help="of the embedded broker")] = None,
    public_url: Annotated[str | None, typer.Option(help="how nodes reach the API")] = None,
) -> None:
    """Broker, ingest, worker and API in one process.

    Example: whir fleet serve --data-dir /var/lib/whir
    """
    from whir_fleet import logs
    from whir_fleet.service import FleetService
    from whir_fleet.settings import Settings

    settings = Settings.load(
        config,
        data_dir=data_dir,
        api_host=host,
        api_port=port,
        broker=broker,
        broker_host=broker_host,
        broker_port=broker_port,
        public_url=public_url,
    )
    logs.start(settings.log_format)
    service = FleetService(settings)
    _collect_seldom()
    on_signal(service.stopping.set)
    with service:
        log = logging.getLogger("whir.fleet")
        log.info("API %s, broker %s, database %r", service.url, service.broker.url, service.database.engine.url)
        if service.embedded is not None:
            log.info(
                "embedded broker: users and passwords are in %s; it keeps no node to its own topics (no ACL): "
                "for a plant take mosquitto (`whir fleet broker-config`) or EMQX",
                settings.data_dir / "broker_users.toml",
            )
        while not service.stopping.is_set():
            service.wait(0.2)


@app.command()
@one_line
def api(config: ConfigOption = None, data_dir: DataOption = None, broker: BrokerOption = None) -> None:
    """Only the API; any number of them, behind a load balancer. They share the database, `secret_file` and the bundles.

    Example: whir fleet api --config /etc/whir/fleet.toml
    """
    _part("api", config, data_dir, broker)


@app.command()
@one_line
def worker(config: ConfigOption = None, data_dir: DataOption = None, broker: BrokerOption = None) -> None:
    """Only the worker: rollouts, alerts, commands, notifications. One is elected, a second one waits as its standby.

    Example: whir fleet worker --config /etc/whir/fleet.toml
    """
    _part("worker", config, data_dir, broker)


def _part(name: str, config: Path | None, data_dir: Path | None, broker: str | None) -> None:
    from whir_fleet import logs
    from whir_fleet.service import FleetService
    from whir_fleet.settings import Settings

    settings = Settings.load(config, data_dir=data_dir, broker=broker)
    logs.start(settings.log_format)
    service = FleetService(settings, frozenset({name}))
    _collect_seldom()
    on_signal(service.stopping.set)
    with service:
        logging.getLogger("whir.fleet").info("%s runs%s", name, f", {service.url}" if service.url else "")
        while not service.stopping.is_set():
            service.wait(0.2)


@app.command()
@one_line
def ingest(
    config: ConfigOption = None,
    data_dir: DataOption = None,
    broker: BrokerOption = None,
    drain: Annotated[
        str | None, typer.Option(help="instance that will not come back: store what waits for it, end its session")
    ] = None,
) -> None:
    """Only ingest: from a broker of your own into the database. Any number of them, each with a WHIR_FLEET_INSTANCE of its own.

    Example: WHIR_FLEET_INSTANCE=1 whir fleet ingest --broker mqtt://fleet@broker.plant:1883
    """
    if drain is None:
        _part("ingest", config, data_dir, broker)
        return
    import threading

    from whir_fleet import ingest, logs
    from whir_fleet.db import Database
    from whir_fleet.link import BrokerAddress
    from whir_fleet.settings import Settings

    settings = Settings.load(config, data_dir=data_dir, broker=broker, instance=drain)
    logs.start(settings.log_format)
    if settings.broker == "embedded":
        raise SettingsError("setting broker: the embedded one ends with its process; there is nothing to drain")
    settings.prepare()
    database = Database(settings.url)
    database.migrate()
    stop = threading.Event()
    on_signal(stop.set)
    try:
        address = BrokerAddress.parse(settings.broker, settings.external_password())
        counters = ingest.drain(settings, database, address, stop)
    finally:
        database.close()
    typer.echo(f"{drain}: {counters.new} stored, {counters.duplicates} were there, {counters.unreadable} unreadable")


@app.command("backup")
@one_line
def backup_command(
    archive: Annotated[Path, typer.Argument(help="to write, e.g. whir-2026-11-21.tar.gz")],
    config: ConfigOption = None,
    data_dir: DataOption = None,
) -> None:
    """Database, bundles, keys and secrets into one archive, beside the running service. Keep it as you keep passwords.

    Example: whir fleet backup /backup/whir-$(date +%F).tar.gz --data-dir /var/lib/whir
    """
    from whir_fleet.backup import backup
    from whir_fleet.settings import Settings

    manifest = backup(Settings.load(config, data_dir=data_dir), archive)
    typer.echo(f"{archive}: {len(manifest['files'])} files, schema {manifest['schema']}")


@app.command("restore")
@one_line
def restore_command(
    archive: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    config: ConfigOption = None,
    data_dir: DataOption = None,
) -> None:
    """A backup into an empty data folder and database; the service must not run yet.

    Example: whir fleet restore /backup/whir-2026-11-21.tar.gz --data-dir /var/lib/whir
    """
    from whir_fleet.backup import restore
    from whir_fleet.settings import Settings

    manifest = restore(Settings.load(config, data_dir=data_dir), archive)
    typer.echo(f"{len(manifest['files'])} files restored; start the service")


@app.command()
@one_line
def size(
    nodes: Annotated[int, typer.Option(min=1, help="how many")],
    interval: Annotated[float, typer.Option(min=0.1, help="seconds between two telemetry messages of a node")] = 60,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rows and disk for a fleet of this size, with the retention of the settings and measured bytes per row.

    Example: whir fleet size --nodes 400 --interval 60
    """
    from whir_fleet.settings import Settings
    from whir_fleet.size import size as reckon

    settings = Settings.load(config)
    found = reckon(nodes, interval, settings)
    if as_json:
        print_json(found)
        return
    rows = found["rows_after_a_year"]
    typer.echo(f"{found['messages_a_second']:,} messages a second, {found['rows_a_day']:,} rows a day")
    typer.echo(f"after a year: {rows['raw']:,} rows of the last {settings.raw_days} days and {rows['hour']:,} hours")
    for engine, own in found["engines"].items():
        typer.echo(
            f"{engine}: {own['raw_row_bytes']} bytes a row, {own['bytes_a_day'] / 1e9:,.2f} GB a day; {own['hour_row_bytes']} "
            f"bytes an hour; {own['disk_after_a_year'] / 1e9:,.2f} GB after a year"
        )


@app.command("broker-config")
@one_line
def broker_config(
    folder: Annotated[Path, typer.Argument(help="gets mosquitto.conf, passwords, acl and users.toml")],
    port: Annotated[int, typer.Option(min=1, max=65535)] = 1883,
    host: Annotated[str | None, typer.Option(help="address to listen on; all when left out")] = None,
    run_as: Annotated[str | None, typer.Option(help="mosquitto's user; needed when it is started by root")] = None,
    device_ca: Annotated[
        Path | None, typer.Option(help="CA certificates of nodes: they connect by TLS, each with its own")
    ] = None,
    tls_port: Annotated[int, typer.Option(min=1, max=65535, help="where nodes with certificates connect")] = 8883,
    certificate: Annotated[Path | None, typer.Option(help="the broker's own, PEM; with --device-ca")] = None,
    key: Annotated[Path | None, typer.Option(help="of the broker's certificate")] = None,
    account: Annotated[
        list[str] | None, typer.Option(help="one more: subscriber/SITE, bridge, home-assistant, scada; again for more")
    ] = None,
) -> None:
    """A mosquitto configuration with users, ACL, persistence and explicit queue limits.

    With --device-ca nodes show certificates, and passwords are taken on this machine only. `users.toml` keeps the accounts: the
    same command again leaves those that are there as they are.

    Example: whir fleet broker-config /etc/whir && mosquitto -c /etc/whir/mosquitto.conf
    """
    from whir_fleet.broker import NodeTls, Users, mosquitto_files, mosquitto_tls_files

    try:
        folder.mkdir(parents=True, exist_ok=True)
        users = Users.load(folder / "users.toml", account or [])
        if device_ca is None:
            config = mosquitto_files(folder, port, users, host, run_as)
        elif certificate is None or key is None:
            raise SettingsError("--device-ca needs --certificate and --key of the broker")
        else:
            config = mosquitto_tls_files(folder, port, users, NodeTls(tls_port, device_ca, certificate, key), host, run_as)
    except OSError as error:
        raise SettingsError(f"{folder}: cannot be written: {error.strerror}") from error
    typer.echo(config)


@app.command("operational-ca")
@one_line
def operational_ca(
    folder: Annotated[Path, typer.Argument(help="gets the key, encrypted, and the certificate; setting operational_ca_dir")],
    passphrase_file: Annotated[Path, typer.Option(help="at least 12 characters; setting operational_ca_passphrase_file")],
) -> None:
    """The CA by which the fleet renews nodes' certificates; once more for its next generation. The broker must trust it too.

    Example: whir fleet operational-ca /etc/whir/operational-ca --passphrase-file /etc/whir/operational-passphrase
    """
    from whir_fleet.crl import utc_now
    from whir_fleet.generations import add

    typer.echo(add(folder, passphrase_file, utc_now()))
