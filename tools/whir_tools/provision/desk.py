"""One board on a desk: a station of its own with development keys, made on the way and used again.

While `make demo KEEP=1` runs, demo.toml in the desk's folder says where its broker and its API are; `dev` then needs no more.
"""

from __future__ import annotations

import csv
import io
import json
import secrets
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from whir_node.errors import BundleError
from whir_tools.provision import bundles, files
from whir_tools.provision import station as stations
from whir_tools.provision.batch import COLUMNS, Batch, parse
from whir_tools.provision.errors import PlanError, StationError
from whir_tools.provision.keys import Passphrase
from whir_tools.provision.station import Station

FOLDER = Path("whir-desk")
PASSPHRASE_FILE = "passphrase"  # noqa: S105  where it lies, not what it is
BOARD = "desk"
_DEMO = "demo.toml"


@dataclass(frozen=True, slots=True)
class Target:
    """What the board joins; paths and addresses as text, "" where there is none."""

    broker: str = ""
    broker_ca: str = ""
    model: str = ""
    fleet_url: str = ""
    token: str = field(default="", repr=False)

    def over(self, other: Target) -> Target:
        """Each field of this one where it is given, else the other's."""
        return Target(**{f.name: getattr(self, f.name) or getattr(other, f.name) for f in fields(self)})


@contextmanager
def offered(folder: Path, target: Target) -> Iterator[None]:
    """As long as this lasts, `dev` in this folder joins the target."""
    path = folder / _DEMO
    files.write(path, "".join(f"{name} = {_toml(value)}\n" for name, value in asdict(target).items()).encode())
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def running_demo(folder: Path) -> Target:
    """What a running demo offers; an empty target without one."""
    path = folder / _DEMO
    try:
        return Target(**tomllib.loads(path.read_text())) if path.exists() else Target()
    except (OSError, TypeError, tomllib.TOMLDecodeError) as error:
        raise StationError(f"{path}: {error}; delete it") from error


def opened(folder: Path) -> Station:
    """The desk's station with its development keys. StationError: the folder is a production station's."""
    secret = folder / PASSPHRASE_FILE
    if (folder / "factory.toml").exists() and not secret.exists():
        raise StationError(f"{folder}: a factory's station; `dev` takes a folder of its own")
    if not secret.exists():
        files.write(secret, secrets.token_urlsafe(24).encode())
    return stations.init(folder, Passphrase.read(secret), development=True)


def furnished(folder: Path, build: Path, sensor: str, target: Target) -> Station:
    """The desk's station with what is to be flashed; the model is signed anew with the desk's key."""
    made = opened(folder)
    keys, model = made.key("bundle"), Path(target.model)
    try:
        signed = bundles.sign(model.read_bytes(), keys.signer(), keys.newest)
        broker_ca = Path(target.broker_ca).read_bytes()
    except BundleError as error:
        raise PlanError([f"{model}: {error}"]) from error
    except OSError as error:
        raise PlanError([f"{error.filename}: {error.strerror}"]) from error
    files.write(folder / "model.whir", signed, 0o644)
    files.write(folder / "broker-ca.pem", broker_ca, 0o644)
    settings = f"""development = true       # keys of a desk; release builds refuse them
fleet_url = {_toml(target.fleet_url)}

[board.{BOARD}]
build = {_toml(str(build))}
model = "model.whir"
sensor = {_toml(sensor)}
noise_max_ug = 20000
"""
    files.write(folder / "factory.toml", settings.encode(), 0o644)
    return Station(folder, Passphrase.read(folder / PASSPHRASE_FILE))


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def batch(row: dict[str, str]) -> Batch:
    """A batch of one, checked as any other."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS)
    writer.writeheader()
    writer.writerow(row)
    return parse(out.getvalue().encode(), [BOARD], {}, "dev")
