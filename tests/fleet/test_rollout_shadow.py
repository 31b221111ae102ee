"""The shadow run: a candidate beside the old model on the first group, and the test that its report has to pass."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rollout_fleet import T0, Fleet

from whir_contracts.contract import TOPICS
from whir_fleet import rollout_shadow, rollouts
from whir_fleet.errors import RequestError
from whir_fleet.models import Artifact, Command
from whir_fleet.rollout_kinds import SHADOW_FIELDS
from whir_fleet.rollout_shadow import binomial, drift

Make = Callable[[int], Fleet]
SHADOW_S = 600
NOTHING = dict.fromkeys(SHADOW_FIELDS, 0)


@pytest.fixture
def database_url(tmp_path: Path, migrated_file: Path) -> str:
    """On SQLite only: the groups and actions behind it are tested on both."""
    return f"sqlite:///{shutil.copy(migrated_file, tmp_path / 'fleet.db')}"


def said(**counts: int) -> Counter[str]:
    return Counter({"pairs": 1000} | counts)


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        ({}, None),
        ({"fault_new": 30, "fault_old": 25, "differ": 60}, None),
        ({"fault_new": 90, "fault_old": 5, "differ": 95}, "faults that the old model does not see, 90 against 5"),
        ({"fault_old": 80, "differ": 80}, "faults that only the old model sees, 80 against 0"),
        ({"fault_old": 40, "differ": 40}, None),  # significant, and no more than 5 % of the verdicts
        ({"unknown_new": 200, "differ": 200}, "more unknown"),
        ({"unknown_old": 200, "differ": 200}, None),  # it knows more: that is no harm
        ({"alerts_new": 9, "alerts_old": 0}, "more alerts, 9 against 0"),
        ({"alerts_new": 9, "alerts_old": 4}, None),
        ({"differ": 300}, "300 of 1000 verdicts differ, by their evaluations at most 20 %"),
        ({"pairs": 29}, "29 verdicts of both models, 30 are needed"),
    ],
)
def test_what_is_drift_and_what_is_not(counts: dict[str, int], why: str | None) -> None:
    found = drift(said(**counts), expected=0.2)
    assert found is None if why is None else found is not None and why in found


def test_the_binomial_tail_is_exact() -> None:
    assert binomial(8, 10, 0.5) == pytest.approx(56 / 1024)
    assert binomial(1, 3, 0.5) == pytest.approx(7 / 8)
    assert (binomial(0, 5, 0.1), binomial(6, 5, 0.5), binomial(3, 3, 0.0)) == (1.0, 0.0, 0.0)
    assert binomial(5200, 10_000, 0.5) == pytest.approx(3.29e-5, rel=0.02)


def report(f: Fleet, *nodes: str, **counts: int) -> None:
    for node in nodes:
        body: dict[str, Any] = {**NOTHING, "pairs": 500, **counts}
        f.say(node, "event", kind="update_shadow", action=f.command_of(node), **body)
    f.advance()


def told(f: Fleet, node: str) -> dict[str, Any]:
    with f.database.read() as session:
        return session.get_one(Command, f.command_of(node)).args


def test_the_canaries_run_it_in_the_shadow_and_then_in_service_before_the_next_group(fleet: Make) -> None:
    f = fleet(4)
    f.create(groups=("2", "100%"), shadow_s=SHADOW_S)
    assert told(f, "n0")["shadow_s"] == SHADOW_S
    report(f, "n0")
    assert f.actions == {"n0": "shadowed", "n1": "started", "n2": "waiting", "n3": "waiting"}
    report(f, "n1")
    assert f.actions == {"n0": "started", "n1": "started", "n2": "waiting", "n3": "waiting"}
    assert "shadow_s" not in told(f, "n0")
    f.confirm("n0", "n1")
    assert f.actions["n2"] == "started"
    assert "shadow_s" not in told(f, "n2")
    f.confirm("n2", "n3")
    assert f.state == "finished"


def test_drift_in_the_shadow_halts_with_the_numbers_and_no_node_has_run_it_in_service(fleet: Make) -> None:
    f = fleet(3)
    f.create(groups=("2", "100%"), shadow_s=SHADOW_S)
    report(f, "n0", differ=10)
    report(f, "n1", differ=400, fault_new=400)
    assert f.state == "halted"
    assert "group 0: shadow run: faults that the old model does not see, 400 against 0; 1000 verdicts" in f.reason
    assert set(f.actions.values()) == {"shadowed", "waiting"}
    f.hand(rollouts.resume)  # somebody knows better
    assert f.actions == {"n0": "started", "n1": "started", "n2": "waiting"}
    f.confirm("n0", "n1")
    assert f.actions["n2"] == "started"


def test_an_abort_in_the_shadow_leaves_the_old_model_everywhere(fleet: Make) -> None:
    f = fleet(2)
    f.create(groups=("1", "100%"), shadow_s=SHADOW_S, on_abort="revert")
    report(f, "n0", differ=400)
    f.hand(rollouts.abort)
    assert (f.state, f.actions) == ("aborted", {"n0": "cancelled", "n1": "cancelled"})


def test_silence_counts_from_the_end_of_the_shadow(fleet: Make) -> None:
    f = fleet(1)
    f.create(shadow_s=SHADOW_S, silence_s=100)
    with f.database.read() as session:
        assert session.get_one(Command, f.command_of("n0")).exp_s == T0 // 1000 + 700
    f.advance(650)
    assert f.actions == {"n0": "started"}
    f.advance(701)
    assert f.codes() == {"n0": "silent"}


def test_a_canary_that_fails_in_the_shadow_does_not_hold_the_others(fleet: Make) -> None:
    f = fleet(3)
    f.create(groups=("2", "100%"), shadow_s=SHADOW_S, success_percent=50, abort_min=2)
    report(f, "n0")
    f.fail("n1", code="bundle_shadow")
    assert f.actions == {"n0": "started", "n1": "failed", "n2": "waiting"}


def test_the_models_may_differ_as_often_as_their_own_evaluations_say(fleet: Make) -> None:
    f = fleet(1)
    with f.database.write() as session:
        session.get_one(Artifact, f.sha256).evaluation = {"int8": {"verdict": {"accuracy": 0.7}}}
        assert rollout_shadow.wrong_share(session.get_one(Artifact, f.sha256)) == pytest.approx(0.3)
    f.create(shadow_s=SHADOW_S)
    report(f, "n0", differ=190)  # 38 % of 500; 30 % and the old model's 10 % are expected
    assert f.state == "running"


def test_what_a_node_counts_is_what_the_fleet_reads() -> None:
    assert set(SHADOW_FIELDS) <= set(TOPICS["event"]["fields"])


def test_a_firmware_has_no_shadow(fleet: Make) -> None:
    f = fleet(1)
    with f.database.write() as session:
        session.get_one(Artifact, f.sha256).kind = "firmware"
    with pytest.raises(RequestError, match="shadow_s"):
        f.create(shadow_s=SHADOW_S)
