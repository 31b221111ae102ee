"""Rollouts: each gate, each failure and each verb of docs/ROLLOUTS.md, with the time passed in."""

from __future__ import annotations

import contextlib
import itertools
import random
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from whir_fleet import commands, rollout_plans, rollouts
from whir_fleet.db import Database
from whir_fleet.errors import ConflictError, NotFoundError, RequestError
from whir_fleet.messages import Inbound
from whir_fleet.models import Command, Node, Rollout
from whir_fleet.rollout_plans import Plan
from whir_fleet.store import store

T0 = 1_790_000_000_000
NEW = {"model": "new", "model_version": "2", "counter": 2}


class Fleet:
    """A database with nodes n0 … and shorthand for what nodes, people and time do."""

    def __init__(self, database: Database, says: Callable[..., Inbound], sha256: str, nodes: int) -> None:
        self.database, self.says, self.sha256 = database, says, sha256
        self.seq: Counter[str] = Counter()
        for number in range(nodes):
            self.say(f"n{number}", "status")

    def say(self, node: str, topic: str, **fields: Any) -> None:
        self.seq[node] += 1
        with self.database.write() as session:
            store(session, [self.says(topic, node=node, seq=self.seq[node], **fields)], 100)

    def create(self, start: bool = True, **plan: Any) -> str:
        with self.database.write() as session:
            rollout = rollout_plans.create(session, Plan(name="test", sha256=self.sha256, **plan), "anna", T0)
            if start:
                rollouts.start(session, rollout.id)
        self.rollout = rollout.id
        self.advance()
        return rollout.id

    def advance(self, seconds: float = 0) -> None:
        with self.database.write() as session:
            rollouts.advance(session, T0 + int(seconds * 1000))

    def hand(self, verb: Callable[..., Rollout]) -> None:
        with self.database.write() as session:
            verb(session, self.rollout)
        self.advance()

    def command_of(self, node: str, c: str = "update") -> str:
        """Id of the node's newest command of this kind."""
        with self.database.read() as session:
            query = select(Command.id).join(Node, Node.id == Command.node_id).where(Node.name == node, Command.c == c)
            return session.scalars(query.order_by(Command.created_ms.desc())).first() or ""

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


@pytest.fixture
def fleet(database: Database, says: Callable[..., Inbound], artifact: str) -> Callable[[int], Fleet]:
    return lambda nodes: Fleet(database, says, artifact, nodes)


