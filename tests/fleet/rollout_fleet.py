"""A database with nodes, and shorthand for what nodes, people and time do in a rollout."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from whir_fleet import devices, rollout_plans, rollout_steps, rollouts
from whir_fleet.db import Database
from whir_fleet.messages import Inbound
from whir_fleet.models import Artifact, Command, Node, Rollout
from whir_fleet.rollout_plans import Plan
from whir_fleet.store import store

T0 = 1_790_000_000_000
NEW = {"model": "new", "model_version": "2", "counter": 2}


class Fleet:
    """A database with nodes n0 … and shorthand for what nodes, people and time do."""

    def __init__(self, database: Database, says: Callable[..., Inbound], sha256: str, nodes: int) -> None:
        self.database, self.says, self.sha256 = database, says, sha256
        self.seq: Counter[str] = Counter()
        self._starts = itertools.count()
        self.rollout = ""
        for number in range(nodes):
            self.say(f"n{number}", "status")

    def say(self, node: str, topic: str, **fields: Any) -> None:
        self.seq[node] += 1
        with self.database.write() as session:
            store(session, [self.says(topic, node=node, seq=self.seq[node], **fields)], 100)

    def create(self, start: bool = True, state: str = "ready", **plan: Any) -> str:
        plan = {"name": "test", "sha256": self.sha256} | plan
        with self.database.write() as session:
            rollout = rollout_plans.create(session, Plan(**plan), "anna", T0, state)
            if start:
                rollouts.start(session, rollout.id, T0 + next(self._starts))
        self.rollout = rollout.id
        self.advance()
        return rollout.id

    def advance(self, seconds: float = 0) -> None:
        with self.database.write() as session:
            rollout_steps.advance(session, T0 + int(seconds * 1000))

    def hand(self, verb: Callable[..., Rollout], *more: Any) -> None:
        with self.database.write() as session:
            verb(session, self.rollout, *more)
        self.advance()

    def command_of(self, node: str, c: str = "update") -> str:
        """Id of the node's newest command of this kind."""
        with self.database.read() as session:
            query = select(Command.id).join(Node, Node.id == Command.node_id).where(Node.name == node, Command.c == c)
            return session.scalars(query.order_by(Command.created_ms.desc(), Command.id.desc())).first() or ""

    def confirm(self, *nodes: str) -> None:
        for node in nodes:
            self.say(node, "event", kind="update_confirmed", action=self.command_of(node), **NEW)
        self.advance()

    def fail(self, *nodes: str, kind: str = "update_refused", code: str = "bundle_signature") -> None:
        for node in nodes:
            self.say(node, "event", kind=kind, code=code, action=self.command_of(node))
        self.advance()

    @property
    def state(self) -> str:
        with self.database.read() as session:
            return session.get_one(Rollout, self.rollout).state

    @property
    def reason(self) -> str:
        with self.database.read() as session:
            return session.get_one(Rollout, self.rollout).reason or ""

    @property
    def actions(self) -> dict[str, str]:
        with self.database.read() as session:
            names = {node.id: node.name for node in session.scalars(select(Node))}
            return {names[action.node_id]: action.state for action in rollouts.actions_of(session, self.rollout)}

    def codes(self) -> dict[str, str | None]:
        with self.database.read() as session:
            names = {node.id: node.name for node in session.scalars(select(Node))}
            return {names[action.node_id]: action.code for action in rollouts.actions_of(session, self.rollout)}

    def add_artifact(self, version: str, counter: int, pass_through: bool = False) -> str:
        """Another bundle of model `new`; its SHA-256."""
        sha256 = f"{counter:02x}" * 32
        with self.database.write() as session:
            known = session.get_one(Artifact, self.sha256)
            same = {"model": "new", "hardware": known.hardware, "key_id": 1, "classes": known.classes, "bytes": 1000}
            session.add(
                Artifact(
                    sha256=sha256,
                    model_version=version,
                    counter=counter,
                    uploaded_ms=T0,
                    uploaded_by="test",
                    pass_through=pass_through,
                    **same,
                )
            )
        return sha256

    def tag(self, tag: str, *nodes: str) -> None:
        with self.database.write() as session:
            for node in nodes:
                devices.set_tags(session, devices.find(session, "lab", node), [tag])
