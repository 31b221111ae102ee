"""The local alarm's patterns."""

from __future__ import annotations

from whir_node.library import lib

LED, BUZZER, RELAY = 1, 2, 4


def ticks(severity: int, bit: int, silenced: int = 0) -> int:
    """How many of the eight ticks of a second it is on."""
    return sum(bool(lib.host_alarm_at(severity, tick, silenced) & bit) for tick in range(8))


def test_severities_can_be_told_apart_by_the_light() -> None:
    assert [ticks(severity, LED) for severity in range(4)] == [0, 1, 2, 4]


def test_relay_and_buzzer_begin_with_the_warning() -> None:
    assert [ticks(severity, RELAY) for severity in range(4)] == [0, 0, 8, 8]
    assert [ticks(severity, BUZZER) > 0 for severity in range(4)] == [False, False, True, True]


def test_a_silenced_alarm_still_shows_and_switches() -> None:
    assert ticks(3, BUZZER, silenced=1) == 0
    assert ticks(3, LED, silenced=1) == 4
    assert ticks(3, RELAY, silenced=1) == 8


def test_patterns_repeat_and_the_unknown_is_critical() -> None:
    assert [lib.host_alarm_at(2, tick, 0) for tick in range(8)] == [
        lib.host_alarm_at(2, 2**32 - 8 + tick, 0) for tick in range(8)
    ]
    assert lib.host_alarm_at(200, 0, 0) == lib.host_alarm_at(3, 0, 0)
