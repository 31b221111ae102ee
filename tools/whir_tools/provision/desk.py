"""One board on a desk: a station of its own with development keys, made on the way and used again."""

from __future__ import annotations

import csv
import io
import secrets
from pathlib import Path

from whir_node.errors import BundleError
from whir_tools.provision import bundles, files
from whir_tools.provision import station as stations
from whir_tools.provision.batch import COLUMNS, Batch, parse
from whir_tools.provision.errors import PlanError, StationError
from whir_tools.provision.keys import Passphrase
from whir_tools.provision.station import Station

BOARD = "desk"


def station(folder: Path, build: Path, model: Path, broker_ca: Path, sensor: str, fleet_url: str) -> Station:
    """The desk's station with these things to flash. StationError: the folder is a production station's."""
    secret = folder / "passphrase"
    if (folder / "factory.toml").exists() and not secret.exists():
        raise StationError(f"{folder}: a factory's station; `dev` takes a folder of its own")
    if not secret.exists():
        files.write(secret, secrets.token_urlsafe(24).encode())
    passphrase = Passphrase.read(secret)
    made = stations.init(folder, passphrase, development=True)
    keys = made.key("bundle")
    try:
        signed = bundles.sign(model.read_bytes(), keys.signer(), keys.newest)
    except BundleError as error:
        raise PlanError([f"{model}: {error}"]) from error
    files.write(folder / "model.whir", signed, 0o644)
    files.write(folder / "broker-ca.pem", broker_ca.read_bytes(), 0o644)
    settings = f"""development = true       # keys of a desk; release builds refuse them
fleet_url = {_toml(fleet_url)}

[board.{BOARD}]
build = {_toml(str(build))}
model = "model.whir"
sensor = {_toml(sensor)}
noise_max_ug = 20000
"""
    files.write(folder / "factory.toml", settings.encode(), 0o644)
    return Station(folder, passphrase)


def _toml(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def batch(row: dict[str, str]) -> Batch:
    """A batch of one, checked as any other."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS)
    writer.writeheader()
    writer.writerow(row)
    return parse(out.getvalue().encode(), [BOARD], {}, "dev")
