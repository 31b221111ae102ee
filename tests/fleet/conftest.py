"""A migrated database, and nodes' messages as bytes."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import signed_bundle
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from rollout_fleet import Fleet
from signed_bundle import FIELDS, KEY, KEY_ID

from whir_contracts.capture import Chunk, frames_max
from whir_contracts.contract import CaptureTrigger, Unit
from whir_fleet.db import Database
from whir_fleet.messages import Inbound
from whir_fleet.models import Artifact
from whir_tools.bench.fleet.postgres import Postgres

_numbers = itertools.count()
T0 = 1_790_000_000_000  # ms since 1970
DEFAULTS: dict[str, dict[str, Any]] = {
    "status": {"conn": 1, "state": "ok", "next_s": 60, "hardware": "host", "model": "old", "model_version": "1", "counter": 1},
    "telemetry": {"verdict": "normal", "p": 930, "windows": 8},
    "alert": {"occurrence": "n1-1-5", "state": "active", "severity": "warning", "verdict": "bearing", "p": 910},
    "event": {"kind": "boot"},
    "ack": {"id": "01J", "c": "measure", "result": "ok"},
}  # fmt: skip


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL for all tests, with a migrated database `migrated` to copy."""
    with Postgres(durable=False) as server:
        first = Database(server.create("migrated"))
        first.migrate()
        first.close()
        yield server


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite database to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    first = Database(f"sqlite:///{path}")
    first.migrate()
    first.close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    """Each in turn."""
    name: str = request.param
    return name


@pytest.fixture
def database_url(request: pytest.FixtureRequest, engine: str, tmp_path: Path, migrated_file: Path) -> str:
    """Of a migrated, empty database, on either engine in turn."""
    if engine == "sqlite":
        return f"sqlite:///{shutil.copy(migrated_file, tmp_path / 'fleet.db')}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.create(f"test_{next(_numbers)}", template="migrated")


@pytest.fixture
def engine_url(request: pytest.FixtureRequest, engine: str, tmp_path: Path) -> Callable[[], str]:
    """Makes databases that hold nothing at all, on the same engine."""

    def make() -> str:
        number = next(_numbers)
        if engine == "sqlite":
            return f"sqlite:///{tmp_path / f'empty_{number}.db'}"
        server: Postgres = request.getfixturevalue("postgres")
        return server.create(f"empty_{number}")

    return make


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    yield made
    made.close()


@pytest.fixture
def says() -> Callable[..., Inbound]:
    """One message of a node: `says("telemetry", seq=3, p=900)`. A field given as `...` is left out."""

    def make(topic: str, *, node: str = "n1", site: str = "lab", received_ms: int = T0, **fields: Any) -> Inbound:
        body = {"v": 1, "boot": 1, "ts": received_ms, "synced": True, **DEFAULTS[topic], **fields}
        body = {name: value for name, value in body.items() if value is not ...}
        return Inbound(f"whir/v1/{site}/{node}/{topic}", json.dumps(body).encode(), received_ms)

    return make


@pytest.fixture
def chunks() -> Callable[..., list[Inbound]]:
    """The messages of a node's capture: `chunks(counts, seq=10, capture=1, rate_mhz=6664000)`, of an alert's by default."""

    def make(counts: np.ndarray[Any, np.dtype[np.int16]], *, node: str = "n1", seq: int = 10, **fields: Any) -> list[Inbound]:
        size = frames_max(counts.shape[1])
        own: dict[str, Any] = {
            "boot": 1, "ts": T0, "synced": True, "trigger": CaptureTrigger.ALERT, "unit": Unit.G, "rate_mhz": 6_664_000,
            "lsb_nano": 488_000, "capture_boot": 1, "capture": 1, "samples": len(counts), "pre": 100,
            "chunks": -(-len(counts) // size), "occurrence": 5, "action": None,
        }  # fmt: skip
        made = []
        for number, first in enumerate(range(0, len(counts), size)):
            place = {"seq": seq + number, "chunk": number, "first": first, "frames": counts[first : first + size]}
            chunk = Chunk(**{**own, **fields, **place})
            made.append(Inbound(f"whir/v1/lab/{node}/capture", chunk.write(), chunk.ts + 500))
        return made

    return make


@pytest.fixture
def artifact(database: Database) -> str:
    """A bundle of model `new`, version 2, counter 2 for hardware `host`; its SHA-256."""
    sha256 = "ab" * 32
    with database.write() as session:
        session.add(
            Artifact(
                sha256=sha256,
                bytes=1000,
                model="new",
                model_version="2",
                counter=2,
                hardware="host",
                key_id=1,
                classes=["normal", "bearing"],
                uploaded_ms=T0,
                uploaded_by="test",
                pass_through=False,
            )
        )
    return sha256


@pytest.fixture
def fleet(database: Database, says: Callable[..., Inbound], artifact: str) -> Callable[[int], Fleet]:
    """For rollouts of that bundle: `fleet(3)` has nodes n0, n1 and n2."""
    return lambda nodes: Fleet(database, says, artifact, nodes)


_FIELDS = replace(FIELDS, model_name="new", security_counter=2, hardware_class="host", classes=("normal", "bearing"))


@pytest.fixture(scope="session")
def make_bundle() -> Callable[..., bytes]:
    """A signed bundle that the core accepts: `make_bundle(security_counter=3)`. Another `key` makes it a stranger's."""

    def make(key: ec.EllipticCurvePrivateKey = KEY, key_id: int = KEY_ID, evaluation: bytes = b"{}", **fields: Any) -> bytes:
        return signed_bundle.make(replace(_FIELDS, **fields), key=key, key_id=key_id, evaluation=evaluation)

    return make


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder with the public key of `make_bundle`."""
    folder = tmp_path / "keys"
    folder.mkdir()
    pem = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{KEY_ID}.pem").write_bytes(pem)
    return folder
