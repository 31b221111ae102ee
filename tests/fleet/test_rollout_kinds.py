"""Rollouts of firmware and settings: by the same groups, gates and tables as models, and in a safe order beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rollout_fleet import NEW, T0, Fleet
from sqlalchemy import select

from whir_contracts.contract import SETTINGS_TRIAL_MS, EventKind
from whir_fleet import artifacts, commands, desired, rollout_kinds, rollouts
from whir_fleet.errors import RequestError
from whir_fleet.models import Artifact, Command, Node

Make = Callable[[int], Fleet]


def firmware(f: Fleet, version: str, pass_through: bool = False, extractors: tuple[int, int] = (1, 1)) -> str:
    """A package for hardware `host`; its SHA-256."""
    sha256 = version.replace(".", "").rjust(64, "f")
    with f.database.write() as session:
        made = Artifact(sha256=sha256, kind="firmware", bytes=900, model="firmware", model_version=version, counter=1)
        made.hardware, made.key_id, made.classes, made.uploaded_ms, made.uploaded_by = "host", 1, [], T0, "test"
        made.pass_through, (made.extractor_min, made.extractor_max) = pass_through, extractors
        session.add(made)
    return sha256


def settings(f: Fleet, **values: str) -> str:
    with f.database.write() as session:
        return artifacts.settings(session, "test", values, "anna", T0).sha256


def told(f: Fleet, node: str) -> list[tuple[str, dict[str, Any]]]:
    """What the node was told, in order."""
    with f.database.read() as session:
        query = select(Command).join(Node, Node.id == Command.node_id).where(Node.name == node)
        return [(c.c, c.args) for c in session.scalars(query.order_by(Command.created_ms, Command.id))]


def send(f: Fleet, seconds: float = 0) -> None:
    """The worker's part: commands go out."""
    now = T0 + int(seconds * 1000)
    with f.database.write() as session:
        for command, node in commands.due(session, now, resend_s=15):
            commands.sent(session.get_one(Command, command.id), session.get_one(Node, node.id), now)


def answer(f: Fleet, node: str, c: str, result: str = "ok", **fields: Any) -> None:
    send(f)
    f.say(node, "ack", id=f.command_of(node, c), c=c, result=result, **fields)


def apply(f: Fleet, node: str, count: int, boot: int = 2, kept: bool = True) -> None:
    """The node takes so many settings, restarts with them, and says so."""
    for _ in range(count):
        answer(f, node, "setting")
    answer(f, node, "restart")
    f.say(node, "event", kind="boot", boot=boot)
    f.say(node, "event", kind="settings_kept" if kept else "settings_reverted", boot=boot + (not kept))
    f.advance()


def flash(f: Fleet, node: str, version: str, kind: str = "firmware_confirmed", **fields: Any) -> None:
    f.say(node, "event", kind=kind, action=f.command_of(node, "firmware"), fw=version, **fields)
    f.advance()


# Firmware -------------------------------------------------------------------------------------------------------------


def test_a_firmware_goes_out_by_groups_and_counts_when_its_version_is_confirmed(fleet: Make) -> None:
    f = fleet(3)
    sha256 = firmware(f, "0.3.0")
    f.create(sha256=sha256, groups=("1", "100%"), trial_s=77)
    assert told(f, "n0") == [("firmware", {"sha256": sha256, "bytes": 900, "deadline_s": 77})]
    answer(f, "n0", "firmware", "accepted")
    flash(f, "n0", "0.3.0", "firmware_trial")
    assert (f.actions["n0"], f.actions["n1"]) == ("accepted", "waiting")
    flash(f, "n0", "0.3.0")
    assert (f.actions["n0"], f.actions["n1"]) == ("succeeded", "started")
    for node in ("n1", "n2"):
        flash(f, node, "0.3.0")
    assert f.state == "finished"


