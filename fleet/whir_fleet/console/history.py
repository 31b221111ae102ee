"""What a measuring point has said over time, in bins that fit a page: verdicts for the ribbon, values for the charts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from whir_contracts import contract
from whir_fleet.console.units import Units
from whir_fleet.models import Machine, Telemetry, TelemetryHour
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

    def add(self, sum: int | None, count: int, highest: int | None) -> None:
        self.sum += int(sum or 0)  # PostgreSQL adds up to numeric
        self.count += int(count)
        self.highest = _higher(self.highest, highest)

    @property
    def mean(self) -> float | None:
        return self.sum / self.count if self.count else None


@dataclass(slots=True)
class _Bin:
    verdicts: Counter[str] = field(default_factory=Counter)
    rms: _Level = field(default_factory=_Level)
    velocity: _Level = field(default_factory=_Level)
    novelty_max: int | None = None

    def add(self, row: Any) -> None:
        """Of `_RAW` or `_HOURS`: what one verdict adds."""
        self.verdicts[row.verdict] += int(row.windows)
        self.rms.add(row.rms_sum, row.rms_count, row.rms_max)
        self.velocity.add(row.velocity_sum, row.velocity_count, row.velocity_max)
        self.novelty_max = _higher(self.novelty_max, row.novelty_max)


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
    """The bins end with the one that `now_ms` is in. The database adds up: a year is no more rows than it has bins."""
    until_ms = (now_ms // span.bin_ms + 1) * span.bin_ms
    since_ms = until_ms - span.span_ms
    bins: list[_Bin | None] = [None] * (span.span_ms // span.bin_ms)
    for period in periods:
        start, end = max(since_ms, period.from_ms), min(until_ms, period.until_ms)
        if start >= end:
            continue
        for query, at in ((_RAW, Telemetry.at_ms), *(() if span.raw else ((_HOURS, TelemetryHour.hour_ms),))):
            place = ((at - since_ms) // span.bin_ms).label("place")
            first = start if at is Telemetry.at_ms else start // HOUR_MS * HOUR_MS  # of an hour only the whole is known
            asked = query.add_columns(place).where(query.selected_columns[0] == period.node_id, at >= first, at < end)
            for row in session.execute(asked.group_by("node_id", "verdict", "place")):
                found = bins[row.place] = bins[row.place] or _Bin()
                found.add(row)
    return History(since_ms, span.bin_ms, bins)


def _sums(of: Any, **given: Any) -> Select[*tuple[Any, ...]]:
    return select(of.node_id, of.verdict, *(column.label(name) for name, column in given.items()))


_t, _h = Telemetry, TelemetryHour
_RAW: Final = _sums(
    _t,
    windows=func.sum(_t.windows),
    rms_sum=func.sum(_t.rms),
    rms_count=func.count(_t.rms),
    rms_max=func.max(_t.rms),
    velocity_sum=func.sum(_t.velocity),
    velocity_count=func.count(_t.velocity),
    velocity_max=func.max(_t.velocity),
    novelty_max=func.max(_t.novelty),
)
_HOURS: Final = _sums(
    _h,
    windows=func.sum(_h.windows),
    rms_sum=func.sum(_h.rms_sum),
    rms_count=func.sum(_h.rms_count),
    rms_max=func.max(_h.rms_max),
    velocity_sum=func.sum(_h.velocity_sum),
    velocity_count=func.sum(_h.velocity_count),
    velocity_max=func.max(_h.velocity_max),
    novelty_max=func.max(_h.novelty_max),
)
