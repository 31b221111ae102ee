"""The model-quality gate: Fisher's test against SciPy's, and canaries that get worse, stay as they are, or say nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from rollout_fleet import T0, Fleet
from scipy.stats import fisher_exact

from whir_fleet import rollouts
from whir_fleet.rollout_quality import drift, fisher

BEFORE_S, OBSERVE_S = -50, 60  # before the group began; and how long it is watched


def tell(f: Fleet, node: str, verdict: str, from_s: int, count: int = 5) -> None:
    for number in range(count):
        f.say(node, "telemetry", verdict=verdict, ts=T0 + (from_s + number) * 1000)


def test_fisher_is_scipys() -> None:
    for n, m in itertools.product(range(1, 6), range(6)):
        for a, b in itertools.product(range(n + 1), range(m + 1)):
            expected = fisher_exact([[a, n - a], [b, m - b]], alternative="greater").pvalue
            assert fisher(a, n, b, m) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("bad", "canaries", "other", "controls", "drifted"),
    [
        (1, 1, 0, 5, True),  # too few for a test: more than half
        (1, 2, 0, 3, False),
        (1, 1, 0, 59, True),
        (1, 1, 1, 59, False),
        (3, 10, 0, 90, True),
        (3, 10, 27, 90, False),  # the plant changed, not the model
        (0, 10, 0, 90, False),
    ],
)
def test_drift_is_what_canaries_do_and_controls_do_not(
    bad: int, canaries: int, other: int, controls: int, drifted: bool
) -> None:
    assert (drift(bad, canaries, other, controls) is not None) == drifted


def _observed(f: Fleet, after: str, controls: str = "normal", telling: int = 5) -> None:
    """One canary, three controls; the canary says `after` once it has confirmed."""
    for node in ("n0", "n1", "n2", "n3"):
        tell(f, node, "normal", BEFORE_S)
    f.create(groups=("1", "100%"), observe_s=OBSERVE_S)
    f.confirm("n0")
    tell(f, "n0", after, 10, telling)
    for node in ("n1", "n2", "n3"):
        tell(f, node, controls, 10)
    f.advance(OBSERVE_S - 1)
    assert f.actions["n1"] == "waiting"
    f.advance(OBSERVE_S)


@pytest.mark.parametrize(("after", "why"), [("unknown", "other verdicts on 1 of 1 canaries"), ("bearing", "other verdicts")])
def test_a_canary_whose_verdicts_change_halts_the_rollout_and_says_why(
    fleet: Callable[[int], Fleet], after: str, why: str
) -> None:
    f = fleet(4)
    _observed(f, after)
    assert f.state == "halted" and why in f.reason and "group 0" in f.reason
    f.hand(rollouts.resume)
    assert (f.state, f.actions["n1"]) == ("running", "started")


def test_a_canary_that_goes_on_as_before_opens_the_gate(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(4)
    _observed(f, "normal")
    assert (f.state, f.actions["n1"]) == ("running", "started")


def test_a_canary_that_says_nothing_cannot_be_judged(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(4)
    _observed(f, "normal", telling=2)
    assert f.state == "halted" and "no canary sent 3 telemetry messages" in f.reason


def test_more_alerts_are_drift_even_with_the_same_verdicts(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(4)
    for node in ("n0", "n1", "n2", "n3"):
        tell(f, node, "normal", BEFORE_S)
    f.create(groups=("1", "100%"), observe_s=OBSERVE_S)
    f.confirm("n0")
    tell(f, "n0", "normal", 10)
    f.say("n0", "alert", occurrence="n0-1-9", received_ms=T0 + 20_000)
    f.advance(OBSERVE_S)
    assert f.state == "halted" and "more alerts on 1 of 1 canaries" in f.reason


def test_a_group_that_ran_the_bundle_before_has_nothing_to_judge(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(2)
    f.say("n0", "status", model="new", model_version="2", counter=2)
    f.create(groups=("1", "100%"), observe_s=OBSERVE_S)
    f.advance(OBSERVE_S)
    assert f.actions == {"n0": "succeeded", "n1": "started"}
