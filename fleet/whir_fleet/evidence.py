"""What speaks for an alert's verdict and what against it, out of its capture and the point's own past; and what to do next.

Nothing here decides: the node has, with its model. This is what an engineer wants to see before somebody walks to the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from statistics import median
from typing import Final, Literal

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from whir_fleet import captures, vibration
from whir_fleet.errors import ConflictError
from whir_fleet.models import Alert, Capture, Machine, Point
from whir_fleet.said import Number, Said
from whir_fleet.vibration import Speed
from whir_ml.bearings import BEARINGS

_MPS2: Final = {"g": 9.80665, "mps2": 1.0}
_USABLE: Final = {True: 0.1, False: vibration.UNSURE}  # rated speed known → confidence from which on orders are looked for
LEAST_S: Final = 0.25  # the lines of a spectrum would be too wide
GROWN: Final = 1.5  # times its baseline

Side = Literal["for", "against", "open"]


@dataclass(frozen=True)
class Level:
    """RMS velocity in mm/s at 1×, 2×, 3× and twice the line frequency, along one axis; `ratio` to the baseline's median."""

    axis: str
    what: Literal["1x", "2x", "3x", "2 x line"]
    mm_s: float
    baseline_mm_s: float | None
    ratio: float | None


@dataclass(frozen=True)
class BearingTone:
    """A peak of the envelope at a bearing's order. `stands_out`: out of its surroundings, with its second harmonic."""

    bearing: str
    name: str
    order: float
    expected_hz: float
    found_hz: float
    deviation_percent: float
    strength: float
    baseline_strength: float | None
    axis: str
    stands_out: bool


@dataclass(frozen=True)
class Finding:
    side: Side
    text: Said


@dataclass(frozen=True)
class Evidence:
    """Of one alert. `baseline_captures`: how many of the same point, before this one and of no alert, it is compared with."""

    alert_id: str
    capture_id: str
    site: str
    machine: str
    point: str | None
    verdict: str
    at_ms: int
    seconds: float
    rate_hz: float
    rpm: float
    rpm_confidence: float
    rated_rpm: float | None
    twice_line_hz: float | None
    baseline_captures: int
    levels: list[Level]
    tones: list[BearingTone]
    findings: list[Finding] = field(default_factory=list)
    next: list[Said] = field(default_factory=list)

    def level(self, what: str) -> Level | None:
        """The strongest of all axes."""
        return max((level for level in self.levels if level.what == what), key=lambda level: level.mm_s, default=None)


@dataclass(frozen=True)
class Shaft:
    """The speed at which a capture's orders are looked for: as `measured` in it, else as on the plate."""

    rpm: float
    measured: bool


@dataclass(frozen=True)
class _Measured:
    speed: Speed
    harmonics: list[vibration.Harmonics]
    line_hz: float | None
    tones: list[vibration.Tone]


def of_alert(session: Session, alert: Alert) -> Evidence:
    """ConflictError while no capture of the alert has come."""
    capture = captures.of_alert(session, alert)
    if (why := _unfit(capture)) is not None:
        raise ConflictError(why)
    machine = machine_of(session, alert.site, capture)
    axes = _axes(session, machine, capture)
    known = bool(orders(machine))
    rated = machine.rated_rpm if machine is not None else None
    now = _measure(capture, machine)
    before = [_measure(one, machine) for one in captures.baseline(session, capture)]
    before = [one for one in before if _usable(one.speed, rated)]
    found = Evidence(
        alert_id=alert.alert_id,
        capture_id=capture.id,
        site=alert.site,
        machine=capture.machine,
        point=capture.point,
        verdict=alert.verdict,
        at_ms=capture.at_ms,
        seconds=round(capture.samples * 1000 / capture.rate_mhz, 2),
        rate_hz=capture.rate_mhz / 1000,
        rpm=round(now.speed.rpm, 1),
        rpm_confidence=now.speed.confidence,
        rated_rpm=rated,
        twice_line_hz=now.line_hz,
        baseline_captures=len(before),
        levels=list(_levels(now, before, axes)),
        tones=list(_tones(now, before, axes, usable=_usable(now.speed, rated))),
    )
    found.findings.extend(_findings(found, known))
    found.next.extend(_next(found, known))
    return found