def test_the_canary_comes_first_and_the_others_follow_only_after_the_gate(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(4)
    f.create(canary=("n2",))
    assert f.actions == {"n2": "started", "n0": "waiting", "n1": "waiting", "n3": "waiting"}
    assert list(f.actions) == ["n2", "n0", "n1", "n3"]
    f.confirm("n2")
    assert Counter(f.actions.values()) == {"succeeded": 1, "started": 3}
    f.confirm("n0", "n1", "n3")
    assert (f.state, set(f.actions.values())) == ("finished", {"succeeded"})


def test_the_next_group_starts_at_the_gate_and_stragglers_may_finish_later(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(6)
    f.create(groups=("4", "100%"), success_percent=75)
    f.confirm("n0", "n1")
    assert f.actions["n4"] == "waiting"
    f.confirm("n2")
    assert (f.actions["n3"], f.actions["n4"]) == ("started", "started")
    f.confirm("n4", "n5")
    assert f.state == "running"
    f.confirm("n3")
    assert f.state == "finished"


def test_too_many_failures_abort_and_nobody_else_is_started(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(5)
    f.create(groups=("4", "100%"), abort_percent=50, abort_min=2)
    f.fail("n0")
    assert f.state == "running"
    f.fail("n1")
    assert f.state == "aborting"  # n2 and n3 come to their end first
    f.confirm("n2")
    f.fail("n3", kind="update_reverted", code="expired")
    assert f.state == "aborted"
    assert f.actions == {"n0": "failed", "n1": "failed", "n2": "succeeded", "n3": "failed", "n4": "cancelled"}
    assert "2 of 4 failed" in f.reason


def test_the_minimum_count_keeps_one_failure_of_a_small_group_from_aborting_but_not_from_halting(
    fleet: Callable[[int], Fleet],
) -> None:
    f = fleet(3)
    f.create(groups=("1", "100%"), abort_min=2)
    f.fail("n0")
    assert (f.state, f.reason) == ("halted", "group 0: 0 of 1 confirmed")
    assert f.actions["n1"] == "waiting"


def test_resume_acknowledges_the_known_failures(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(3)
    f.create(groups=("1", "100%"), abort_min=2)
    f.fail("n0")
    f.hand(rollouts.resume)
    assert (f.state, f.actions["n1"]) == ("running", "started")
    f.confirm("n1", "n2")
    assert (f.state, f.actions["n0"]) == ("finished", "failed")


def test_silence_past_the_deadline_is_failure(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(2)
    f.create(silence_s=100)
    f.advance(100)
    assert f.actions["n0"] == "started"
    f.advance(100.5)
    assert (f.actions["n0"], f.codes()["n0"], f.state) == ("failed", "silent", "aborted")


def test_a_success_that_is_taken_back_while_the_rollout_runs_is_a_failure(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(4)
    f.create(groups=("1", "100%"), abort_percent=30)
    f.confirm("n0")
    f.fail("n0", kind="update_reverted", code="expired")
    assert (f.actions["n0"], f.state) == ("failed", "aborting")


def test_halt_starts_no_one_else_and_resume_goes_on(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(2)
    f.create()
    f.hand(rollouts.halt)
    f.confirm("n0")
    assert (f.state, f.actions) == ("halted", {"n0": "succeeded", "n1": "waiting"})
    f.hand(rollouts.resume)
    assert f.actions["n1"] == "started"


def test_abort_with_revert_takes_the_new_model_back(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(3)
    f.create(groups=("2", "100%"), on_abort="revert")
    f.confirm("n0")
    f.hand(rollouts.abort)
    assert f.actions == {"n0": "rolling_back", "n1": "started", "n2": "cancelled"}
    f.confirm("n1")  # it was under way: it is let finish, then taken back like the other
    assert f.actions["n1"] == "rolling_back"
    for node in ("n0", "n1"):
        f.say(node, "event", kind="rollback_done", action=f.command_of(node, "rollback"))
    f.advance()
    assert (f.state, f.actions["n0"], f.actions["n1"]) == ("aborted", "rolled_back", "rolled_back")


def test_abort_with_keep_leaves_the_new_model_where_it_is(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(3)
    f.create(groups=("2", "100%"), on_abort="keep")
    f.confirm("n0")
    f.hand(rollouts.abort)
    f.confirm("n1")
    assert (f.state, f.actions) == ("aborted", {"n0": "succeeded", "n1": "succeeded", "n2": "cancelled"})


def test_a_rollback_that_the_node_refuses_or_that_stays_silent_has_failed(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(2)
    f.create(groups=("2",), on_abort="revert", silence_s=50)
    f.confirm("n0")
    f.hand(rollouts.abort)
    f.say("n0", "ack", id=f.command_of("n0", "rollback"), c="rollback", result="refused", code="state")
    f.advance(51)
    assert (f.state, f.codes()) == ("aborted", {"n0": "state", "n1": "silent"})


def test_a_node_that_runs_the_bundle_already_is_neither_sent_it_nor_rolled_back(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(2)
    f.say("n0", "status", trial=False, **NEW)
    f.create(on_abort="revert")
    assert (f.actions, f.command_of("n0")) == ({"n0": "succeeded", "n1": "started"}, "")
    f.hand(rollouts.abort)
    assert f.actions["n0"] == "succeeded"


def test_a_node_on_trial_is_not_yet_there(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(1)
    f.say("n0", "status", trial=True, **NEW)
    f.create()
    assert f.actions == {"n0": "started"}


def test_confirming_another_model_is_no_success(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(1)
    f.create()
    f.say("n0", "event", kind="update_confirmed", action=f.command_of("n0"), model="new", model_version="1", counter=2)
    assert (f.actions, f.codes()) == ({"n0": "failed"}, {"n0": "wrong_model"})


def test_reports_of_foreign_actions_and_from_foreign_nodes_change_nothing(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(2)
    f.create()
    f.say("n1", "event", kind="update_confirmed", action=f.command_of("n0"), **NEW)
    f.say("n0", "event", kind="update_confirmed", action="01JUNKNOWN", **NEW)
    f.say("n0", "event", kind="update_confirmed", **NEW)
    assert f.actions == {"n0": "started", "n1": "waiting"}


def test_what_has_ended_stays_ended(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(2)
    f.create(groups=("2",), abort_min=2)
    f.fail("n0")
    f.confirm("n0")
    assert f.actions["n0"] == "failed"


def test_a_refusing_answer_is_failure_and_busy_is_none(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(2)
    f.create(groups=("2",), abort_min=2)
    f.say("n0", "ack", id=f.command_of("n0"), c="update", result="refused", code="busy")
    f.say("n1", "ack", id=f.command_of("n1"), c="update", result="expired", code="expired")
    assert (f.actions, f.codes()["n1"]) == ({"n0": "started", "n1": "failed"}, "expired")


def test_a_command_goes_out_once_per_connection_until_it_is_answered_and_again_after_a_boot(
    fleet: Callable[[int], Fleet], database: Database
) -> None:
    f = fleet(1)
    f.create()

    def due(seconds: float) -> bool:
        """Whether it has to go out now; if so, it does."""
        now = T0 + int(seconds * 1000)
        with database.write() as session:
            found = commands.due(session, now, resend_s=15)
            for command, node in found:
                commands.sent(session.get_one(Command, command.id), session.get_one(Node, node.id), now)
        return bool(found)

    assert due(0)
    assert not due(14)
    assert due(15)
    f.say("n0", "status", conn=2)
    assert due(16)
    f.say("n0", "ack", id=f.command_of("n0"), c="update", result="accepted")
    f.say("n0", "status", conn=3)
    assert not due(100)
    f.say("n0", "status", boot=2, conn=1)
    assert due(101)
    with database.write() as session:  # the broker says that it has lost the node
        store(session, [f.says("status", node="n0", boot=2, conn=1, state="lost", ts=..., synced=...)], 100)
    assert not due(200)
    f.say("n0", "status", boot=2, conn=2, state="stopped")
    assert not due(201)
    f.say("n0", "status", boot=2, conn=3)
    assert due(202)
    f.confirm("n0")
    assert not due(300)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_gates_hold_and_it_comes_to_an_end(fleet: Callable[[int], Fleet], seed: int) -> None:
    rng = random.Random(seed)
    f = fleet(5)
    f.create(
        groups=rng.choice([("1", "100%"), ("2", "60%", "100%")]),
        on_abort=rng.choice(["keep", "revert"]),
        abort_min=rng.choice([1, 2]),
        success_percent=rng.choice([50, 100]),
        silence_s=100,
    )
    seconds = 0.0
    for _ in range(25):
        before = f.actions
        node = f"n{rng.randrange(5)}"
        match rng.randrange(8):
            case 0 | 1 | 2:
                f.confirm(node)
            case 3:
                f.fail(node, kind=rng.choice(["update_refused", "update_reverted"]))
            case 4:
                f.say(node, "event", kind="rollback_done", action=f.command_of(node, "rollback"))
            case 5:
                with contextlib.suppress(ConflictError):
                    f.hand(rng.choice([rollouts.halt, rollouts.resume]))
            case 6:
                seconds += 40
            case 7:
                f.say(node, "status", conn=rng.randrange(5))
        f.advance(seconds)
        ended = ("failed", "cancelled", "rolled_back")
        assert all(f.actions[name] == state for name, state in before.items() if state in ended)
        with f.database.read() as session:
            groups = rollouts.groups_of(session, f.rollout)
            rollout = session.get_one(Rollout, f.rollout)
            actions = rollouts.actions_of(session, f.rollout)
        for group, following in itertools.pairwise(groups):
            if group.state == "running" and following.state == "running":
                mine = [a for a in actions if a.number == group.number and not a.acknowledged]
                once = sum(a.state in ("succeeded", "failed") for a in mine)  # a success may have been taken back since
                assert once * 100 >= rollout.success_percent * len(mine)
        assert all(a.state == "waiting" for a in actions for g in groups if a.number == g.number and g.state == "waiting")
    for _ in range(4):
        seconds += 200
        f.advance(seconds)
    assert f.state in ("finished", "aborted", "halted")
    assert not set(f.actions.values()) & set(rollouts.OPEN_ACTIONS)


def test_one_rollout_at_a_time(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(1)
    f.create()
    with pytest.raises(ConflictError, match="one at a time"):
        f.create()


def test_what_is_not_possible_is_refused(fleet: Callable[[int], Fleet], database: Database) -> None:
    f = fleet(1)
    f.create(start=False)
    for verb in (rollouts.halt, rollouts.resume):
        with pytest.raises(ConflictError, match="ready"):
            f.hand(verb)
    with database.write() as session, pytest.raises(NotFoundError):
        rollouts.start(session, "nope")


@pytest.mark.parametrize(
    "plan", [{"canary": ("nobody",)}, {"nodes": ("nobody",)}, {"site": "elsewhere"}, {"nodes": ("n0",), "canary": ("n1",)}]
)
def test_a_plan_without_its_nodes_is_refused(fleet: Callable[[int], Fleet], plan: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="node"):
        fleet(2).create(**plan)


def test_nodes_of_another_hardware_class_are_left_out(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(2)
    f.say("n0", "status", hardware="esp32")
    f.create()
    assert list(f.actions) == ["n1"]


def test_the_page_shows_exactly_the_tables() -> None:
    text = (Path(__file__).parents[2] / "docs" / "ROLLOUTS.md").read_text()
    for title, machine in (("Rollout", rollouts.ROLLOUT), ("Group", rollouts.GROUP), ("Action", rollouts.ACTION)):
        section = re.split(r"^## ", text, flags=re.M)
        (mine,) = [part for part in section if part.startswith(f"{title}\n")]
        rows = {(a, b): c for a, b, c in re.findall(r"^\| `(\w+)` \| `(\w+)` \| `(\w+)` \|", mine, flags=re.M)}
        assert rows == machine
