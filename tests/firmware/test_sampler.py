"""The sampler over each simulated part: reads for ever, opens it anew when it fails, stands by while nobody listens."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
from test_accel import Rig, each_part, rig

from whir_node.library import ffi, lib

__all__ = ["rig"]


class Turn(NamedTuple):
    count: int
    gap: bool
    wait_ms: int


def turn(r: Rig, wanted: bool = True) -> Turn:
    samples, gap, wait_ms = ffi.new("int16_t[]", 96), ffi.new("uint8_t *"), ffi.new("uint32_t *")
    count = lib.host_accel_turn(r.handle, int(wanted), samples, gap, wait_ms, r.sim.now_us)
    return Turn(int(count), bool(gap[0]), int(wait_ms[0]))


def live(r: Rig, ms: int, wanted: bool = True) -> list[Turn]:
    """Turns for so long, each after the pause that the one before asked for."""
    turns, end = [], r.sim.now_us + ms * 1000
    while r.sim.now_us < end:
        turns.append(turn(r, wanted))
        r.sim.advance(max(turns[-1].wait_ms * 1000, 100))
    return turns


def troubles(r: Rig) -> tuple[int, int]:
    values = ffi.new("uint32_t[2]")
    lib.host_accel_troubles(r.handle, values)
    return values[0], values[1]


@each_part
def test_everything_is_read_without_the_interrupt(rig: Callable[[str, int], Rig], name: str, kind: int) -> None:
    r = rig(name, kind)
    assert r.open() == 0
    turns = live(r, 500)
    assert sum(t.count for t in turns) == pytest.approx(0.5 * r.sim.rate_hz(), rel=0.25)
    assert not any(t.gap for t in turns)
    assert troubles(r) == (0, 0)


@each_part
def test_it_stands_by_and_comes_back_with_a_gap(rig: Callable[[str, int], Rig], name: str, kind: int) -> None:
    r = rig(name, kind)
    assert r.open() == 0
    live(r, 100)
    assert all(t.count == 0 and t.wait_ms > 0 for t in live(r, 2000, wanted=False))
    back = live(r, 500)
    assert back[0].gap or back[1].gap
    assert sum(t.count for t in back) > 0
    assert troubles(r) == (0, 0), "no trouble: it was asked to"


@each_part
def test_a_bus_that_is_lost_is_tried_again_each_second(rig: Callable[[str, int], Rig], name: str, kind: int) -> None:
    r = rig(name, kind)
    assert r.open() == 0
    live(r, 50)
    r.nak_after = 0
    lost = live(r, 3500)
    assert lost[-1].gap or any(t.gap for t in lost)
    assert sum(t.count for t in lost) == 0
    r.nak_after = None
    assert sum(t.count for t in live(r, 1500)) > 0
    assert troubles(r)[1] == 1


@each_part
def test_a_reader_that_comes_too_late_counts_an_overrun(rig: Callable[[str, int], Rig], name: str, kind: int) -> None:
    r = rig(name, kind)
    assert r.open() == 0
    live(r, 50)
    r.sim.advance(4 * int(lib.host_accel_overrun_us(r.handle)) + 10_000)
    late = live(r, 100)
    assert any(t.gap for t in late)
    assert troubles(r)[0] >= 1
