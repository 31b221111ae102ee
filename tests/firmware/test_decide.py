"""Verdict and decide: dequantization, mean over windows, the alert state machine."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whir_contracts.contract import VERDICT_CLASSES_MAX, AlertState, Profile, Quality, Severity, Watch, Zone
from whir_node.library import ffi, lib

IDLE = 0
HEALTHY, FAULTY = 100, 900
DEFAULTS = {
    "profile": Profile.FAST,
    "raise_permille": -1,
    "clear_permille": -1,
    "raise_count": -1,
    "raise_of": -1,
    "clear_count": -1,
    "realert_interval_ms": -1,
    "warning_after_ms": -1,
    "critical_after_ms": -1,
}


def exact_permille(q: int, scale_bits: int, zero_point: int) -> int:
    """The definition, in rational numbers: halves round up."""
    scale = Fraction(struct.unpack("<f", struct.pack("<I", scale_bits))[0])
    value = (q - zero_point) * scale * 1000
    return max(0, min(1000, (value + Fraction(1, 2)).__floor__()))


def all_permille(scale_bits: int, zero_point: int) -> list[int]:
    out = ffi.new("uint16_t[256]")
    lib.host_permille_all(scale_bits, zero_point, out)
    return list(out)


class TestPermille:
    @given(st.integers(0, 0x7F7FFFFF), st.integers(-128, 127))
    def test_equals_rational_arithmetic_for_every_q_and_any_finite_scale(self, scale_bits: int, zero_point: int) -> None:
        assert all_permille(scale_bits, zero_point) == [exact_permille(q, scale_bits, zero_point) for q in range(-128, 128)]

    @given(st.floats(2**-14, 0.125, width=32), st.integers(-128, 127))
    def test_equals_rational_arithmetic_where_models_live(self, scale: float, zero_point: int) -> None:
        bits = struct.unpack("<I", struct.pack("<f", scale))[0]
        assert all_permille(bits, zero_point) == [exact_permille(q, bits, zero_point) for q in range(-128, 128)]

    def test_softmax_scale_reaches_from_0_to_996(self) -> None:
        bits = struct.unpack("<I", struct.pack("<f", 1 / 256))[0]
        values = all_permille(bits, -128)
        assert values[0] == 0
        assert values[255] == 996
        assert values == sorted(values)

    def test_a_half_rounds_up(self) -> None:
        bits = struct.unpack("<I", struct.pack("<f", 2**-4))[0]  # 1000 / 16 = 62.5
        assert all_permille(bits, 0)[128 + 1] == 63

    @pytest.mark.parametrize("bits", [0x7F800000, 0x7FC00000, 0xFF800000, 0xBB800000], ids=["inf", "nan", "-inf", "negative"])
    def test_a_scale_that_is_no_positive_number_gives_no_probability(self, bits: int) -> None:
        assert set(all_permille(bits, 0)) == {0}


class Mean:
    def __init__(self, classes: int, windows_max: int) -> None:
        self.classes = classes
        self.raw = ffi.gc(lib.host_mean_new(classes, windows_max), lib.host_mean_free)

    def push(self, permille: list[int] | None, now_ms: int, quality: int = 0) -> tuple[list[int], int, int] | None:
        mean, top, windows = ffi.new("uint16_t[8]"), ffi.new("int8_t *"), ffi.new("uint8_t *")
        values = ffi.NULL if permille is None else ffi.new("uint16_t[]", permille)
        if not lib.host_mean_push(self.raw, values, quality, now_ms, mean, top, windows):
            return None
        return list(mean)[: self.classes], top[0], windows[0]


class TestMean:
    def test_a_verdict_is_the_rounded_mean_of_its_windows(self) -> None:
        mean = Mean(2, 8)
        assert mean.push([1000, 0], 0) == ([1000, 0], 0, 1)
        assert mean.push([1, 999], 256) == ([501, 500], 0, 2)
        assert mean.push([0, 1000], 512) == ([334, 666], 1, 3)

    def test_no_more_windows_than_asked_for(self) -> None:
        mean = Mean(2, 3)
        for i in range(5):
            verdict = mean.push([100 * i, 0], 200 * i)
        assert verdict == ([300, 0], 0, 3)

    def test_a_count_of_windows_that_cannot_be_is_brought_into_range(self) -> None:
        one, eight = Mean(2, 0), Mean(2, 200)
        for i in range(10):
            least, most = one.push([100 * i, 0], 200 * i), eight.push([100 * i, 0], 200 * i)
        assert (least, most) == (([900, 0], 0, 1), ([550, 0], 0, 8))

    def test_windows_older_than_the_span_are_left_out(self) -> None:
        mean = Mean(2, 8)
        mean.push([1000, 0], 0)
        assert mean.push([0, 1000], 2047) == ([500, 500], 0, 2)
        assert mean.push([0, 1000], 2048) is None
        assert mean.push([0, 1000], 2148) == ([0, 1000], 1, 3)

    def test_at_most_ten_verdicts_a_second_and_every_window_counts(self) -> None:
        mean = Mean(2, 8)
        verdicts = [mean.push([0, 1000] if i % 2 else [1000, 0], 50 * i) for i in range(40)]
        assert sum(v is not None for v in verdicts) == 20
        assert verdicts[38] == ([500, 500], 0, 8)

    def test_flagged_windows_give_a_verdict_without_class_at_the_same_pace(self) -> None:
        mean = Mean(2, 8)
        mean.push([0, 1000], 0)
        assert mean.push(None, 50, Quality.STUCK) is None
        assert mean.push(None, 100, Quality.STUCK) == ([0, 0], -1, 0)

    def test_flagged_windows_do_not_enter_the_mean(self) -> None:
        mean = Mean(2, 8)
        mean.push([0, 1000], 0)
        mean.push(None, 100, Quality.CLIPPED)
        assert mean.push([0, 800], 200) == ([0, 900], 1, 2)

    def test_a_reset_forgets_the_windows_and_keeps_the_pace(self) -> None:
        mean = Mean(2, 8)
        mean.push([0, 1000], 0)
        lib.host_mean_reset(mean.raw)
        assert mean.push([500, 0], 50) is None
        assert mean.push([300, 0], 100) == ([400, 0], 0, 2)

    def test_a_tie_goes_to_the_lower_class(self) -> None:
        assert Mean(3, 8).push([0, 500, 500], 0) == ([0, 500, 500], 1, 1)


class Decide:
    """Feeds verdicts of one fault class, one each 100 ms, and collects what is told as (state, severity, raised)."""

    def __init__(self, classes: int = 2, **settings: int) -> None:
        config = ffi.new("host_decide_config_t *", {**DEFAULTS, **settings})
        self.raw = ffi.gc(lib.host_decide_new(config, classes), lib.host_decide_free)
        self.classes = classes
        self.now_ms = 0

    def verdict(
        self,
        *faults: int,
        quality: int = 0,
        after_ms: int = 100,
        novelty: int = 65535,
        known: bool = True,
        zone: Zone = Zone.NONE,
    ) -> list[tuple[int, int, int, int]]:
        self.now_ms += after_ms
        permille = ffi.new("uint16_t[]", [1000 - max(faults), *faults])
        out = ffi.new("host_decision_t[8]")
        told = lib.host_decide_step(self.raw, permille, quality, novelty, int(known), zone, self.now_ms, out)
        return [(d.class_index, d.state, d.severity, d.raised) for d in out[0:told]]

    def second(self, zone: Zone, changed: bool = False) -> list[tuple[str, int, int]]:
        """One second of velocity: what is told, by the watch's name."""
        self.now_ms += 1000
        out = ffi.new("host_decision_t[2]")
        told = lib.host_decide_velocity(self.raw, zone, int(changed), self.now_ms, out)
        return [(Watch(d.class_index - VERDICT_CLASSES_MAX).name.lower(), d.state, d.severity) for d in out[0:told]]

    def verdicts(self, *faults: int, **more: Any) -> list[tuple[int, int, int]]:
        return [d[1:] for fault in faults for d in self.verdict(fault, **more)]

    def state(self, class_index: int = 1) -> int:
        return int(lib.host_decide_state(self.raw, class_index))

    def raised(self) -> Decide:
        assert self.verdicts(FAULTY, FAULTY, FAULTY) == [RAISE]
        return self


