"""`whir fleet bridge`: the fleet as other systems see it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from whir_fleet.cli_service import BrokerOption, on_signal
from whir_fleet.errors import SettingsError
from whir_fleet.terminal import ConfigOption, DataOption, one_line

if TYPE_CHECKING:
    from whir_fleet.bridge.run import Adapter
    from whir_fleet.link import BrokerAddress
    from whir_fleet.settings import Settings

app = typer.Typer(help="The fleet as Home Assistant or Sparkplug B.", no_args_is_help=True)


@app.command("home-assistant")
@one_line
def home_assistant(config: ConfigOption = None, data_dir: DataOption = None, broker: BrokerOption = None) -> None:
    """Each node in service as a device of Home Assistant: state, alert, velocity; found by MQTT discovery.

    Example: whir fleet bridge home-assistant --broker mqtt://bridge@broker.plant:1883
    """
    from whir_fleet.bridge.home_assistant import HomeAssistant

    _run(config, data_dir, broker, lambda address, _: HomeAssistant(address))


@app.command("sparkplug")
@one_line
def sparkplug(config: ConfigOption = None, data_dir: DataOption = None, broker: BrokerOption = None) -> None:
    """Each site as an edge node of Sparkplug B, each node in service as its device.

    Example: whir fleet bridge sparkplug --broker mqtt://bridge@broker.plant:1883
    """
    from whir_fleet.bridge.sparkplug import Sparkplug

    _run(config, data_dir, broker, lambda address, settings: Sparkplug(address, settings.sparkplug_group))


def _run(
    config: Path | None, data_dir: Path | None, broker: str | None, make: Callable[[BrokerAddress, Settings], Adapter]
) -> None:
    import threading

    from whir_fleet import logs
    from whir_fleet.bridge.run import run
    from whir_fleet.db import Database
    from whir_fleet.link import BrokerAddress
    from whir_fleet.settings import Settings

    settings = Settings.load(config, data_dir=data_dir, broker=broker)
    if settings.broker == "embedded":
        raise SettingsError("setting broker: a bridge needs an address: --broker mqtt://bridge@host:port")
    logs.start(settings.log_format)
    database = Database(settings.url)
    stop = threading.Event()
    on_signal(stop.set)
    try:
        database.migrate()
        run(make(BrokerAddress.parse(settings.broker, settings.external_password()), settings), database, stop)
    finally:
        database.close()
