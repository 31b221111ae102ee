"""Reconciliation: what a node confirmed is sent again when it reports something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rollout_fleet import NEW, T0, Fleet
from sqlalchemy import select

from whir_fleet import commands, desired
from whir_fleet.models import Command, Desired, Node

OLD = {"model": "old", "model_version": "1", "counter": 1}
HOUR_S = 3600


@pytest.fixture
def settled(fleet: Callable[[int], Fleet]) -> Fleet:
    """Two nodes that have confirmed, and say so in their status."""
    f = fleet(2)
    f.create(groups=("100%",))
    f.confirm("n0", "n1")
    for node in ("n0", "n1"):
        f.say(node, "status", **NEW)
    return f


def sent(f: Fleet, seconds: float) -> list[str]:
    """Names of the nodes that are sent their bundle now."""
    with f.database.write() as session:
        made = desired.reconcile(session, T0 + int(seconds * 1000))
        return [session.get_one(Node, command.node_id).name for command in made]


def test_a_node_that_runs_its_bundle_is_left_alone(settled: Fleet) -> None:
    assert sent(settled, HOUR_S) == []


def test_a_node_that_lost_its_bundle_gets_it_again_with_longer_and_longer_pauses(settled: Fleet) -> None:
    settled.say("n1", "status", boot=2, **OLD)
    assert sent(settled, 60) == []  # its status may be older than its confirmation
    times = [hours for hours in range(1, 40) if sent(settled, hours * HOUR_S)]
    assert times == [1, 2, 4, 8, 16, 32]


def test_what_came_back_by_itself_is_no_longer_pending_and_is_tried_at_once_the_next_time(settled: Fleet) -> None:
    settled.say("n1", "status", boot=2, **OLD)
    assert sent(settled, HOUR_S) == ["n1"]
    told = settled.command_of("n1")
    settled.say("n1", "event", boot=2, kind="update_confirmed", action=told, **NEW)
    settled.say("n1", "status", boot=2, **NEW)
    with settled.database.read() as session:
        assert session.get_one(Command, told).state == commands.DONE
    assert sent(settled, 3 * HOUR_S) == []
    with settled.database.read() as session:
        node = session.scalars(select(Node).where(Node.name == "n1")).one()
        assert session.get_one(Desired, (node.id, "model")).tries == 0


@pytest.mark.parametrize(
    "status", [{**OLD, "trial": True}, {"model": "newer", "model_version": "9", "counter": 9}], ids=["on trial", "newer"]
)
def test_a_node_on_trial_or_with_a_newer_bundle_is_left_alone(settled: Fleet, status: dict[str, Any]) -> None:
    settled.say("n1", "status", boot=2, **status)
    assert sent(settled, HOUR_S) == []


def test_a_rollback_takes_the_wish_back(settled: Fleet) -> None:
    settled.say("n1", "event", kind="rollback_done", action="01JBYHAND")
    settled.say("n1", "status", boot=2, **OLD)
    assert sent(settled, HOUR_S) == []


def test_a_node_that_a_rollout_is_at_work_on_is_left_to_it(settled: Fleet) -> None:
    settled.say("n1", "status", boot=2, **OLD)
    settled.create(sha256=settled.add_artifact("3", 3), groups=("100%",))
    assert sent(settled, HOUR_S) == []


def test_a_node_without_any_model_is_sent_its_bundle(settled: Fleet) -> None:
    settled.say("n1", "status", boot=2, state="no_model", model=None, model_version=None, counter=None)
    assert sent(settled, HOUR_S) == ["n1"]
