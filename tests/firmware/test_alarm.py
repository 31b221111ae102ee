"""The local alarm: patterns by severity, the button, and showing which board it is."""

from __future__ import annotations

import pytest

from whir_node.library import lib

LED, BUZZER, RELAY = 1, 2, 4


@pytest.fixture(autouse=True)
def rested() -> None:
    lib.host_alarm_show(0)
    lib.host_alarm_set(0)
    while lib.host_alarm_tick(0):
        pass


def ticks(bit: int, count: int = 8, button: int = 0) -> int:
    """In how many of these it is on; eight are a second."""
    return sum(bool(lib.host_alarm_tick(button) & bit) for _ in range(count))


def of(severity: int, bit: int) -> int:
    lib.host_alarm_set(severity)
    return ticks(bit)


def test_severities_can_be_told_apart_by_the_light() -> None:
    assert [of(severity, LED) for severity in range(4)] == [0, 1, 2, 4]


def test_relay_and_buzzer_begin_with_the_warning() -> None:
    assert [of(severity, RELAY) for severity in range(4)] == [0, 0, 8, 8]
    assert [of(severity, BUZZER) > 0 for severity in range(4)] == [False, False, True, True]


def test_the_button_silences_the_buzzer_until_the_severity_changes() -> None:
    lib.host_alarm_set(2)
    assert ticks(BUZZER) == 1
    lib.host_alarm_tick(1)
    assert ticks(BUZZER, 80) == 0
    assert ticks(LED) == 2 and ticks(RELAY) == 8, "it still shows and switches"
    lib.host_alarm_set(3)
    assert ticks(BUZZER) == 4


def test_a_board_that_is_looked_for_blinks_for_so_long_and_goes_on_with_its_alarm() -> None:
    lib.host_alarm_set(2)
    lib.host_alarm_show(3)
    assert ticks(LED, 24) == 12
    assert ticks(LED) == 2
    lib.host_alarm_show(1)
    assert ticks(RELAY) == 8


def test_patterns_repeat_and_the_unknown_is_critical() -> None:
    lib.host_alarm_set(2)
    seconds = [[lib.host_alarm_tick(0) for _ in range(8)] for _ in range(3)]
    assert seconds[0] == seconds[1] == seconds[2]
    assert of(200, LED) == of(3, LED)
