"""A point's past in bins: the same from messages and from hours, with the machine's own zones."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from whir_fleet import devices
from whir_fleet.console import history
from whir_fleet.console.history import RANGES, History, Period
from whir_fleet.console.units import CHOICES
from whir_fleet.db import Database
from whir_fleet.messages import Inbound
from whir_fleet.models import Machine
from whir_fleet.retention import DAY_MS, HOUR_MS, prune
from whir_fleet.store import store

T0 = 500_000 * HOUR_MS


def past(database: Database, span: str, now_ms: int) -> History:
    with database.read() as session:
        node = devices.find(session, "lab", "n1")
        return history.load(session, [Period(node.id, "n1", 0, 2**62)], RANGES[span], now_ms)


def of(group: str | None, foundation: str | None, rated_kw: float | None) -> Machine:
    return Machine(iso_group=group, foundation=foundation, rated_kw=rated_kw)


def test_mean_and_highest_velocity_are_the_same_before_and_after_the_rows_are_hours(
    database: Database, says: Callable[..., Inbound]
) -> None:
    with database.write() as session:
        messages = [says("telemetry", seq=i, ts=T0 + i * 60_000, velocity=1000 * (i + 1), velocity_hz=1000) for i in range(3)]
        store(session, [*messages, says("telemetry", seq=9, ts=T0 + DAY_MS, velocity=None)], 100)
    before = past(database, "month", T0 + 8 * DAY_MS)
    lines = before.velocity_chart(CHOICES["mm"], None)["lines"]
    assert [[value for value in line if value is not None] for line in lines] == [[2.0], [3.0]]
    more = True
    while more:
        with database.write() as session:
            more = prune(session, T0 + 20 * DAY_MS, 7, 730)
    assert past(database, "month", T0 + 8 * DAY_MS).velocity_chart(CHOICES["mm"], None)["lines"] == lines
    assert not past(database, "day", T0 + 8 * DAY_MS).has_velocity


@pytest.mark.parametrize(
    ("machine", "bc_um_s"),
    [
        (of("group2", "rigid", 22), 2800), (of("group2", "flexible", 22), 4500), (of("class1", "rigid", 15), 1800),
        (of("group1", "rigid", 22), None), (of(None, "rigid", 22), None), (of("group2", None, 22), None),
        (of("group2", "rigid", None), None), (None, None),
    ],
)  # fmt: skip
def test_a_machine_has_the_limits_of_its_group_foundation_and_power(machine: Machine | None, bc_um_s: int | None) -> None:
    assert (history.limits_of(machine) or {}).get("bc_um_s") == bc_um_s


def test_zones_are_in_the_viewers_unit_and_the_next_limit_is_in_sight(database: Database, says: Callable[..., Inbound]) -> None:
    with database.write() as session:
        store(session, [says("telemetry", seq=1, ts=T0, velocity=2000, velocity_hz=1000)], 100)
    limits = history.limits_of(of("group2", "rigid", 22))
    chart = past(database, "day", T0).velocity_chart(CHOICES["inch"], limits)
    assert (chart["unit"], chart["zones"][1]) == ("in/s", pytest.approx(2.8 / 25.4, abs=1e-4))
    assert chart["least"] == pytest.approx(1.1 * 2.8 / 25.4)
