"""What a measuring point has said over time, in bins that fit a page: verdicts for the ribbon, values for the charts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from whir_contracts import contract
from whir_fleet import retention
from whir_fleet.console.units import Units
from whir_fleet.models import Machine, Telemetry
from whir_fleet.retention import DAY_MS, HOUR_MS

MINUTE_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Range:
    """So much of the past in bins of that length; `raw` takes the messages themselves, else hours."""

    span_ms: int
    bin_ms: int
    raw: bool


RANGES: Final = {
    "hour": Range(HOUR_MS, MINUTE_MS, True),
    "day": Range(DAY_MS, 5 * MINUTE_MS, True),
    "week": Range(7 * DAY_MS, HOUR_MS, False),
    "month": Range(30 * DAY_MS, 3 * HOUR_MS, False),
    "year": Range(365 * DAY_MS, DAY_MS, False),
}


@dataclass(slots=True)
class Period:
    """A node at the point, from one time to another."""

    node_id: int
    node: str
    from_ms: int
    until_ms: int


@dataclass(slots=True)
class _Level:
    """Of a value in a bin: its mean and its highest."""

    sum: int = 0
    count: int = 0
    highest: int | None = None

    def add(self, more: _Level) -> None:
        self.sum += more.sum
        self.count += more.count
        self.highest = _higher(self.highest, more.highest)

    @property
    def mean(self) -> float | None:
        return self.sum / self.count if self.count else None


@dataclass(slots=True)
class _Bin:
    verdicts: Counter[str] = field(default_factory=Counter)
    rms: _Level = field(default_factory=_Level)
    velocity: _Level = field(default_factory=_Level)
    novelty_max: int | None = None

    def add(self, verdict: str, windows: int, rms: _Level, velocity: _Level, novelty: int | None) -> None:
        self.verdicts[verdict] += windows
        self.rms.add(rms)
        self.velocity.add(velocity)
        self.novelty_max = _higher(self.novelty_max, novelty)


def _higher(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else max(a, b)


@dataclass(frozen=True, slots=True)
class Stripe:
    """Neighbouring bins with the same verdict, as places in the ribbon. None: nothing was heard."""

    start: int
    length: int
    verdict: str | None
    from_ms: int
    until_ms: int


@dataclass(frozen=True)
class History:
    since_ms: int
    bin_ms: int
    bins: list[_Bin | None]

    @property
    def empty(self) -> bool:
        return not any(self.bins)

    @property
    def shares(self) -> list[tuple[str, float]]:
        """Each verdict's share of the windows, the most first."""
        total: Counter[str] = Counter()
        for found in self.bins:
            if found is not None:
                total.update(found.verdicts)
        windows = sum(total.values()) or 1
        return [(verdict, count / windows) for verdict, count in total.most_common()]

    @property
    def stripes(self) -> list[Stripe]:
        """A bin has the verdict of most of its windows."""
        said = [found.verdicts.most_common(1)[0][0] if found is not None else None for found in self.bins]
        found, start = [], 0
        for place in range(1, len(said) + 1):
            if place == len(said) or said[place] != said[start]:
                times = (self.since_ms + edge * self.bin_ms for edge in (start, place))
                found.append(Stripe(start, place - start, said[start], *times))
                start = place
        return found

    def _chart(self, lines: list[list[float | None]], unit: str, least: float = 0) -> dict[str, Any]:
        """For charts.js: seconds, and one value per bin of each line; null where nothing was heard."""
        x = [(self.since_ms + place * self.bin_ms) // 1000 for place in range(len(self.bins))]
        return {"x": x, "lines": lines, "unit": unit, "least": least}

    def _levels(self, of: Callable[[_Bin], _Level], shown: Callable[[float], float]) -> list[list[float | None]]:
        """Mean and highest of each bin, in the viewer's unit."""
        levels = [of(found) if found is not None else _Level() for found in self.bins]
        lines = ([level.mean for level in levels], [level.highest for level in levels])
        return [[None if value is None else round(shown(value), 5) for value in line] for line in lines]

    def rms_chart(self, units: Units, unit: str | None) -> dict[str, Any]:
        lines = self._levels(lambda found: found.rms, lambda value: units.acceleration(value, unit))
        return self._chart(lines, "V" if unit == "volt" else units.acceleration_unit)

    @property
    def has_velocity(self) -> bool:
        return any(found is not None and found.velocity.count for found in self.bins)

    def velocity_chart(self, units: Units, limits: Limits | None) -> dict[str, Any]:
        """With the zones where the machine has limits; the next limit above the curve is always in sight."""
        chart = self._chart(
            self._levels(lambda found: found.velocity, lambda um_s: um_s * units.velocity_factor), units.velocity_unit
        )
        if limits is None:
            return chart
        edges = [limits[name] * units.velocity_factor for name in ("ab_um_s", "bc_um_s", "cd_um_s")]
        highest = max((value for value in chart["lines"][1] if value is not None), default=0)
        chart["least"] = next((edge for edge in edges if edge > highest), edges[-1]) * 1.1
        return chart | {"zones": [round(edge, 5) for edge in edges]}

    def novelty_chart(self) -> dict[str, Any]:
        found = [None if one is None or one.novelty_max is None else one.novelty_max / 1000 for one in self.bins]
        return self._chart([found], "", 1.1)


Limits = dict[str, Any]  # a row of the contract's zones


def limits_of(machine: Machine | None) -> Limits | None:
    """The severity zones' limits for the machine; None where its plate is not known or no standard covers it."""
    if machine is None or machine.rated_kw is None:
        return None
    kind, watt = (machine.iso_group, machine.foundation), machine.rated_kw * 1000
    rows = (row for row in contract.ZONE_LIMITS if (row["group"], row["foundation"]) == kind)
    return next((row for row in rows if row["over_w"] < watt <= row["to_w"]), None)


def load(session: Session, periods: list[Period], span: Range, now_ms: int) -> History:
    """The bins end with the one that `now_ms` is in."""
    until_ms = (now_ms // span.bin_ms + 1) * span.bin_ms
    since_ms = until_ms - span.span_ms
    bins: list[_Bin | None] = [None] * (span.span_ms // span.bin_ms)
    for period in periods:
        start, end = max(since_ms, period.from_ms), min(until_ms, period.until_ms)
        if start >= end:
            continue
        for at_ms, said in (_raw if span.raw else _hours)(session, period.node_id, start, end):
            place = (at_ms - since_ms) // span.bin_ms
            if 0 <= place < len(bins):
                found = bins[place] = bins[place] or _Bin()
                found.add(*said)
    return History(since_ms, span.bin_ms, bins)


_Said = tuple[str, int, _Level, _Level, int | None]


def _raw(session: Session, node_id: int, since_ms: int, until_ms: int) -> Iterator[tuple[int, _Said]]:
    t = Telemetry
    query = select(t.at_ms, t.verdict, t.windows, t.rms, t.velocity, t.novelty)
    for at_ms, verdict, windows, rms, velocity, novelty in session.execute(
        query.where(t.node_id == node_id, t.at_ms >= since_ms, t.at_ms < until_ms)
    ):
        yield at_ms, (verdict, windows, _one(rms), _one(velocity), novelty)


def _one(value: int | None) -> _Level:
    return _Level(value or 0, value is not None, value)


def _hours(session: Session, node_id: int, since_ms: int, until_ms: int) -> Iterator[tuple[int, _Said]]:
    for hour in retention.hourly(session, node_id, since_ms // HOUR_MS * HOUR_MS, until_ms):
        rms, velocity = (_Level(*(hour[f"{name}_{of}"] for of in ("sum", "count", "max"))) for name in ("rms", "velocity"))
        yield max(hour["hour_ms"], since_ms), (hour["verdict"], hour["windows"], rms, velocity, hour["novelty_max"])