@pytest.mark.parametrize(
    ("kind", "version", "code"),
    [
        ("firmware_refused", "0.2.0", "firmware_signature"),
        ("firmware_reverted", "0.2.0", "firmware_unproven"),
        ("firmware_confirmed", "0.2.9", "wrong_firmware"),
    ],
)
def test_a_firmware_that_does_not_hold_is_failure(fleet: Make, kind: str, version: str, code: str) -> None:
    f = fleet(1)
    f.create(sha256=firmware(f, "0.3.0"))
    flash(f, "n0", version, kind, **({} if kind == "firmware_confirmed" else {"code": code}))
    assert (f.actions, f.codes(), f.state) == ({"n0": "failed"}, {"n0": code}, "aborted")


def test_silence_of_a_firmware_past_the_deadline_is_failure(fleet: Make) -> None:
    f = fleet(1)
    f.create(sha256=firmware(f, "0.3.0"), silence_s=100)
    f.advance(101)
    assert f.codes() == {"n0": "silent"}


def test_a_node_with_the_firmware_is_left_alone_unless_it_is_on_trial(fleet: Make) -> None:
    f = fleet(2)
    f.say("n0", "status", fw="0.3.0", fw_trial=False)
    f.say("n1", "status", fw="0.3.0", fw_trial=True)
    f.create(sha256=firmware(f, "0.3.0"), groups=("100%",))
    assert f.actions == {"n0": "succeeded", "n1": "started"}


def test_an_aborted_firmware_goes_back_to_the_package_that_ran_before(fleet: Make) -> None:
    f = fleet(3)
    old = firmware(f, "0.2.0")
    for node in ("n0", "n1"):
        f.say(node, "status", fw="0.2.0" if node == "n0" else "0.1.9", fw_trial=False)
    f.create(sha256=firmware(f, "0.3.0"), groups=("2", "100%"), on_abort="revert")
    for node in ("n0", "n1"):
        flash(f, node, "0.3.0")
    f.hand(rollouts.abort)
    assert f.actions == {"n0": "rolling_back", "n1": "succeeded", "n2": "started"}  # 0.1.9 was never uploaded
    assert told(f, "n0")[-1][1]["sha256"] == old
    flash(f, "n0", "0.2.0")
    flash(f, "n2", "0.3.0", "firmware_refused", code="firmware_counter")
    assert (f.state, f.actions["n0"]) == ("aborted", "rolled_back")
    f.say("n0", "status", fw="0.1.0", fw_trial=False)
    assert desired_of(f, "n0") == {"firmware": old}


def desired_of(f: Fleet, node: str) -> dict[str, str]:
    with f.database.read() as session:
        found = session.scalars(select(Node).where(Node.name == node)).one()
        return {row["kind"]: row["sha256"] for row in desired.of(session, found.id)}


def test_pass_through_firmware_comes_first_in_the_order_of_versions(fleet: Make) -> None:
    f = fleet(1)
    f.say("n0", "status", fw="0.9.0", fw_trial=False)
    between = [firmware(f, version, pass_through=True) for version in ("0.8.0", "0.10.0", "0.11.0")]
    target = firmware(f, "0.12.0")
    f.create(sha256=target)
    flash(f, "n0", "0.10.0")
    flash(f, "n0", "0.11.0")
    assert [args["sha256"] for _, args in told(f, "n0")] == [*between[1:], target]
    flash(f, "n0", "0.12.0")
    assert f.state == "finished"


# A model and a firmware on one node -----------------------------------------------------------------------------------


def test_a_model_and_a_firmware_take_turns_on_a_node_and_neither_supersedes_the_other(fleet: Make) -> None:
    f = fleet(1)
    package = f.create(sha256=firmware(f, "0.3.0"))
    model = f.create()
    assert f.actions == {"n0": "waiting"}
    f.rollout = package
    assert f.actions == {"n0": "started"}
    flash(f, "n0", "0.3.0")
    f.rollout = model
    assert f.actions == {"n0": "started"}
    f.confirm("n0")
    assert f.state == "finished"