RAISE = (AlertState.ACTIVE, Severity.ADVISORY, 1)
CLEAR = (AlertState.CLEARED, Severity.ADVISORY, 0)


class TestDecide:
    def test_raises_on_the_third_of_five_verdicts(self) -> None:
        d = Decide()
        assert d.verdicts(FAULTY, HEALTHY, FAULTY, HEALTHY) == []
        assert d.state() == AlertState.PENDING
        assert d.verdicts(FAULTY) == [RAISE]
        assert d.state() == AlertState.ACTIVE

    def test_three_of_six_do_not_raise(self) -> None:
        assert Decide().verdicts(FAULTY, HEALTHY, HEALTHY, FAULTY, HEALTHY, FAULTY) == []

    def test_exactly_the_threshold_counts_and_one_below_does_not(self) -> None:
        assert Decide().verdicts(800, 800, 800) == [RAISE]
        assert Decide().verdicts(799, 799, 799, 799, 799) == []

    def test_pending_falls_back_to_idle_when_five_verdicts_were_quiet(self) -> None:
        d = Decide()
        d.verdicts(FAULTY, *[HEALTHY] * 4)
        assert d.state() == AlertState.PENDING
        d.verdicts(HEALTHY)
        assert d.state() == IDLE

    def test_clears_after_five_verdicts_in_a_row_below_the_lower_threshold(self) -> None:
        d = Decide().raised()
        assert d.verdicts(499, 499, 499, 499) == []
        assert d.verdicts(499) == [CLEAR]
        assert d.state() == AlertState.CLEARED
        d.verdicts(HEALTHY)
        assert d.state() == IDLE

    def test_hysteresis_between_the_thresholds_nothing_changes(self) -> None:
        d = Decide().raised()
        assert d.verdicts(*[499, 499, 499, 499, 500] * 5) == []
        assert d.state() == AlertState.ACTIVE

    def test_a_cleared_alert_needs_the_whole_on_delay_again(self) -> None:
        d = Decide().raised()
        d.verdicts(*[HEALTHY] * 5)
        assert d.verdicts(FAULTY, FAULTY) == []
        assert d.verdicts(FAULTY) == [RAISE]

    def test_severity_rises_with_the_time_active_and_is_told_once_each(self) -> None:
        d = Decide(warning_after_ms=1000, critical_after_ms=2000).raised()
        assert d.verdicts(*[FAULTY] * 9) == []
        assert d.verdicts(FAULTY) == [(AlertState.ACTIVE, Severity.WARNING, 0)]
        assert d.verdicts(*[FAULTY] * 9) == []
        assert d.verdicts(FAULTY) == [(AlertState.ACTIVE, Severity.CRITICAL, 0)]
        assert d.verdicts(*[FAULTY] * 100) == []

    def test_severity_never_falls_while_active_and_the_clearing_names_it(self) -> None:
        d = Decide(warning_after_ms=300, critical_after_ms=100000).raised()
        assert d.verdicts(*[FAULTY] * 3) == [(AlertState.ACTIVE, Severity.WARNING, 0)]
        assert d.verdicts(*[HEALTHY] * 5) == [(AlertState.CLEARED, Severity.WARNING, 0)]
        assert lib.host_decide_severity(d.raw) == Severity.NONE
        assert d.verdicts(FAULTY, FAULTY, FAULTY) == [RAISE]

    def test_an_alert_that_lasts_is_told_again_after_the_interval(self) -> None:
        d = Decide(realert_interval_ms=1000).raised()
        assert d.verdicts(*[FAULTY] * 25) == [(AlertState.ACTIVE, Severity.ADVISORY, 0)] * 2

    def test_interval_zero_means_never_again(self) -> None:
        d = Decide(realert_interval_ms=0, warning_after_ms=10**9, critical_after_ms=10**9).raised()
        assert d.verdicts(*[FAULTY] * 100, after_ms=100_000) == []

    @pytest.mark.parametrize("quality", list(Quality))
    def test_flagged_verdicts_are_neither_healthy_nor_faulty(self, quality: Quality) -> None:
        d = Decide()
        d.verdicts(FAULTY, FAULTY)
        assert d.verdicts(*[FAULTY] * 20, quality=quality) == []
        assert d.state() == AlertState.PENDING
        assert d.verdicts(FAULTY) == [RAISE]
        assert d.verdicts(*[HEALTHY] * 20, quality=quality) == []
        assert d.state() == AlertState.ACTIVE
        assert d.verdicts(*[HEALTHY] * 4) == []
        assert d.verdicts(HEALTHY) == [CLEAR]

    def test_time_while_the_machine_is_off_does_not_raise_the_severity(self) -> None:
        d = Decide(warning_after_ms=1000).raised()
        assert d.verdicts(*[HEALTHY] * 100, quality=Quality.OFF, after_ms=10_000) == []
        assert d.verdicts(*[FAULTY] * 9) == []
        assert d.verdicts(FAULTY) == [(AlertState.ACTIVE, Severity.WARNING, 0)]

    def test_classes_are_judged_apart_and_the_output_shows_the_worst(self) -> None:
        d = Decide(classes=3, warning_after_ms=300)
        told = [t for _ in range(3) for t in d.verdict(FAULTY, HEALTHY)]
        assert told == [(1, *RAISE)]
        told = [t for _ in range(3) for t in d.verdict(600, FAULTY)]
        assert told == [(1, AlertState.ACTIVE, Severity.WARNING, 0), (2, *RAISE)]
        assert lib.host_decide_severity(d.raw) == Severity.WARNING

    def test_the_healthy_class_never_alerts(self) -> None:
        d = Decide()
        assert d.verdicts(*[0] * 20) == []
        assert d.state(0) == IDLE

    @pytest.mark.parametrize("settings", [{"raise_count": 9}, {"raise_of": 0}, {"raise_of": 200, "raise_count": 200}])
    def test_settings_that_could_never_alarm_are_brought_to_ones_that_can(self, settings: dict[str, int]) -> None:
        assert Decide(**settings).verdicts(*[FAULTY] * 10) == [RAISE]

    def test_one_of_one_raises_at_once_from_idle_and_from_cleared(self) -> None:
        d = Decide(raise_count=1, raise_of=1, clear_count=1)
        assert d.verdicts(FAULTY, HEALTHY, FAULTY) == [RAISE, CLEAR, RAISE]

    @given(st.lists(st.tuples(st.integers(0, 1000), st.booleans()), max_size=200))
    def test_what_is_told_always_alternates_between_raise_and_clear(self, steps: list[tuple[int, bool]]) -> None:
        d = Decide()
        active = False
        for permille, flagged in steps:
            for state, _, raised in d.verdicts(permille, quality=Quality.GAP if flagged else 0):
                assert not flagged
                assert bool(raised) == (not active)
                active = state == AlertState.ACTIVE
        assert active == (d.state() == AlertState.ACTIVE)

    def test_mean_and_decide_take_any_count_of_classes_up_to_eight(self) -> None:
        assert Mean(8, 8).push([int(v) for v in np.arange(8)], 0) == (list(range(8)), 7, 1)
        assert len(Decide(classes=8, raise_count=1, raise_of=1).verdict(*[FAULTY] * 7)) == 7


