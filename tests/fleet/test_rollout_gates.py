"""When a node may be started: windows, its machine, rate and jitter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from rollout_fleet import T0, Fleet

from whir_fleet.errors import RequestError
from whir_fleet.rollout_gates import Window


def ms(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("window", "at", "zone", "is_open"),
    [
        ("06:00-18:00", "2026-11-21T06:00", "UTC", True),
        ("06:00-18:00", "2026-11-21T18:00", "UTC", False),
        ("22:00-05:00", "2026-11-21T23:59", "UTC", True),
        ("22:00-05:00", "2026-11-21T04:59", "UTC", True),
        ("22:00-05:00", "2026-11-21T12:00", "UTC", False),
        ("sat 22:00-05:00", "2026-11-22T04:00", "UTC", True),  # Sunday morning belongs to Saturday's night
        ("sat 22:00-05:00", "2026-11-21T04:00", "UTC", False),
        ("mon,fri 08:00-09:00", "2026-11-20T08:30", "UTC", True),
        ("mon,fri 08:00-09:00", "2026-11-21T08:30", "UTC", False),
        ("08:00-09:00 Europe/Berlin", "2026-07-01T08:30", "Europe/Berlin", True),
        ("08:00-09:00 Europe/Berlin", "2026-07-01T08:30", "UTC", False),
    ],
)
def test_a_window_is_open_by_the_clock_of_its_zone(window: str, at: str, zone: str, is_open: bool) -> None:
    assert Window.parse(window).is_open(ms(at, zone)) == is_open


@pytest.mark.parametrize(
    "text", ["", "8-9", "24:00-05:00", "05:00-05:00", "day 05:00-06:00", "05:00-06:00 Mars/Olympus", "05:00-06:61"]
)
def test_a_window_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="window"):
        Window.parse(text)


def test_nodes_start_only_inside_the_window(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(1)
    hour = datetime.fromtimestamp(T0 / 1000, ZoneInfo("UTC")).hour
    f.create(window=f"{(hour + 1) % 24:02d}:00-{(hour + 2) % 24:02d}:00")
    assert f.actions == {"n0": "waiting"}
    f.advance(3600)
    assert f.actions == {"n0": "started"}


@pytest.mark.parametrize(("machine", "state", "other"), [("running", "ok", "machine_off"), ("off", "machine_off", "ok")])
def test_nodes_start_only_while_their_machine_is_as_wanted(
    fleet: Callable[[int], Fleet], machine: str, state: str, other: str
) -> None:
    f = fleet(2)
    f.say("n0", "status", state=state)
    f.say("n1", "status", state=other)
    f.create(groups=("100%",), machine=machine)
    assert f.actions == {"n0": "started", "n1": "waiting"}
    f.say("n1", "status", state=state)
    f.advance(1)
    assert f.actions["n1"] == "started"


def test_no_more_nodes_start_in_a_minute_than_the_rate(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(5)
    f.create(groups=("100%",), rate_per_min=2)
    counts = []
    for seconds in (0, 30, 59, 60, 90, 121):
        f.advance(seconds)
        counts.append(Counter(f.actions.values())["started"])
    assert counts == [2, 2, 2, 4, 4, 5]


def test_jitter_spreads_the_starts_and_silence_counts_from_each_own(fleet: Callable[[int], Fleet]) -> None:
    f = fleet(30)
    f.create(groups=("100%",), jitter_s=100, silence_s=60, abort_percent=100, abort_min=31)
    seen = []
    for seconds in range(0, 101, 10):
        f.advance(seconds)
        seen.append(sum(state != "waiting" for state in f.actions.values()))
    assert seen == sorted(seen) and seen[0] < 10 and 1 < seen[5] < 30 and seen[-1] == 30
    f.advance(100.5)
    assert 0 < Counter(f.actions.values())["failed"] < 30
