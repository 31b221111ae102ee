"""A candidate in the shadow: it judges the windows of the model in service, and is reported on, not put into service."""

from __future__ import annotations

from typing import Any

import pytest
from rig import CLASSES, FAR, Rig, bundle

SECONDS = 60


def shadow(rig: Rig, data: bytes) -> None:
    assert rig.update(data, shadow_s=SECONDS) == 0


def report(rig: Rig) -> dict[str, Any]:
    (said,) = rig.broker.of("event", kind="update_shadow")
    return said


@pytest.fixture
def rig() -> Rig:
    return Rig(bundle()).connect()


def test_the_same_model_again_differs_in_nothing_and_is_not_put_into_service(rig: Rig) -> None:
    shadow(rig, bundle(version="2", counter=2))
    before = rig.node.look()
    for kind in CLASSES:
        rig.play(kind, SECONDS / len(CLASSES) + 1)
    rig.node.wait(100)
    said = report(rig)
    assert said["action"] == "u-1"
    assert said["pairs"] > 100
    assert {said[name] for name in ("differ", "fault_new", "fault_old", "unknown_new", "unknown_old")} == {0}
    assert said["alerts_new"] == said["alerts_old"] == 2
    after = rig.node.look()
    assert (after.model_version, after.slot, after.trial, after.updating) == ("1", before.slot, False, False)


def test_a_candidate_that_says_otherwise_is_counted_and_the_node_goes_by_its_old_model(rig: Rig) -> None:
    shadow(rig, bundle(version="2", counter=2, classes=CLASSES[:2]))  # it has never heard of a bearing
    tops = rig.play("healthy", 20) + rig.play("bearing", SECONDS)
    rig.node.wait(100)
    said = report(rig)
    assert 0.4 < said["differ"] / said["pairs"] < 0.8  # 40 of the 60 s
    assert said["alerts_old"] == 1
    assert CLASSES[tops[-1]] == "bearing"
    assert {a["verdict"] for a in rig.broker.of("alert")} == {"bearing"}


def test_after_the_shadow_it_can_be_put_into_service(rig: Rig) -> None:
    data = bundle(version="2", counter=2)
    shadow(rig, data)
    assert rig.command("update", id="u-2", exp=FAR, url="http://fleet/b", bytes=len(data)) != 0  # busy
    rig.play("healthy", SECONDS + 1)
    rig.node.wait(100)
    assert rig.update(data, id="u-3") == 0
    rig.node.wait(100)
    rig.receipt_all()
    assert (rig.node.look().model_version, rig.node.look().trial) == ("2", False)


def test_a_cut_in_the_shadow_leaves_the_old_model(rig: Rig) -> None:
    shadow(rig, bundle(version="2", counter=2))
    rig.play("healthy", 5)
    rig.node.reboot()
    view = rig.node.look()
    assert (view.model_version, view.trial, view.updating) == ("1", False, False)


def test_a_candidate_that_hears_other_features_is_refused_by_name(rig: Rig) -> None:
    shadow(rig, bundle(version="2", counter=2, hop_samples=64))
    (refused,) = rig.broker.of("event", kind="update_refused")
    assert refused["code"] == "bundle_shadow"
    assert rig.play("bearing", 20)[-1] == CLASSES.index("bearing")


def test_a_node_without_a_model_has_nothing_to_compare_with() -> None:
    rig = Rig().connect()
    shadow(rig, bundle())
    (refused,) = rig.broker.of("event", kind="update_refused")
    assert refused["code"] == "bundle_shadow"


def test_the_machine_is_not_learned_meanwhile(rig: Rig) -> None:
    shadow(rig, bundle(version="2", counter=2))
    rig.command("commission", id="c-1", exp=FAR, seconds=60)
    assert rig.broker.of("ack", id="c-1")[-1]["code"] == "busy"