MINUTE = 60_000


class Plant(Decide):
    """Profile plant, a verdict each second, past the run-up."""

    def __init__(self, run_up: bool = True) -> None:
        super().__init__(profile=Profile.PLANT)
        if run_up:
            assert self.minutes(1, FAULTY) == []

    def minutes(self, count: float, *pattern: int, **more: Any) -> list[tuple[float, int, int]]:
        """The pattern of permille over and over; (minutes until then, state, severity) of what is told."""
        told, start = [], self.now_ms
        for i in range(round(count * 60)):
            for d in self.verdict(pattern[i % len(pattern)], after_ms=1000, **more):
                told.append(((self.now_ms - start) / MINUTE, d[1], d[2]))
        return told


class TestPlant:
    def test_a_fault_is_raised_after_ten_minutes_and_not_before(self) -> None:
        ((at, state, severity),) = Plant().minutes(12, FAULTY)
        assert (round(at, 1), state, severity) == (10.0, AlertState.ACTIVE, Severity.ADVISORY)

    def test_four_of_five_verdicts_are_enough_and_three_of_four_are_not(self) -> None:
        assert len(Plant().minutes(12, FAULTY, FAULTY, FAULTY, FAULTY, HEALTHY)) == 1
        assert Plant().minutes(30, FAULTY, FAULTY, FAULTY, HEALTHY) == []

    def test_the_share_is_that_of_the_last_ten_minutes(self) -> None:
        d = Plant()
        assert d.minutes(30, HEALTHY) == []
        ((at, *_),) = d.minutes(12, FAULTY)
        assert at == pytest.approx(8.0, abs=0.1)

    def test_the_run_up_is_waited_out_again_after_each_standstill(self) -> None:
        d = Plant()
        for _ in range(40):  # runs for a minute at a time, with what a run-up looks like
            d.minutes(0.2, HEALTHY, quality=Quality.OFF)
            assert d.minutes(1, FAULTY) == []
        assert d.minutes(8, FAULTY) == []

    def test_time_at_a_standstill_or_with_a_bad_sensor_does_not_count(self) -> None:
        d = Plant()
        assert d.minutes(9, FAULTY) == []
        assert d.minutes(60, FAULTY, quality=Quality.CLIPPED) == []
        ((at, *_),) = d.minutes(3, FAULTY)
        assert at == pytest.approx(1, abs=0.1)

    def test_it_is_cleared_when_at_most_a_fifth_is_left_and_not_by_a_good_minute(self) -> None:
        d = Plant()
        d.minutes(12, FAULTY)
        assert d.minutes(5, HEALTHY) == []
        ((at, state, _),) = d.minutes(10, HEALTHY)
        assert state == AlertState.CLEARED
        assert at == pytest.approx(3, abs=0.1)

    def test_it_is_a_warning_after_a_day_and_critical_after_a_week(self) -> None:
        d = Plant()
        d.minutes(11, FAULTY)
        told = d.minutes(24 * 60 + 1, FAULTY)
        assert (Severity.WARNING, pytest.approx(24 * 60, abs=70)) in [(s, at) for at, _, s in told]
        d.now_ms += 6 * 24 * 60 * MINUTE
        assert d.minutes(1, FAULTY)[0][2] == Severity.CRITICAL

    @pytest.mark.parametrize(
        ("zone", "severity"),
        [(Zone.NONE, 1), (Zone.A, 1), (Zone.B, 1), (Zone.C, Severity.WARNING), (Zone.D, Severity.CRITICAL)],
    )
    def test_the_zone_lifts_a_class_s_severity(self, zone: Zone, severity: Severity) -> None:
        ((_, _, got),) = Plant().minutes(10.5, FAULTY, zone=zone)
        assert got == severity

    def test_unknown_is_an_alert_of_its_own(self) -> None:
        d = Plant()
        ((at, state, severity),) = d.minutes(11, HEALTHY, novelty=1500, known=False)
        assert (round(at), state, severity) == (10, AlertState.ACTIVE, Severity.ADVISORY)
        assert lib.host_decide_state(d.raw, VERDICT_CLASSES_MAX + Watch.UNKNOWN) == AlertState.ACTIVE

    def test_a_novel_verdict_that_a_class_explains_is_not_unknown(self) -> None:
        d = Plant()
        told = d.minutes(11, FAULTY, novelty=1500, known=True)
        assert len(told) == 1
        assert d.state(1) == AlertState.ACTIVE


