"""A replayed past as one self-contained HTML page: what each machine said over time, its alerts, the repairs behind them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from importlib import resources
from typing import Any, Final

import jinja2

from whir_contracts.contract import NOVELTY_UNKNOWN_PERMILLE
from whir_ml.history_machine import GAP_DAYS, LEARNING_DAYS, LEARNING_RECORDINGS

WIDE: Final = 1000.0  # of a strip's own coordinates
HIGH: Final = 40.0
LEAST: Final = 3.0  # what is shorter could not be seen

Facts = dict[str, Any]


def page(found: Facts) -> str:
    """The page for what `whir_ml.history.replay` returns."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, loader=jinja2.FunctionLoader(_source), trim_blocks=True
    )
    axis = Axis(datetime.fromisoformat(found["from"]), datetime.fromisoformat(found["to"]))
    names = [*found["classes"], "unknown"]
    # Every machine has repairs that name none.
    machines = [
        _machine(name, one, axis, names, *(_own(found[key], name) for key in ("alerts", "repairs")))
        for name, one in found["machines"].items()
    ]
    return environment.get_template("history.html.j2").render(
        f=found,
        machines=machines,
        names=names,
        ticks=list(axis.ticks()),
        gap_days=GAP_DAYS,
        learning=(LEARNING_DAYS, LEARNING_RECORDINGS),
    )


def _source(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _own(rows: Sequence[Facts], machine: str) -> list[Facts]:
    return [row for row in rows if row["machine"] in ("", machine)]


class Axis:
    """Dates as places on a strip."""

    def __init__(self, begin: datetime, end: datetime) -> None:
        self.begin, self.end = begin, max(end, begin + timedelta(days=1))

    def x(self, at: str | datetime) -> float:
        when = datetime.fromisoformat(at) if isinstance(at, str) else at
        return round(min(max((when - self.begin) / (self.end - self.begin), 0.0), 1.0) * WIDE, 1)

    def ticks(self) -> Iterator[Facts]:
        """Five dates from the first to the last."""
        for share in range(5):
            at = self.begin + (self.end - self.begin) * share / 4
            yield {"x": share * WIDE / 4, "text": at.date().isoformat()}


def _machine(
    name: str, machine: Facts, axis: Axis, names: Sequence[str], alerts: Sequence[Facts], repairs: Sequence[Facts]
) -> Facts:
    heard = machine["heard"]
    fastest = max((one["velocity_mm_s"] for one in heard if one["velocity_mm_s"] is not None), default=None)
    return {
        "name": name or "(no machine named)",
        "recordings": len(heard),
        "zones": machine["zones"],
        "verdicts": _runs(heard, axis, lambda one: one["verdict"], lambda name: f"c{names.index(name)}"),
        "grades": _runs(heard, axis, lambda one: one["zone"], lambda zone: f"zone{zone}"),
        "learning": _runs(heard, axis, lambda one: "learning" if one["learning"] else None, str),
        "novelty": _lines(heard, axis, lambda one: one["novelty"], 2 * NOVELTY_UNKNOWN_PERMILLE),
        "velocity": [] if fastest is None else _lines(heard, axis, lambda one: one["velocity_mm_s"], 1.1 * fastest),
        "fastest": fastest,
        "alerts": [
            {
                "fault": fault,
                "bars": [_bar(axis, a["date"], a["cleared"] or axis.end, a["severity"], _alert_says(a)) for a in group],
            }
            for fault, group in ((f, [a for a in alerts if a["fault"] == f]) for f in dict.fromkeys(a["fault"] for a in alerts))
        ],
        "repairs": [
            {"x": axis.x(one["date"]) / 10, "text": f"{one['date'][:10]} {one['fault']}"}
            for one in repairs
            if axis.begin <= datetime.fromisoformat(one["date"])
        ],
    }


def _alert_says(alert: Facts) -> str:
    over = "not cleared" if alert["cleared"] is None else f"cleared {alert['cleared'][:16]}"
    return f"{alert['fault']}, {alert['severity']}: raised {alert['date'][:16]}, {over}"


def _bar(axis: Axis, begin: str, end: str | datetime, kind: str, says: str) -> Facts:
    x = axis.x(begin)
    return {"x": min(x, WIDE - LEAST), "width": max(LEAST, axis.x(end) - x), "kind": kind, "says": says}


def _spans(heard: Sequence[Facts]) -> Iterator[tuple[Facts, str]]:
    """Each recording and until when it stands: the next one, unless there is a gap."""
    for one, after in itertools.pairwise(heard):
        days = (datetime.fromisoformat(after["at"]) - datetime.fromisoformat(one["at"])) / timedelta(days=1)
        yield one, after["at"] if days <= GAP_DAYS else one["at"]
    yield heard[-1], heard[-1]["at"]


def _runs(heard: Sequence[Facts], axis: Axis, value: Callable[[Facts], str | None], kind: Callable[[str], str]) -> list[Facts]:
    """Bars of equal values, without those that have none."""
    bars = list[Facts]()
    begun: tuple[str, str, int] | None = None  # value, since when, recordings
    for one, until in _spans(heard):
        said = value(one)
        if begun is not None and begun[0] != said:
            bars.append(_run(axis, *begun, one["at"], kind))
            begun = None
        if said is not None:
            begun = (said, one["at"], 1) if begun is None else (*begun[:2], begun[2] + 1)
        if begun is not None and until == one["at"]:
            bars.append(_run(axis, *begun, until, kind))
            begun = None
    return bars


def _run(axis: Axis, said: str, begin: str, recordings: int, end: str, kind: Callable[[str], str]) -> Facts:
    count = "1 recording" if recordings == 1 else f"{recordings} recordings"
    return _bar(axis, begin, end, kind(said), f"{said}: {begin[:16]} to {end[:16]}, {count}")


def _lines(heard: Sequence[Facts], axis: Axis, value: Callable[[Facts], float | None], most: float) -> list[str]:
    """Points of polylines, broken where nothing is known and at gaps."""
    lines: list[list[str]] = [[]]
    for one, until in _spans(heard):
        there = value(one)
        if there is None:
            lines.append([])
            continue
        y = round(HIGH * (1 - min(there / most, 1.0)), 1)
        lines[-1].append(f"{axis.x(one['at'])},{y}")
        if until == one["at"]:
            lines[-1].append(f"{min(WIDE, axis.x(one['at']) + LEAST)},{y}")
            lines.append([])
    return [" ".join(line if len(line) > 1 else [*line, *line]) for line in lines if line]
