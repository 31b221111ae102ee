"""Duty cycles: what is on when, that a node which rests or sleeps loses no alert, and that its messages stay one sequence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from rig import FAR, Rig, bundle

from whir_contracts.contract import (
    POWER_AFTER_BOOT_MS,
    POWER_LISTEN_MAX_MS,
    POWER_TELL_MAX_MS,
    PowerMode,
)
from whir_node.node import Use

EVERY_S = 300
BOOT_S = POWER_AFTER_BOOT_MS // 1000 + 5


class Board:
    """What the wiring does: sensor and radio as the node wants them, sleep when it may; and a fleet that receipts."""

    def __init__(self, mode: PowerMode, *, reachable: bool = True, **config: Any) -> None:
        self.rig = Rig(bundle(), power=mode, every_s=EVERY_S, **config)
        self.reachable = reachable
        self.up = False
        self.wakes = 0

    def live(self, seconds: int, kind: str = "healthy") -> Iterator[Use]:
        """Second by second (a sleep is one step)."""
        end = self.rig.node.now_ms + seconds * 1000
        while self.rig.node.now_ms < end:
            use = self.rig.node.use
            if use.sleep_ms:
                self.rig.node.sleep(use.sleep_ms)
                self.up = False
                self.wakes += 1
            else:
                self._second(use, kind)
            yield use

    def _second(self, use: Use, kind: str) -> None:
        up = use.radio and self.reachable
        if up != self.up:
            self.up = up
            if up:
                self.rig.node.will()
            self.rig.node.connected(up)
        if use.sensor:
            self.rig.play(kind, 1, seed=self.rig.node.now_ms % 97)
        else:
            self.rig.node.wait(1000)
        if up:
            self.rig.receipt_all()
            for chunk in self.rig.broker.chunks[-200:]:
                self.rig.command("receipt", boot=chunk.boot, seq=[chunk.seq])


def on_share(uses: list[Use]) -> tuple[float, float]:
    return sum(u.sensor for u in uses) / len(uses), sum(u.radio for u in uses) / len(uses)


def test_a_continuous_node_is_always_on() -> None:
    board = Board(PowerMode.CONTINUOUS)
    assert on_share(list(board.live(BOOT_S + EVERY_S))) == (1, 1)
    assert board.rig.broker.of("status")[0]["power"] == "continuous"


def test_after_a_cold_boot_nothing_rests_so_that_an_installer_sees_it_work() -> None:
    board = Board(PowerMode.SLEEP)
    assert on_share(list(board.live(POWER_AFTER_BOOT_MS // 1000 - 1))) == (1, 1)


def test_in_interval_sensor_and_radio_are_on_for_seconds_and_each_measurement_is_told() -> None:
    board = Board(PowerMode.INTERVAL)
    list(board.live(BOOT_S))
    before = len(board.rig.broker.of("telemetry"))
    sensor, radio = on_share(list(board.live(4 * EVERY_S)))
    assert sensor < 0.05
    assert radio < 0.05
    assert board.wakes == 0
    told = board.rig.broker.of("telemetry")[before:]
    assert [t["verdict"] for t in told] == ["healthy"] * len(told)
    assert 3 <= len(told) <= 5


def test_silence_is_announced_for_as_long_as_it_may_last() -> None:
    board = Board(PowerMode.INTERVAL)
    list(board.live(BOOT_S))
    longest = (EVERY_S * 1000 + POWER_LISTEN_MAX_MS + POWER_TELL_MAX_MS) // 1000
    assert board.rig.broker.of("status")[-1]["next_s"] == longest
    assert board.rig.broker.of("telemetry")[-1]["next_s"] == longest


def test_a_sleeping_node_keeps_boot_and_sequence_over_its_wakes() -> None:
    board = Board(PowerMode.SLEEP)
    list(board.live(BOOT_S + 5 * EVERY_S))
    assert board.wakes >= 4
    assert board.rig.node.look().boot == 1
    seqs = sorted({body["seq"] for _, body, _ in board.rig.broker.messages} | {c.seq for c in board.rig.broker.chunks})
    assert seqs == list(range(len(seqs)))
    assert len(board.rig.broker.of("telemetry")) >= 4
    assert {e["seq"] for e in board.rig.broker.of("event", kind="boot")} == {0}
    assert board.rig.broker.of("status")[-1]["reset"] == "wake-up"


@pytest.mark.parametrize("mode", [PowerMode.INTERVAL, PowerMode.SLEEP])
def test_a_fault_is_raised_at_the_next_measurement_once_and_stays_the_same_occurrence(mode: PowerMode) -> None:
    board = Board(mode)
    list(board.live(BOOT_S + 60))
    list(board.live(EVERY_S + 60, "imbalance"))
    raised = board.rig.broker.of("alert", state="active")
    assert {a["verdict"] for a in raised} == {"imbalance"}
    list(board.live(3 * EVERY_S, "imbalance"))
    assert {a["occurrence"] for a in board.rig.broker.of("alert")} == {raised[0]["occurrence"]}
    list(board.live(2 * EVERY_S, "healthy"))
    assert board.rig.broker.of("alert")[-1]["state"] == "cleared"


def test_resting_time_is_neither_running_time_nor_makes_an_alert_worse() -> None:
    board = Board(PowerMode.SLEEP)
    list(board.live(BOOT_S))
    watched = sum(use.sensor for use in board.live(4 * EVERY_S, "imbalance"))
    assert 12 < watched < 60, "on this profile critical takes 60 s"
    assert board.rig.broker.of("alert", state="active")[-1]["severity"] == "warning"


def asleep(board: Board, seconds: int, kind: str) -> Use:
    """What it wants in its next sleep."""
    for _ in range(seconds):
        use = board.rig.node.use
        if use.sleep_ms:
            return use
        board._second(use, kind)
    raise AssertionError("it does not sleep")


def test_a_machine_that_stands_may_wake_it_by_its_start() -> None:
    board = Board(PowerMode.MOTION, watches=True)
    use = asleep(board, 300, "off")
    assert use.motion and use.sleep_ms > 200_000
    assert board.rig.broker.of("status")[-1]["power"] == "motion"
    board.rig.node.sleep(20_000, by_motion=True)
    board.up = False
    assert board.rig.node.use.sensor, "it measures at once"
    assert not asleep(board, 300, "healthy").motion, "a machine that runs would wake it for ever"
    assert board.rig.broker.of("telemetry")[-1]["verdict"] == "healthy"
    assert board.rig.broker.of("status")[-1]["reset"] == "motion"


def test_passers_by_wake_it_once_an_interval_at_most() -> None:
    board = Board(PowerMode.MOTION, watches=True)
    assert asleep(board, 300, "off").motion
    board.rig.node.sleep(5_000, by_motion=True)
    board.up = False
    use = asleep(board, 300, "off")
    assert not use.motion and use.sleep_ms > 200_000
    board.rig.node.sleep(use.sleep_ms)
    board.up = False
    assert asleep(board, 300, "off").motion


@pytest.mark.parametrize(("mode", "watches"), [(PowerMode.SLEEP, True), (PowerMode.MOTION, False)])
def test_without_the_mode_or_a_sensor_that_can_it_sleeps_by_the_clock_and_says_so(mode: PowerMode, watches: bool) -> None:
    board = Board(mode, watches=watches)
    assert not asleep(board, 300, "off").motion
    assert board.rig.broker.of("status")[-1]["power"] == "sleep"


def test_out_of_reach_it_rests_all_the_same_and_delivers_later() -> None:
    board = Board(PowerMode.SLEEP, reachable=False)
    list(board.live(BOOT_S + 3 * EVERY_S))
    assert board.wakes >= 2
    assert not board.rig.broker.messages
    board.reachable = True
    list(board.live(2 * EVERY_S))
    seqs = sorted({body["seq"] for _, body, _ in board.rig.broker.messages})
    assert seqs == list(range(len(seqs)))


def test_an_update_keeps_it_awake_until_it_is_confirmed() -> None:
    board = Board(PowerMode.SLEEP)
    list(board.live(BOOT_S))
    for use in board.live(2 * EVERY_S):
        if use.radio and board.up:
            break
    data = bundle("better", "2", 2)
    board.rig.command("update", id="u-1", exp=FAR, url="u", bytes=len(data))
    assert all(not use.sleep_ms for use in board.live(EVERY_S))
    board.rig.deliver(data)
    list(board.live(EVERY_S))
    assert board.rig.broker.of("event", kind="update_confirmed")
    assert any(use.sleep_ms for use in board.live(2 * EVERY_S))


def test_without_power_in_its_sleep_it_boots_cold() -> None:
    board = Board(PowerMode.SLEEP)
    list(board.live(BOOT_S + EVERY_S))
    board.rig.node.reboot()
    assert board.rig.node.look().boot == 2
    assert board.rig.node.look().seq > 0, "it tells the boot"


def test_a_memory_of_an_earlier_boot_is_not_believed() -> None:
    from whir_node.library import ffi, lib

    board = Board(PowerMode.SLEEP)
    list(board.live(BOOT_S))
    node = board.rig.node
    memory = ffi.gc(lib.host_memory_new(), lib.host_memory_free)
    lib.host_node_sleep(node._core, memory)
    node.reboot()
    node._halt()
    node._boot("wake-up", memory=memory)
    assert node.look().boot == 3