class TestVelocity:
    def seconds(self, d: Decide, count: int, zone: Zone, changed: bool = False) -> list[tuple[int, str, int, int]]:
        return [(i + 1, *told) for i in range(count) for told in d.second(zone, changed)]

    @pytest.mark.parametrize(("zone", "severity"), [(Zone.C, Severity.WARNING), (Zone.D, Severity.CRITICAL)])
    def test_a_high_zone_alone_is_raised_a_minute_after_the_run_up(self, zone: Zone, severity: Severity) -> None:
        ((at, name, state, got),) = self.seconds(Plant(run_up=False), 200, zone)
        assert (at, name, state, got) == (120, "velocity", AlertState.ACTIVE, severity)

    def test_a_change_alone_is_raised_after_ten_minutes(self) -> None:
        ((at, name, _, severity),) = self.seconds(Plant(run_up=False), 900, Zone.B, changed=True)
        assert (at, name, severity) == (660, "velocity_change", Severity.ADVISORY)

    def test_a_machine_within_its_limits_is_left_alone(self) -> None:
        d = Plant(run_up=False)
        assert self.seconds(d, 2000, Zone.A) + self.seconds(d, 2000, Zone.B) == []

    def test_without_a_zone_nothing_is_watched_and_the_run_up_begins_anew(self) -> None:
        d = Plant(run_up=False)
        for _ in range(20):
            assert self.seconds(d, 59, Zone.D) + self.seconds(d, 1, Zone.NONE) == []

    def test_worse_is_told_and_better_is_not(self) -> None:
        d = Plant(run_up=False)
        self.seconds(d, 200, Zone.C)
        assert [t[3] for t in self.seconds(d, 10, Zone.D)] == [Severity.CRITICAL]
        assert self.seconds(d, 30, Zone.C) == []
        ((_, _, state, severity),) = self.seconds(d, 100, Zone.B)
        assert (state, severity) == (AlertState.CLEARED, Severity.CRITICAL)

    def test_the_fast_profile_takes_three_of_five_seconds(self) -> None:
        assert self.seconds(Decide(), 5, Zone.C)[0][:2] == (3, "velocity")