def needs(f: Fleet, extractor: int) -> None:
    """The candidate model asks for this extractor version."""
    with f.database.write() as session:
        model = session.get_one(Artifact, f.sha256)
        model.extractor_min = model.extractor_max = extractor


def test_a_model_that_needs_a_newer_firmware_waits_for_it(fleet: Make) -> None:
    f = fleet(1)
    firmware(f, "0.2.0")
    needs(f, 2)
    f.say("n0", "status", fw="0.2.0", fw_trial=False)
    package = f.create(sha256=firmware(f, "0.3.0", extractors=(1, 2)), start=False)
    with f.database.write() as session:
        rollouts.start(session, package, T0)
    model = f.create()  # both may start; only the firmware can
    assert f.actions == {"n0": "waiting"}
    flash(f, "n0", "0.3.0")
    assert f.actions == {"n0": "waiting"}  # its status is on its way
    f.say("n0", "status", fw="0.3.0", fw_trial=False)
    f.advance()
    assert (f.rollout, f.actions) == (model, {"n0": "started"})


def test_a_model_whose_firmware_nobody_brings_is_refused_by_name(fleet: Make) -> None:
    f = fleet(1)
    firmware(f, "0.2.0")
    needs(f, 2)
    f.say("n0", "status", fw="0.2.0", fw_trial=False)
    f.create()
    assert (f.actions, f.codes()) == ({"n0": "failed"}, {"n0": "needs_other"})
    with f.database.read() as session:
        (action,) = rollouts.actions_of(session, f.rollout)
        assert action.text == "new 2 (extractor 2) does not go with firmware 0.2.0 (extractor 1)"


def test_two_that_need_each_other_at_once_are_both_refused_instead_of_waiting_for_ever(fleet: Make) -> None:
    f = fleet(1)
    firmware(f, "0.2.0")
    needs(f, 2)
    old = f.add_artifact("0", 1)
    with f.database.write() as session:
        model = session.get_one(Artifact, old)
        model.extractor_min = model.extractor_max = 1
    f.say("n0", "status", fw="0.2.0", fw_trial=False, model="new", model_version="0", counter=1)
    package = f.create(sha256=firmware(f, "0.3.0", extractors=(2, 2)), start=False)
    model_rollout = f.create(start=False)
    with f.database.write() as session:
        for rollout in (package, model_rollout):
            rollouts.start(session, rollout, T0)
    f.advance()
    for f.rollout in (package, model_rollout):
        assert f.codes() == {"n0": "needs_other"}


# Settings -------------------------------------------------------------------------------------------------------------


def test_settings_are_told_one_after_the_other_then_the_node_restarts(fleet: Make) -> None:
    f = fleet(2)
    f.create(sha256=settings(f, rpm="1480", axes="+x-z+y"), groups=("1", "100%"))
    answer(f, "n0", "setting")
    answer(f, "n0", "setting")
    answer(f, "n0", "restart")
    wanted = [("setting", {"key": "axes", "value": "+x-z+y"}), ("setting", {"key": "rpm", "value": "1480"}), ("restart", {})]
    assert told(f, "n0") == wanted
    f.say("n0", "event", kind="boot", boot=1)  # an old one, delivered late
    assert f.actions == {"n0": "accepted", "n1": "waiting"}
    f.say("n0", "event", kind="boot", boot=2)
    f.advance()
    assert f.actions == {"n0": "succeeded", "n1": "started"}


def test_settings_of_the_link_count_only_when_the_node_has_kept_them(fleet: Make) -> None:
    f = fleet(2)
    f.create(sha256=settings(f, broker="mqtts://new:8883"), groups=("100%",), abort_min=2)
    for node in ("n0", "n1"):
        answer(f, node, "setting")
        answer(f, node, "restart")
        f.say(node, "event", kind="boot", boot=2)
    assert set(f.actions.values()) == {"accepted"}
    f.say("n0", "event", kind="settings_kept", boot=2)
    f.say("n1", "event", kind="settings_reverted", boot=3)
    f.advance()
    assert (f.actions, f.codes()["n1"]) == ({"n0": "succeeded", "n1": "failed"}, "reverted")


