"""Rollouts to virtual nodes, the real core: what the fleet tells and what a node makes of it, without a broker between them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from rig import KEY, KEYS, SENSOR, bundle, signal
from sqlalchemy import select

from whir_contracts.contract import Profile
from whir_fleet import artifacts, commands, messages, rollout_plans, rollout_steps, rollouts
from whir_fleet.bundle_store import BundleStore
from whir_fleet.db import Database
from whir_fleet.messages import Inbound
from whir_fleet.models import Command, Node, Rollout
from whir_fleet.rollout_plans import Plan
from whir_fleet.store import store
from whir_node.errors import CoreError
from whir_node.firmware import pack, virtual_image
from whir_node.node import NodeConfig, VirtualNode
from whir_node.store import MemoryStore

T0 = 1_790_000_000_000
NAME = ("lab", "n1")


class Plant:
    """One node and the fleet's database. `round()` brings everything that waits across, either way, and a second passes."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.store = database, BundleStore(folder)
        self.texts = MemoryStore({"broker": "mqtts://old"})
        self.out: list[Inbound] = []
        self.wanted = ""
        self.now_ms = T0
        config = NodeConfig(site="lab", name="n1", sensor=SENSOR, profile=Profile.FAST, firmware_version="0.1.0")
        self.node = VirtualNode(config, public_keys=KEYS, link=self, first_bundle=bundle(), store=self.texts)
        self.conn()

    def publish(self, topic: str, payload: bytes, retained: bool) -> bool:
        if topic != "capture":
            self.out.append(Inbound(f"whir/v1/lab/n1/{topic}", payload, self.now_ms))
        return True

    def fetch(self, url: str, size: int) -> bool:
        self.wanted = url
        return True

    def conn(self) -> None:
        self.node.will()
        self.node.connected(True)

    def upload(self, data: bytes) -> str:
        with self.database.write() as session:
            return artifacts.upload(session, self.store, dict(KEYS), data, "anna", T0).sha256

    def start(self, sha256: str, **plan: object) -> str:
        with self.database.write() as session:
            made = rollout_plans.create(session, Plan(name="test", sha256=sha256, **plan), "anna", T0)  # type: ignore[arg-type]
            rollouts.start(session, made.id, self.now_ms)
            return made.id

    def state(self, rollout: str) -> str:
        with self.database.read() as session:
            return session.get_one(Rollout, rollout).state

    def round(self, kind: str = "healthy") -> None:
        self.now_ms += 1000
        self.node.push(signal(kind, 1, self.now_ms // 1000 % 97))
        self.node.wait(100)
        taken, self.out = self.out, []
        with self.database.write() as session:
            stored = store(session, taken, 100)
            rollout_steps.advance(session, self.now_ms)
            session.flush()
            due = commands.due(session, self.now_ms, 15)
            for command, node in due:
                commands.sent(session.get_one(Command, command.id), session.get_one(Node, node.id), self.now_ms)
        for payload in messages.receipts(stored.receipts.get(NAME, [])):
            self.tell(payload)
        for command, _ in due:
            args = dict(command.args)
            if "sha256" in args:
                args["url"] = args.pop("sha256")
            self.tell(messages.command(command.c, id=command.id, exp=command.exp_s, **args))
        if self.wanted:
            data, self.wanted = self.store.path(self.wanted).read_bytes(), ""
            self.deliver(data)
        if self.node.restart_asked:
            self.node.reboot("software")
            self.conn()

    def tell(self, payload: bytes) -> None:
        self.node.command(json.loads(payload))

    def deliver(self, data: bytes) -> None:
        at = 0
        with suppress(CoreError):  # refused, and an event says why
            while at < len(data):
                if self.node.bundle_data(data[at : at + 4096]):
                    at += 4096
                else:
                    self.node.wait(50)
            self.node.bundle_end()

    def until(self, rollout: str, state: str, rounds: int, kind: str = "healthy") -> None:
        for _ in range(rounds):
            if self.state(rollout) == state:
                return
            self.round(kind)
        pytest.fail(f"it is {self.state(rollout)} after {rounds} s")


@pytest.fixture
def plant(migrated_file: Path, tmp_path: Path) -> Iterator[Plant]:
    path = tmp_path / "fleet.db"
    path.write_bytes(migrated_file.read_bytes())
    database = Database(f"sqlite:///{path}")
    made = Plant(database, tmp_path)
    with closing(database), closing(made.node):
        made.round()
        yield made


def test_a_model_runs_in_the_shadow_and_then_in_service(plant: Plant) -> None:
    rollout = plant.start(plant.upload(bundle(version="2", counter=2)), shadow_s=20)
    plant.until(rollout, "finished", 60)
    with plant.database.read() as session:
        (action,) = rollouts.actions_of(session, rollout)
        assert action.shadow is not None
        assert (action.shadow["pairs"] > 30, action.shadow["differ"]) == (True, 0)
    assert (plant.node.look().model_version, plant.node.look().trial) == ("2", False)


def test_a_model_that_is_deaf_to_a_fault_is_halted_in_the_shadow_and_never_in_service(plant: Plant) -> None:
    for _ in range(4):
        plant.round("bearing")
    rollout = plant.start(plant.upload(bundle(version="2", counter=2, classes=("healthy", "imbalance"))), shadow_s=20)
    plant.until(rollout, "halted", 60, "bearing")
    with plant.database.read() as session:
        assert "shadow run: " in str(session.get_one(Rollout, rollout).reason)
    assert plant.node.look().model_version == "1"


def test_a_firmware_is_fetched_proven_and_kept(plant: Plant) -> None:
    package = pack(virtual_image("0.2.0", 1, b"x" * 20_000), hardware_class="host", private_key=KEY, key_id=1)
    plant.until(plant.start(plant.upload(package)), "finished", 60)
    assert (plant.node.firmware.running, plant.node.firmware.on_trial) == ("0.2.0", False)


@pytest.mark.parametrize("values", [{"rpm": "1480", "axes": "+x+y+z"}, {"broker": "mqtts://new"}], ids=["held", "tried"])
def test_settings_are_told_the_node_restarts_and_reports_them(plant: Plant, values: dict[str, str]) -> None:
    plant.round()
    with plant.database.read() as session:
        before = session.scalars(select(Node.settings)).one()
    with plant.database.write() as session:
        sha256 = artifacts.settings(session, "test", values, "anna", T0).sha256
    plant.until(plant.start(sha256), "finished", 60)
    assert values.items() <= plant.texts.sets[0].items()
    plant.round()
    with plant.database.read() as session:
        assert session.scalars(select(Node.settings)).one() not in (None, before)
