"""Novelty: what the core learns against NumPy, and a node that is commissioned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rig import FAR, PARAMS, RATE_HZ, Rig, bundle, signal

from whir_contracts import contract
from whir_contracts.contract import ErrorCode, Quality
from whir_node.errors import CoreError
from whir_node.novelty import learn


def drawn(windows: int, spread: float, seed: int = 0) -> NDArray[np.int32]:
    """Features Q8 around 40 different means."""
    rng = np.random.default_rng(seed)
    return np.rint(rng.normal(np.linspace(-4000, 7000, 40), spread, (windows, 40))).astype(np.int32)


def distance(known: NDArray[Any], asked: NDArray[Any]) -> NDArray[Any]:
    """The definition in float64: mean of the four largest deviations in spreads of at least 3 dB."""
    spread = np.maximum(known.std(axis=0), 256)
    z = np.abs(asked - known.mean(axis=0)) / spread
    return np.sort(z, axis=1)[:, -4:].mean(axis=1)


class TestDistance:
    @pytest.mark.parametrize("spread", [40.0, 400.0, 1500.0])
    def test_it_is_that_of_the_definition_within_a_few_percent(self, spread: float) -> None:
        known, asked = drawn(4000, spread), drawn(100, 2 * spread, seed=1)
        got = learn(known).distance(asked)
        assert got == pytest.approx(distance(known[:3000], asked), rel=0.03, abs=0.02)

    def test_mean_and_spread_do_not_depend_on_how_long_is_learned(self) -> None:
        asked = drawn(50, 900.0, seed=2)
        assert learn(drawn(400, 400.0)).distance(asked) == pytest.approx(learn(drawn(60_000, 400.0)).distance(asked), rel=0.15)

    def test_a_day_of_windows_whose_mean_drifts_is_learned_like_an_hour(self) -> None:
        count = contract.NOVELTY_LEARN_S_DEFAULT * 1000 // 256  # as many as a day has at 1 kHz
        drift = 600 * np.sin(np.linspace(0, 9, count))[:, None]
        known = np.rint(np.random.default_rng(4).normal(np.linspace(-4000, 7000, 4), 300, (count, 4)) + drift).astype(np.int32)
        gathered, asked = known[: count - count // 4], drawn(50, 3000.0, seed=2)[:, :4]
        assert learn(known).distance(asked) == pytest.approx(distance(gathered, asked), rel=0.05, abs=0.02)

    def test_a_quiet_spread_counts_as_3_db(self) -> None:
        known = np.full((100, 8), 1000, np.int32)
        assert learn(known).distance(np.full((1, 8), 1512, np.int32)) == pytest.approx([2.0])

    def test_the_limit_leaves_room_above_the_farthest_healthy_verdict(self) -> None:
        known = drawn(4000, 400.0)
        baseline = learn(known)
        blocks = baseline.distance(known[3000:]).reshape(-1, 8).mean(axis=1)
        assert baseline.limit_q8 / 256 == pytest.approx(1.5 * blocks.max(), rel=0.01)
        assert baseline.permille(known).mean() < 700

    def test_the_farthest_features_do_not_overflow(self) -> None:
        known = np.zeros((64, 4), np.int32)
        far = np.array([[32767, -32768, 32767, -32768]], np.int32)
        assert learn(known).distance(far) == pytest.approx([128], rel=0.01)

    def test_too_few_windows_are_refused(self) -> None:
        with pytest.raises(CoreError):
            learn(drawn(contract.NOVELTY_WINDOWS_MIN - 1, 100.0))


def strange(seconds: float, seed: int = 3) -> NDArray[np.int16]:
    """A healthy motor with a whine at 60 Hz, which the model without a baseline takes for healthy."""
    samples = signal("healthy", seconds, seed).astype(float)
    t = np.arange(len(samples))[:, None] / RATE_HZ
    return np.rint(samples + 200 * np.sin(2 * np.pi * 60 * t)).astype(np.int16)


@pytest.fixture
def rig() -> Rig:
    return Rig(bundle(), telemetry_interval_ms=5000).connect()


def commission(rig: Rig, seconds: int = 40, identity: str = "c-1") -> None:
    assert rig.command("commission", id=identity, exp=FAR, seconds=seconds) == 0
    rig.play("healthy", seconds + 2)


class TestNode:
    def test_until_it_is_commissioned_there_is_no_novelty(self, rig: Rig) -> None:
        rig.play("healthy", 11)
        assert {t["novelty"] for t in rig.broker.of("telemetry")} == {None}

    def test_a_commissioned_machine_is_not_novel(self, rig: Rig) -> None:
        commission(rig)
        (event,) = rig.broker.of("event", kind="baseline_learned")
        assert (event["action"], event["code"]) == ("c-1", None)
        verdicts = rig.node.push(signal("healthy", 20, seed=99))
        assert all(v.novelty is not None and v.novelty < 1000 for v in verdicts[10:])
        assert all(v.top == 0 for v in verdicts[10:])

    def test_what_no_class_explains_is_unknown(self, rig: Rig) -> None:
        assert {v.top for v in rig.node.push(strange(10))[20:]} == {0}
        commission(rig)
        verdicts = rig.node.push(strange(10))[20:]
        assert all((v.novelty or 0) >= 1000 and v.top == -1 and v.quality == Quality(0) for v in verdicts)

    def test_a_fault_that_the_model_is_sure_of_keeps_its_name(self, rig: Rig) -> None:
        commission(rig)
        verdicts = rig.node.push(signal("imbalance", 10))[20:]
        assert all((v.novelty or 0) >= 1000 and v.top == 1 for v in verdicts)

    def test_the_baseline_survives_a_reboot_and_learning_does_not(self, rig: Rig) -> None:
        commission(rig)
        rig.command("commission", id="c-2", exp=FAR, seconds=40)
        rig.play("imbalance", 10)
        rig.node.reboot()
        rig.connect()
        assert all((v.novelty or 9999) < 1000 for v in rig.node.push(signal("healthy", 40, seed=5))[10:])
        assert len(rig.broker.of("event", kind="baseline_learned")) == 1

    def test_learning_again_takes_the_machine_as_it_is_now(self, rig: Rig) -> None:
        commission(rig)
        rig.command("commission", id="c-2", exp=FAR, seconds=40)
        rig.node.push(strange(42))
        assert len(rig.broker.of("event", kind="baseline_learned")) == 2
        assert all((v.novelty or 9999) < 1000 for v in rig.node.push(strange(10, seed=8))[20:])

    def test_a_model_with_the_same_features_keeps_the_baseline(self, rig: Rig) -> None:
        commission(rig)
        rig.update(bundle("other", "2", 2))
        assert all(v.novelty is not None for v in rig.node.push(signal("healthy", 10))[10:])

    def test_only_running_windows_are_learned(self, rig: Rig) -> None:
        rig.command("commission", id="c-1", exp=FAR, seconds=20)
        for kind in ("off", "stuck"):
            rig.play(kind, 60)
        assert not rig.broker.of("event", kind="baseline_learned")
        rig.play("healthy", 22)
        assert rig.broker.of("event", kind="baseline_learned")

    def test_a_change_of_model_ends_the_learning_and_says_so(self, rig: Rig) -> None:
        rig.command("commission", id="c-1", exp=FAR, seconds=1000)
        rig.update(bundle("other", "2", 2))
        (event,) = rig.broker.of("event", kind="baseline_failed")
        assert (event["action"], event["code"]) == ("c-1", "state")

    def test_a_commission_that_cannot_be_is_refused(self) -> None:
        without = Rig().connect()
        assert without.command("commission", id="c-1", exp=FAR) == ErrorCode.STATE
        rig = Rig(bundle()).connect()
        assert rig.command("commission", id="c-1", exp=FAR, seconds=contract.NOVELTY_LEARN_S_MAX + 1) == ErrorCode.COMMAND

    def test_power_cut_at_every_operation_of_the_freeze_leaves_a_node_that_works(self) -> None:
        """With a baseline on flash already: it, or the new one, is there after the reboot."""
        for operation in range(1, 5):
            rig = Rig(bundle(), telemetry_interval_ms=3_600_000).connect()
            commission(rig, 20)
            rig.command("commission", id="c-2", exp=FAR, seconds=20)
            rig.node.cut_power_at(operation, seed=operation)
            rig.play("healthy", 22)
            assert not rig.node.powered
            rig.node.reboot()
            assert all(v.novelty is not None and v.novelty < 1000 for v in rig.node.push(signal("healthy", 5))[10:])


def test_the_rigs_features_fit_what_is_learned() -> None:
    assert PARAMS.feature_count <= contract.FEATURE_COUNT_MAX
