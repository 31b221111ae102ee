"""Commands that change what a node does or ask the board itself: thresholds, identify, restart, factory reset."""

from __future__ import annotations

from typing import Any

import pytest
from rig import FAR, Rig, bundle

from whir_contracts.contract import ErrorCode


@pytest.fixture
def rig() -> Any:
    return Rig(bundle()).connect()


def thresholds(rig: Rig, raised: int, clear: int, id: str = "t-1") -> int:
    return rig.command("thresholds", id=id, exp=FAR, raise_permille=raised, clear_permille=clear)


def test_a_threshold_that_nothing_reaches_raises_nothing_and_holds_over_a_restart(rig: Rig) -> None:
    assert thresholds(rig, 1000, 900) == 0
    rig.play("imbalance", 20)
    rig.node.reboot()
    rig.connect()
    rig.play("imbalance", 20)
    assert not rig.broker.of("alert")
    assert thresholds(rig, 0, 0, "t-2") == 0
    rig.play("imbalance", 20)
    assert rig.broker.of("alert", state="active"), "the bundle's threshold again"


def test_thresholds_outlast_a_new_model(rig: Rig) -> None:
    thresholds(rig, 1000, 900)
    rig.update(bundle("better", "2", 2))
    rig.receipt_all()
    rig.play("imbalance", 20)
    assert rig.node.look().model == "better"
    assert not rig.broker.of("alert", state="active")


@pytest.mark.parametrize(("raised", "clear"), [(1001, 500), (500, 501), (0, 1), (500, 0)])
def test_thresholds_that_make_no_sense_are_refused(rig: Rig, raised: int, clear: int) -> None:
    assert thresholds(rig, raised, clear) == ErrorCode.COMMAND
    rig.play("imbalance", 20)
    assert rig.broker.of("alert", state="active")


@pytest.mark.parametrize("command", ["restart", "factory_reset"])
def test_a_restart_is_answered_and_said_goodbye_to_first(rig: Rig, command: str) -> None:
    assert rig.command(command, id="r-1", exp=FAR) == 0
    assert rig.broker.of("ack", id="r-1")[0]["result"] == "ok"
    assert not rig.node.restart_asked
    rig.play("healthy", 2)
    assert rig.node.restart_asked
    assert rig.broker.of("status")[-1]["state"] == "stopped"
    rig.node.reboot("software")
    rig.connect()
    rig.play("healthy", 3)
    assert not rig.node.restart_asked
    assert rig.broker.of("event", kind="boot")[-1]["text"] == "software"


def test_identify_says_for_how_long() -> None:
    shown: list[int] = []
    rig = Rig(bundle(), identify=shown.append).connect()
    rig.command("identify", id="i-1", exp=FAR)
    rig.command("identify", id="i-2", exp=FAR, seconds=5)
    rig.command("identify", id="i-2", exp=FAR, seconds=5)
    assert shown == [30, 5]
