"""When a port may keep a new application: not before sensor, model and fleet have all been heard of."""

from __future__ import annotations

from rig import Rig, bundle

from whir_node.library import lib


def proven(rig: Rig) -> bool:
    return bool(lib.host_node_proven(rig.node._core))


def test_an_application_is_proven_by_verdicts_and_receipts_together() -> None:
    rig = Rig(bundle())
    assert not proven(rig)
    rig.play("healthy", 3)
    assert not proven(rig), "nobody has receipted the boot"
    rig.connect()
    rig.node.wait(400)
    assert not proven(rig)
    rig.receipt_all()
    assert proven(rig)
    rig.node.connected(False)
    assert not proven(rig)


def test_a_dead_sensor_proves_nothing() -> None:
    rig = Rig(bundle()).connect()
    rig.play("stuck", 8)
    rig.node.wait(400)
    rig.receipt_all()
    assert not proven(rig)


def test_no_model_proves_nothing() -> None:
    rig = Rig().connect()
    rig.play("healthy", 3)
    rig.node.wait(400)
    rig.receipt_all()
    assert not proven(rig)