def test_settings_of_the_link_that_the_node_had_already_are_not_tried_and_count_when_that_would_be_over(fleet: Make) -> None:
    f = fleet(1)
    f.create(sha256=settings(f, broker="mqtts://old:8883"))
    answer(f, "n0", "setting")
    answer(f, "n0", "restart")
    f.say("n0", "event", kind="boot", boot=2)
    f.advance(SETTINGS_TRIAL_MS / 1000)
    assert f.actions == {"n0": "accepted"}
    f.advance(SETTINGS_TRIAL_MS / 1000 + 61)
    assert f.state == "finished"


def test_a_restart_that_has_happened_is_not_asked_for_again(fleet: Make) -> None:
    f = fleet(1)
    f.create(sha256=settings(f, broker="mqtts://new:8883"))
    answer(f, "n0", "setting")
    send(f)
    f.say("n0", "status", boot=2, conn=1)  # its answer was lost on the way
    with f.database.read() as session:
        assert commands.due(session, T0 + 60_000, 15) == []


def test_a_setting_that_the_node_refuses_and_one_it_never_answers_are_failures(fleet: Make) -> None:
    f = fleet(2)
    f.create(sha256=settings(f, rpm="1480"), groups=("100%",), silence_s=50, abort_min=3)
    answer(f, "n0", "setting", "refused", code="state")
    f.advance(51)
    assert f.codes() == {"n0": "state", "n1": "silent"}


@pytest.mark.parametrize("values", [{"colour": "blue"}, {"rpm": "fast"}, {"ip": "10.0.0.300/24"}])
def test_what_no_board_would_take_is_refused_before_the_first_node(fleet: Make, values: dict[str, str]) -> None:
    with pytest.raises(RequestError, match=next(iter(values))):
        settings(fleet(1), **values)


def test_aborted_settings_go_back_to_those_that_the_fleet_had_set_before(fleet: Make) -> None:
    f = fleet(2)
    f.create(sha256=settings(f, rpm="1480"), nodes=("n0",), groups=("100%",))
    apply(f, "n0", 1)
    f.create(sha256=settings(f, rpm="2960"), groups=("100%",), on_abort="revert", abort_min=3)
    apply(f, "n0", 1, boot=4)
    f.say("n1", "ack", id=f.command_of("n1", "setting"), c="setting", result="refused", code="state")
    assert f.actions["n0"] == "succeeded"
    f.hand(rollouts.abort)
    assert told(f, "n0")[-1] == ("setting", {"key": "rpm", "value": "1480"})
    apply(f, "n0", 1, boot=6)
    assert (f.state, f.actions["n0"]) == ("aborted", "rolled_back")


def test_newer_settings_supersede_older_ones_of_the_same_keys_only(fleet: Make) -> None:
    f = fleet(1)
    speed = f.create(sha256=settings(f, rpm="1480"))
    axes = f.create(sha256=settings(f, axes="+x+y+z"))
    f.create(sha256=settings(f, rpm="2960"))
    assert f.actions == {"n0": "started"}
    for f.rollout, state in ((speed, "superseded"), (axes, "waiting")):
        assert f.actions == {"n0": state}


# Certificates ---------------------------------------------------------------------------------------------------------