def machine_of(session: Session, site: str, capture: Capture) -> Machine | None:
    return session.scalar(select(Machine).where(Machine.site == site, Machine.name == capture.machine))


def shaft(capture: Capture, machine: Machine | None) -> Shaft | None:
    """As measured where that is sure enough, else as rated; None where neither is known."""
    rated = machine.rated_rpm if machine is not None else None
    if _unfit(capture) is None:
        speed = _measure(capture, machine).speed
        if _usable(speed, rated):
            return Shaft(speed.rpm, measured=True)
    return Shaft(rated, measured=False) if rated is not None else None


def _usable(speed: Speed, rated_rpm: float | None) -> bool:
    return speed.confidence >= _USABLE[rated_rpm is not None]


def _unfit(capture: Capture) -> Said | None:
    """Why nothing can be told of it."""
    if capture.unit not in _MPS2:
        return Said(
            "capture %(capture)s is in %(unit)s: no acceleration, so no velocity follows from it",
            capture=capture.id,
            unit=capture.unit,
        )
    if capture.samples * 1000 / capture.rate_mhz < LEAST_S:
        return Said(
            "capture %(capture)s is shorter than %(least)s s: nothing can be told of so little",
            capture=capture.id,
            least=Number(f"{LEAST_S:g}"),
        )
    return None


def _axes(session: Session, machine: Machine | None, capture: Capture) -> list[str]:
    """Where each axis looks, as far as the point says; else x, y, z."""
    names = list("xyz"[: capture.channels])
    if machine is not None and capture.point is not None:
        query = select(Point.axes).where(Point.machine_id == machine.id, Point.name == capture.point)
        said = session.scalar(query) or []
        names = [_looks(axis, said[i]) if i < len(said) else axis for i, axis in enumerate(names)]
    return names


_DIRECTIONS: Final = {
    "axial": Said("axial"),
    "radial": Said("radial"),
    "horizontal": Said("horizontal"),
    "vertical": Said("vertical"),
    "tangential": Said("tangential"),
}


def _looks(axis: str, direction: str) -> str:
    return Said.joined(" ", [axis, _DIRECTIONS.get(direction, direction)])


def orders(machine: Machine | None) -> dict[str, float]:
    """`bearing|tone` → order, of all bearings of the machine; a ball strikes both races in a turn of its own."""
    found: dict[str, float] = {}
    for bearing in machine.bearings if machine is not None else []:
        known = BEARINGS.get(bearing.get("designation") or "")
        own = {n: bearing.get(n) or (getattr(known, n) if known else None) for n in ("bpfo", "bpfi", "bsf", "ftf")}
        name = " ".join(filter(None, (bearing.get("designation") or "bearing", bearing.get("position"))))
        if own["bpfo"] and own["bpfi"] and own["bsf"] and own["ftf"]:
            tones = {"BPFO": own["bpfo"], "BPFI": own["bpfi"], "2 x BSF": 2 * own["bsf"], "FTF": own["ftf"]}
            found |= {f"{name}|{tone}": float(order) for tone, order in tones.items()}
    return found


def _measure(capture: Capture, machine: Machine | None) -> _Measured:
    rated = machine.rated_rpm if machine is not None else None
    lsb = capture.lsb_nano * 1e-9 * _MPS2[capture.unit]
    known = tuple(orders(machine).items())
    return _measured(capture.counts or b"", capture.channels, lsb, capture.rate_mhz / 1000, rated, known)


@lru_cache(maxsize=64)  # a capture never changes, and its pages are shown again and again
def _measured(
    counts: bytes, channels: int, lsb: float, rate_hz: float, rated_rpm: float | None, known: tuple[tuple[str, float], ...]
) -> _Measured:
    values, by_name = np.frombuffer(counts, "<i2").reshape(-1, channels) * lsb, dict(known)
    speed = vibration.speed(values, rate_hz, rated_rpm, by_name)
    harmonics, line_hz = vibration.harmonics(values, rate_hz, speed.rpm / 60)
    return _Measured(speed, harmonics, line_hz, vibration.tones(values, rate_hz, speed.rpm / 60, by_name))


