"""The command `setting`: what the fleet changes is tried, kept with the first receipt, else taken back; and it is told."""

from __future__ import annotations

import pytest
from rig import FAR, Rig, bundle

from whir_contracts.contract import SETTINGS_TRIAL_MS
from whir_node.store import KEPT, MemoryStore


@pytest.fixture
def texts() -> MemoryStore:
    return MemoryStore({"broker": "mqtts://old"})


@pytest.fixture
def rig(texts: MemoryStore) -> Rig:
    return Rig(bundle(), store=texts).connect()


def setting(rig: Rig, key: str, value: str, id: str = "s-1") -> str:
    rig.command("setting", id=id, exp=FAR, key=key, value=value)
    return str(rig.broker.of("ack", id=id)[-1]["result"])


def told(rig: Rig) -> list[str]:
    return [e["kind"] for e in rig.broker.of("event") if e["kind"].startswith("settings")]


def test_a_new_broker_is_kept_with_the_first_receipt(rig: Rig, texts: MemoryStore) -> None:
    assert setting(rig, "broker", "mqtts://new") == "ok"
    assert texts.sets[KEPT]["broker"] == "mqtts://old"
    rig.node.reboot("software")
    rig.connect()
    rig.node.wait(400)
    assert texts.sets[KEPT]["broker"] == "mqtts://old"
    rig.receipt_all()
    rig.node.wait(400)
    assert texts.sets == ({"broker": "mqtts://new"}, {})
    assert told(rig)[-1] == "settings_kept"


def test_without_a_receipt_the_node_restarts_with_the_old_ones_and_tells(rig: Rig, texts: MemoryStore) -> None:
    setting(rig, "broker", "mqtts://nowhere")
    rig.node.reboot("software")
    rig.node.wait(SETTINGS_TRIAL_MS + 2000)
    assert rig.node.restart_asked
    rig.node.reboot("software")
    rig.connect()
    rig.node.wait(400)
    assert texts.sets == ({"broker": "mqtts://old"}, {})
    assert told(rig) == ["settings_reverted"]


def test_what_is_no_setting_is_refused(rig: Rig, texts: MemoryStore) -> None:
    assert setting(rig, "colour", "blue") == "refused"
    assert setting(rig, "rpm", "fast", "s-2") == "refused"
    assert texts.sets == ({"broker": "mqtts://old"}, {})


def test_a_board_without_settings_says_so() -> None:
    rig = Rig(bundle()).connect()
    assert setting(rig, "rpm", "1500") == "refused"
    assert rig.broker.of("ack", id="s-1")[-1]["code"] == "state"