def test_certificates_are_ordered_by_groups_and_count_when_the_node_has_kept_its_own(fleet: Make) -> None:
    f = fleet(3)
    with f.database.write() as session:
        order = artifacts.certificates(session, "anna", T0).sha256
    f.create(sha256=order, groups=("2", "100%"), abort_min=2, success_percent=50)
    assert told(f, "n0") == [("renew", {})]
    for node in ("n0", "n1"):
        answer(f, node, "renew")
        f.say(node, "event", kind="certificate_request", text="MII…", action=f.command_of(node, "renew"))
        f.say(node, "event", kind="boot", boot=2)  # with what `renewal` has signed
    assert f.actions == {"n0": "accepted", "n1": "accepted", "n2": "waiting"}
    f.say("n0", "event", kind="settings_kept", boot=2)
    f.say("n1", "event", kind="settings_reverted", boot=3)
    f.advance()
    assert f.actions == {"n0": "succeeded", "n1": "failed", "n2": "started"}
    f.hand(rollouts.abort)
    f.advance(4000)
    assert (f.state, f.actions["n0"], f.codes()["n2"]) == ("aborted", "succeeded", "silent")
    assert desired_of(f, "n0") == {}  # `renewal` looks after them from here on


# Reconciliation -------------------------------------------------------------------------------------------------------

HOUR_S = 3600


def sent(f: Fleet, seconds: float) -> list[str]:
    with f.database.write() as session:
        made = desired.reconcile(session, T0 + int(seconds * 1000))
        return [command.c for command in made]


def test_a_node_that_lost_its_settings_is_told_them_again_all_together(fleet: Make) -> None:
    f = fleet(1)
    for number, values in enumerate(({"rpm": "1480"}, {"axes": "+x+y+z"})):
        f.create(sha256=settings(f, **values))
        apply(f, "n0", 1, boot=2 + 2 * number)
    f.say("n0", "status", boot=4, conn=1, settings=111)
    assert sent(f, HOUR_S) == []
    assert sent(f, 2 * HOUR_S) == []
    f.say("n0", "status", boot=5, conn=1, settings=0)
    assert sent(f, 3 * HOUR_S) == ["setting", "setting", "restart"]
    assert sorted(args["key"] for c, args in told(f, "n0")[-3:] if c == "setting") == ["axes", "rpm"]
    send(f, 3 * HOUR_S)
    f.say("n0", "event", kind="boot", boot=6)
    f.say("n0", "status", boot=6, conn=1, settings=222)  # somebody has set something else at its console, too
    assert [sent(f, hours * HOUR_S) for hours in (4, 5, 9)] == [[], [], []]


def test_a_node_that_lost_its_firmware_gets_it_again_and_a_newer_one_is_left(fleet: Make) -> None:
    f = fleet(1)
    f.create(sha256=firmware(f, "0.3.0"))
    flash(f, "n0", "0.3.0")
    f.say("n0", "status", fw="0.3.0", fw_trial=False)
    assert sent(f, HOUR_S) == []
    f.say("n0", "status", fw="0.4.0", fw_trial=False)  # by hand
    assert sent(f, 2 * HOUR_S) == []
    f.say("n0", "status", fw="0.2.0", fw_trial=True)
    assert sent(f, 40 * HOUR_S) == []
    f.say("n0", "status", fw="0.2.0", fw_trial=False)  # its board was replaced
    assert sent(f, 50 * HOUR_S) == ["firmware"]


def test_a_node_that_has_the_settings_is_not_told_them_once_more(fleet: Make) -> None:
    f = fleet(1)
    f.create(sha256=settings(f, rpm="1480"))
    apply(f, "n0", 1)
    f.say("n0", "status", boot=2, settings=111)
    sent(f, HOUR_S)
    f.create(sha256=settings(f, rpm="1480"))
    assert (f.actions, len(told(f, "n0"))) == ({"n0": "succeeded"}, 2)


def test_every_event_that_the_table_knows_is_one_of_the_contract() -> None:
    assert {name.upper() for name in rollout_kinds.EVENTS} <= set(EventKind.__members__)


def test_a_model_is_confirmed_as_before(fleet: Make) -> None:
    f = fleet(1)
    f.create()
    f.say("n0", "event", kind="firmware_confirmed", action=f.command_of("n0"), fw="9")  # of another kind: no news
    assert f.actions == {"n0": "started"}
    f.say("n0", "event", kind="update_confirmed", action=f.command_of("n0"), **NEW)
    assert f.actions == {"n0": "succeeded"}
