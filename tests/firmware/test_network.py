"""When a board's radio is on, when it joins and when it connects."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from whir_node.library import ffi, lib

RADIO_ON, JOIN, CONNECT, LEAVE, RADIO_OFF = 1, 2, 4, 8, 16


class Network:
    """The core's decisions, and what a board sees. `air` and `broker`: an attempt succeeds."""

    def __init__(self) -> None:
        self.core = ffi.gc(lib.host_network_new(), lib.host_network_free)
        self.wanted = True
        self.air = self.broker = True
        self.radio = self.joined = self.parted = self.connected = self.broken = False
        self.now_ms = 0
        self.log: list[tuple[int, int]] = []

    def step(self, ms: int = 20) -> int:
        """One step, and what the board makes of it until the next."""
        self.now_ms += ms
        seen = (self.wanted, self.joined, self.parted, self.connected, self.broken)
        todo = int(lib.host_network_step(self.core, *map(int, seen), 0, self.now_ms))
        if todo:
            self.log.append((self.now_ms, todo))
        if todo & RADIO_ON:
            self.radio = True
        if todo & JOIN:
            assert self.radio, "joins with the radio off"
            self.joined, self.parted = self.air, not self.air
        if todo & CONNECT:
            assert self.joined, "connects without a network"
            self.connected, self.broken = self.broker, not self.broker
        if todo & LEAVE:
            self.connected, self.broken = False, True
        if todo & RADIO_OFF:
            assert not self.connected, "without taking leave"
            self.radio, self.joined, self.parted = False, False, True
        return todo

    def lose_air(self) -> None:
        self.joined, self.parted = False, True

    def lose_broker(self) -> None:
        self.connected, self.broken = False, True

    def live(self, seconds: float) -> list[int]:
        """What was done, in order."""
        before = len(self.log)
        for _ in range(round(seconds * 50)):
            self.step()
        return [todo for _, todo in self.log[before:]]

    def times(self, what: int) -> list[int]:
        return [at for at, todo in self.log if todo & what]


@pytest.fixture
def net() -> Iterator[Network]:
    yield Network()


def test_it_joins_and_connects_at_once_and_then_does_nothing(net: Network) -> None:
    assert net.live(60) == [RADIO_ON | JOIN, CONNECT]
    assert net.connected


def test_without_an_answer_pauses_double_and_an_answer_begins_anew(net: Network) -> None:
    net.air = False
    net.live(40)
    tries = net.times(JOIN)
    assert [b - a for a, b in pairwise(tries)] == pytest.approx([500, 1000, 2000, 4000, 8000, 16000], abs=40)
    net.air = True
    net.live(30)
    assert net.connected
    before = net.now_ms
    net.lose_air()
    net.live(2)
    assert net.times(JOIN)[-1] - before < 600, "the first pause again"


def test_a_broker_that_is_away_does_not_make_it_join_again(net: Network) -> None:
    net.broker = False
    net.live(60)
    assert len(net.times(JOIN)) == 1
    assert 5 <= len(net.times(CONNECT)) <= 8


def test_nothing_connects_while_there_is_no_network_and_a_connection_may_outlive_it(net: Network) -> None:
    net.live(1)
    net.air = False
    net.lose_air()
    assert CONNECT not in net.live(20)
    assert net.connected, "nobody broke it: TCP outlives a short silence"
    net.lose_broker()
    assert CONNECT not in net.live(20)
    net.air = True
    net.live(60)
    assert net.connected


def test_it_takes_leave_before_the_radio_goes_and_stays_off(net: Network) -> None:
    net.live(1)
    net.wanted = False
    assert net.live(30) == [LEAVE, RADIO_OFF]
    net.wanted = True
    assert net.live(30) == [RADIO_ON | JOIN, CONNECT]


def test_a_radio_that_comes_back_does_not_wait_for_an_old_pause(net: Network) -> None:
    net.air = False
    net.live(60)
    net.wanted = False
    net.live(1)
    net.wanted, net.air = True, True
    assert net.step() == RADIO_ON | JOIN


def test_it_goes_off_also_while_it_tries(net: Network) -> None:
    net.air = False
    net.live(3)
    net.wanted = False
    assert net.live(10) == [RADIO_OFF]


def test_leave_is_taken_once(net: Network) -> None:
    net.live(1)
    net.wanted = False
    seen: Any = []
    for _ in range(3):  # the broker's answer takes its time
        seen.append(int(lib.host_network_step(net.core, 0, 1, 0, 1, 0, 0, net.now_ms)))
    assert seen == [LEAVE, 0, 0]
