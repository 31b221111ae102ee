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
from rollout_fleet import NEW, T0, Fleet

from whir_fleet import commands, rollout_tables, rollouts
from whir_fleet.db import Database
from whir_fleet.errors import ConflictError, ForbiddenError, NotFoundError, RequestError
from whir_fleet.models import Action, Command, Node, Rollout, RolloutGroup
from whir_fleet.store import store


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


@pytest.mark.parametrize("seed", range(4))
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
    assert not set(f.actions.values()) & set(rollout_tables.OPEN_ACTIONS)


def test_a_newer_rollout_supersedes_what_an_older_one_has_not_ended(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(4)
    older = f.create(groups=("2", "100%"))
    f.confirm("n0")
    newest = f.add_artifact("3", 3)
    f.create(sha256=newest, nodes=("n1", "n2"), groups=("100%",))
    assert f.actions == {"n1": "started", "n2": "started"}
    f.rollout = older
    assert f.actions == {"n0": "succeeded", "n1": "superseded", "n2": "superseded", "n3": "started"}
    f.confirm("n3")  # what was superseded counts neither way
    assert f.state == "finished"


def test_what_an_older_rollout_reports_after_it_was_superseded_changes_nothing(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(1)
    older = f.create()
    told = f.command_of("n0")
    newer = f.create(sha256=f.add_artifact("3", 3))
    f.say("n0", "event", kind="update_confirmed", action=told, **NEW)
    f.advance()
    for rollout, state in ((older, "superseded"), (newer, "started")):
        f.rollout = rollout
        assert f.actions == {"n0": state}


def test_a_rollback_under_way_is_waited_for_before_the_next_update(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(2)
    older = f.create(groups=("1", "100%"), on_abort="revert")
    f.confirm("n0")
    f.hand(rollouts.abort)
    newer = f.create(sha256=f.add_artifact("3", 3), groups=("100%",))
    assert f.actions == {"n0": "waiting", "n1": "started"}
    f.rollout = older
    f.say("n0", "event", kind="rollback_done", action=f.command_of("n0", "rollback"))
    f.advance(1)
    assert f.state == "aborted"
    f.rollout = newer
    assert f.actions == {"n0": "started", "n1": "started"}


def test_a_late_joiner_enters_the_newest_group_that_has_begun(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(2)
    f.create(groups=("1", "100%"))
    f.say("n7", "status")
    f.say("n8", "status", hardware="esp32")
    f.advance(1)
    assert f.actions == {"n0": "started", "n1": "waiting", "n7": "started"}
    f.confirm("n0", "n7")
    f.confirm("n1")
    assert f.state == "finished"


def test_a_rollout_for_named_nodes_has_no_late_joiners(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(1)
    f.create(nodes=("n0",))
    f.say("n7", "status")
    f.advance(1)
    assert list(f.actions) == ["n0"]


def test_selectors_choose_the_nodes_and_their_groups(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(5)
    f.tag("pilot", "n3", "n4")
    f.tag("spare", "n0")
    f.create(where=("tag=pilot", "tag=spare"), groups=("tag=pilot", "100%"))
    assert f.actions == {"n3": "started", "n4": "started", "n0": "waiting"}


def test_pass_through_bundles_come_first_each_with_its_own_confirmation(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(2)
    for version, counter in (("3", 3), ("4", 4)):
        f.add_artifact(version, counter, pass_through=True)
    f.say("n1", "status", model="new", model_version="3", counter=3)
    f.create(sha256=f.add_artifact("5", 5), groups=("100%",))

    def confirm(node: str, version: str) -> str:
        told = f.command_of(node)
        f.say(node, "event", kind="update_confirmed", action=told, model="new", model_version=version, counter=int(version))
        f.advance()
        with f.database.read() as session:
            return str(session.get_one(Command, told).args["sha256"][:2])

    assert [confirm("n1", version) for version in ("4", "5")] == ["04", "05"]
    assert [confirm("n0", version) for version in ("3", "4")] == ["03", "04"]
    assert f.actions == {"n0": "started", "n1": "succeeded"}
    confirm("n0", "5")
    assert f.state == "finished"


def test_somebody_else_has_to_approve_what_was_proposed(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(1)
    f.create(start=False, state="proposed")
    with pytest.raises(ConflictError, match="proposed"):
        f.hand(rollouts.start, T0)
    with pytest.raises(ForbiddenError, match="somebody else"):
        f.hand(rollouts.approve, "anna")
    f.hand(rollouts.approve, "ben")
    f.hand(rollouts.start, T0)
    assert (f.state, f.actions) == ("running", {"n0": "started"})


def test_what_is_not_possible_is_refused(fleet: Callable[[int], Fleet], database: Database) -> None:
    f = fleet(1)
    f.create(start=False)
    for verb in (rollouts.halt, rollouts.resume):
        with pytest.raises(ConflictError, match="ready"):
            f.hand(verb)
    with database.write() as session, pytest.raises(NotFoundError):
        rollouts.start(session, "nope", T0)


@pytest.mark.parametrize(
    "plan",
    [{"canary": ("nobody",)}, {"nodes": ("nobody",)}, {"where": ("site=elsewhere",)}, {"nodes": ("n0",), "canary": ("n1",)}],
)
def test_a_plan_without_its_nodes_is_refused(fleet: Callable[[int], Fleet], plan: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="node"):
        fleet(2).create(**plan)


def test_nodes_of_another_hardware_class_are_left_out(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(2)
    f.say("n0", "status", hardware="esp32")
    f.create()
    assert list(f.actions) == ["n1"]


@pytest.mark.parametrize(
    ("made", "table"),
    [(Rollout, rollout_tables.ROLLOUT), (RolloutGroup, rollout_tables.GROUP), (Action, rollout_tables.ACTION)],
)
def test_in_every_state_everything_that_can_happen_does_what_the_table_says(
    made: type[Rollout] | type[RolloutGroup] | type[Action], table: dict[tuple[str, str], str]
) -> None:
    states = {state for state, _ in table} | set(table.values())
    for state, happens in itertools.product(sorted(states), sorted({what for _, what in table})):
        thing = made(state=state)
        assert rollout_tables.move(thing, happens) == ((state, happens) in table)
        assert thing.state == table.get((state, happens), state)


@pytest.mark.parametrize("table", [rollout_tables.ROLLOUT, rollout_tables.GROUP, rollout_tables.ACTION])
def test_every_state_can_be_reached_and_leads_to_an_end(table: dict[tuple[str, str], str]) -> None:
    begin = next(iter(table))[0]
    states = {state for state, _ in table} | set(table.values())

    def reach(first: str) -> set[str]:
        seen, new = set(), {first}
        while new:
            seen |= new
            new = {after for (before, _), after in table.items() if before in seen} - seen
        return seen

    ends = states - {state for state, _ in table}
    assert reach(begin) == states
    assert all(reach(state) & ends for state in states)


def test_the_page_shows_exactly_the_tables() -> None:
    text = (Path(__file__).parents[2] / "docs" / "ROLLOUTS.md").read_text()
    for title, machine in (
        ("Rollout", rollout_tables.ROLLOUT),
        ("Group", rollout_tables.GROUP),
        ("Action", rollout_tables.ACTION),
    ):
        section = re.split(r"^## ", text, flags=re.M)
        (mine,) = [part for part in section if part.startswith(f"{title}\n")]
        rows = {(a, b): c for a, b, c in re.findall(r"^\| `(\w+)` \| `(\w+)` \| `(\w+)` \|", mine, flags=re.M)}
        assert rows == machine