_LEVELS: Final[tuple[tuple[Literal["1x", "2x", "3x", "2 x line"], str], ...]] = (
    ("1x", "x1"),
    ("2x", "x2"),
    ("3x", "x3"),
    ("2 x line", "twice_line"),
)


def _levels(now: _Measured, before: list[_Measured], axes: list[str]) -> Iterator[Level]:
    for place, axis in enumerate(axes):
        for what, name in _LEVELS:
            value = getattr(now.harmonics[place], name)
            if value is None:
                continue
            past = [v for one in before if (v := getattr(one.harmonics[place], name)) is not None]
            usual = median(past) if past else None
            ratio = round(value / usual, 2) if usual else None
            yield Level(axis, what, round(value, 3), None if usual is None else round(usual, 3), ratio)


def _tones(now: _Measured, before: list[_Measured], axes: list[str], usable: bool) -> Iterator[BearingTone]:
    for tone in now.tones:
        past = [one.strength for measured in before for one in measured.tones if one.name == tone.name]
        bearing, name = tone.name.split("|")
        yield BearingTone(
            bearing,
            name,
            round(tone.order, 3),
            round(tone.expected_hz, 2),
            round(tone.found_hz, 2),
            round(tone.deviation_percent, 2),
            round(tone.strength, 1),
            round(median(past), 1) if past else None,
            axes[tone.axis],
            tone.stands_out and usable,
        )


# For and against --------------------------------------------------------------------------------------------------------


def _findings(e: Evidence, bearing_known: bool) -> Iterator[Finding]:
    if e.rpm_confidence < vibration.UNSURE:
        sure = {"rpm": f"{e.rpm:.0f}", "confidence": f"{e.rpm_confidence:.0%}"}
        text = Said("the speed of %(rpm)s rpm is not sure (%(confidence)s); everything by order hangs on it", **sure)
        yield Finding("open", text)
    rules = _RULES.get(e.verdict)
    if rules is not None:
        yield from rules(e, bearing_known)
    if e.verdict != "bearing":
        yield from _bearing_besides(e)
    if e.baseline_captures == 0:
        yield Finding("open", Said("no capture of this point from before the alert: nothing to compare with"))


def _growth(level: Level) -> Iterator[Finding]:
    if level.ratio is not None:
        seen = {
            "what": level.what,
            "mm_s": Number(f"{level.mm_s:.2f}"),
            "axis": level.axis,
            "ratio": Number(f"{level.ratio:g}"),
        }
        text = Said("%(what)s is %(mm_s)s mm/s along %(axis)s, %(ratio)s times its baseline", **seen)
        yield Finding("for" if level.ratio >= GROWN else "against", text)


def _imbalance(e: Evidence, _: bool) -> Iterator[Finding]:
    one, two = e.level("1x"), e.level("2x")
    if one is None or two is None:
        return
    yield from _growth(one)
    if one.mm_s >= 3 * two.mm_s:
        seen = {"one": Number(f"{one.mm_s:.2f}"), "two": Number(f"{two.mm_s:.2f}")}
        yield Finding("for", Said("1x rules with %(one)s mm/s; 2x is only %(two)s mm/s", **seen))
    else:
        share = f"{two.mm_s / one.mm_s:.0%}"
        yield Finding("against", Said("2x reaches %(share)s of 1x, which imbalance alone does not make", share=share))
    yield from _axial(e, "1x", wanted=False)


def _misalignment(e: Evidence, _: bool) -> Iterator[Finding]:
    one, two = e.level("1x"), e.level("2x")
    if one is None or two is None:
        return
    yield from _growth(two)
    share = two.mm_s / max(one.mm_s, 1e-9)
    yield Finding("for" if share >= 0.5 else "against", Said("2x reaches %(share)s of 1x", share=f"{share:.0%}"))
    yield from _axial(e, "2x", wanted=True)
    if e.twice_line_hz is None:
        text = Said(
            "in %(seconds)s s twice the line frequency cannot be told from a harmonic of the shaft",
            seconds=Number(f"{e.seconds:g}"),
        )
        yield Finding("open", text)
    elif (line := e.level("2 x line")) is not None and line.mm_s > two.mm_s:
        text = Said(
            "%(hz)s Hz, twice the line frequency, is stronger than 2x: look at the winding", hz=Number(f"{e.twice_line_hz:g}")
        )
        yield Finding("against", text)


def _axial(e: Evidence, what: str, wanted: bool) -> Iterator[Finding]:
    axial = [level.mm_s for level in e.levels if level.what == what and level.axis.endswith("axial")]
    radial = [level.mm_s for level in e.levels if level.what == what and not level.axis.endswith("axial")]
    if axial and radial:
        strong = max(axial) >= 0.5 * max(radial)
        side: Side = "for" if strong == wanted else "against"
        share = f"{max(axial) / max(max(radial), 1e-9):.0%}"
        yield Finding(side, Said("%(what)s along the shaft is %(share)s of that across it", what=what, share=share))


def _looseness(e: Evidence, _: bool) -> Iterator[Finding]:
    one, three = e.level("1x"), e.level("3x")
    if one is not None and three is not None:
        yield from _growth(three)
        share = three.mm_s / max(one.mm_s, 1e-9)
        yield Finding("for" if share >= 0.2 else "against", Said("3x reaches %(share)s of 1x", share=f"{share:.0%}"))


def _bearing(e: Evidence, known: bool) -> Iterator[Finding]:
    if not known:
        yield Finding("open", Said("no bearing is known of this machine, so its orders cannot be looked for"))
        return
    out = [tone for tone in e.tones if tone.stands_out]
    for tone in sorted(out, key=lambda tone: -tone.strength):
        yield Finding("for", _told(tone))
    if not out:
        yield Finding("against", Said("none of the bearing's orders stands out of the envelope"))


def _bearing_besides(e: Evidence) -> Iterator[Finding]:
    side: Side = "against" if e.verdict in _RULES or e.verdict == "normal" else "open"
    for tone in e.tones:
        if tone.stands_out:
            yield Finding(side, Said("a bearing tone besides: %(tone)s", tone=_told(tone)))


_STRIKES: Final = {
    "BPFO": Said("outer race"),
    "BPFI": Said("inner race"),
    "2 x BSF": Said("rolling element"),
    "FTF": Said("cage"),
}


def _told(tone: BearingTone) -> Said:
    told = Said(
        "%(bearing)s: %(name)s (%(part)s) at %(hz)s Hz, %(deviation)s %% from its order %(order)s, "
        "%(strength)s times its surroundings",
        bearing=tone.bearing,
        name=tone.name,
        part=_STRIKES[tone.name],
        hz=Number(f"{tone.found_hz:.1f}"),
        deviation=Number(f"{tone.deviation_percent:+.1f}"),
        order=Number(f"{tone.order:g}"),
        strength=f"{tone.strength:.0f}",
    )
    if tone.baseline_strength is None:
        return told
    return Said("%(tone)s, %(strength)s in the baseline", tone=told, strength=Number(f"{tone.baseline_strength:g}"))


_RULES: Final[dict[str, Callable[[Evidence, bool], Iterator[Finding]]]] = {
    "imbalance": _imbalance,
    "misalignment": _misalignment,
    "looseness": _looseness,
    "bearing": _bearing,
}

_CHECKS: Final = {
    "imbalance": Said("phase of 1x horizontally and vertically: about 90 degrees apart speaks for imbalance"),
    "misalignment": Said("phase of 2x across the coupling, axially: about 180 degrees apart speaks for misalignment"),
    "looseness": Said("phase of 1x across each joint of the foundation, and the bolts' torque"),
    "bearing": Said("a capture again within a week: bearing tones that grow, or gain harmonics, are damage that spreads"),
}


def _next(e: Evidence, bearing_known: bool) -> Iterator[Said]:
    if e.verdict in _CHECKS:
        yield _CHECKS[e.verdict]
    if e.rpm_confidence < vibration.UNSURE:
        yield Said("the speed, by tachometer or strobe")
        if not e.rated_rpm:
            yield Said("the rated speed on the plate: enter it with the machine")
    if not bearing_known:
        yield Said("which bearings it has: enter their designation or orders with the machine")
    if e.twice_line_hz is None:
        yield Said("the run-down after switching off: what falls at once at 100 or 120 Hz is electrical")
    if e.baseline_captures == 0:
        yield Said("captures of the healthy machine after the repair, as its baseline")
