"""Checks of the samples on import. They name what looks wrong and where; they never repair.

| check | what it sees |
|---|---|
| clipping | plateaus at an extreme that the signal enters abruptly, or samples at the sensor's full scale |
| stuck_axis | a run of one value that this channel's other samples make next to impossible, or two values only |
| swapped_axis | gravity on another axis, or the other way round, than in the other recordings of this mounting |
| gap | time stamps that jump or go back; a file with fewer rows than its layout has |
| jitter | time stamps that are uneven beyond their own resolution |
| too_short | less than one window of 256 samples at 1 kHz |
| unit | gravity that is not 1 g (9.81 m/s²), values beyond the sensor's range or beyond any machine |
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from whir_ml.importers import timing
from whir_ml.importers.errors import Finding
from whir_ml.importers.facts import Facts
from whir_ml.importers.foreign import Foreign

CHECKS: Final = ("clipping", "stuck_axis", "swapped_axis", "gap", "jitter", "too_short", "unit")
SECONDS_MIN: Final = 0.256
SAMPLES_MIN: Final = 256
STANDARD_GRAVITY: Final = {"g": 1.0, "m/s^2": 9.80665}
RMS_MAX_G: Final = 50.0
VOLTS_MAX: Final = 30.0
PLATEAU_SAMPLES: Final = 3
PLATEAU_STEP_COUNTS: Final = 4.0
STUCK_SAMPLES_MIN: Final = 32
STUCK_CHANCE: Final = 1e-6
GRAVITY_SHARE_MIN: Final = 0.5
SWAP_ANGLE_DEG: Final = 30.0


def run(foreign: Foreign, facts: Facts, references: Sequence[NDArray[np.float64]]) -> list[Finding]:
    """All findings, in the order of CHECKS. `facts` are settled; `references` are gravity vectors in g, (3,) each."""
    assert facts.unit is not None and facts.rate_hz is not None
    found = list(foreign.findings)
    for channel, values in zip(foreign.channels, foreign.values.T, strict=True):
        clipped = _clipping(foreign, channel, values, facts.full_scale)
        found += clipped
        found += _stuck(foreign, channel, values, bool(clipped))
    found += _swapped(foreign, facts.unit, references)
    if foreign.stamps is not None:
        measured = timing.measure(foreign.stamps)
        if measured is not None:
            found += timing.findings(measured, foreign.stamps, foreign.place)
    found += _too_short(foreign, facts.rate_hz)
    found += _unit(foreign, facts.unit, facts.full_scale)
    return sorted(found, key=lambda one: CHECKS.index(one.check))


def gravity(values: NDArray[np.float64], unit: str) -> NDArray[np.float64] | None:
    """The mean vector in g, (3,), of a 3-axis sensor that hears it: at least half of gravity; else None."""
    standard = STANDARD_GRAVITY.get(unit)
    if standard is None or values.shape[1] != 3:
        return None
    mean: NDArray[np.float64] = values.mean(axis=0) / standard
    return mean if float(np.linalg.norm(mean)) >= GRAVITY_SHARE_MIN else None


def _runs(values: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and lengths of the runs of equal values."""
    starts = np.concatenate([[0], np.flatnonzero(np.diff(values)) + 1]).astype(np.int64)
    return starts, np.diff(np.concatenate([starts, [len(values)]])).astype(np.int64)


def _clipping(foreign: Foreign, channel: str, values: NDArray[np.float64], full_scale: float | None) -> list[Finding]:
    if full_scale is not None:
        at_end = np.flatnonzero(np.abs(values) >= full_scale * 0.999)
        if len(at_end) >= PLATEAU_SAMPLES:
            text = f"{len(at_end)} samples at the full scale of {full_scale:g}"
            return [Finding("clipping", f"{channel}, {foreign.place(int(at_end[0]))}", text)]
    steps = np.abs(np.diff(values))
    if not (steps > 0).any():
        return []
    count = _count(values)
    starts, lengths = _runs(values)
    found = []
    for end, word in ((values.max(), "top"), (values.min(), "bottom")):
        candidates = np.flatnonzero((lengths >= PLATEAU_SAMPLES) & (values[starts] == end))
        runs = [(int(starts[one]), int(lengths[one])) for one in candidates]
        plateaus = [run for run in runs if _abrupt(steps, *run, count)]
        if plateaus:
            total = sum(length for _, length in plateaus)
            text = f"{total} samples in {len(plateaus)} plateaus at the {word}, {end:.6g}"
            found.append(Finding("clipping", f"{channel}, {foreign.place(plateaus[0][0])}", text))
    return found


def _abrupt(steps: NDArray[np.float64], start: int, length: int, count: float) -> bool:
    """Whether the signal jumps into or out of a run: a smooth peak leaves its top by a count or two of the source."""
    into = steps[start - 1] if start else 0.0
    out = steps[start + length - 1] if start + length <= len(steps) else 0.0
    return bool(max(into, out) >= PLATEAU_STEP_COUNTS * count)


def _count(values: NDArray[np.float64]) -> float:
    """The step in which the source writes values: the least distance of two, floating-point dust left out."""
    levels = np.unique(values)
    gaps = np.diff(levels)
    real = gaps[gaps > 1e-9 * max(1e-30, float(np.abs(levels).max()))]
    return float(real.min()) if len(real) else math.inf


def _stuck(foreign: Foreign, channel: str, values: NDArray[np.float64], clipped: bool) -> list[Finding]:
    starts, lengths = _runs(values)
    if len(lengths) == 1:
        return []  # dead altogether: the recording format itself refuses that
    if len(np.unique(values)) == 2:
        return [Finding("stuck_axis", channel, f"only ever {values.min():g} or {values.max():g}")]
    longest = int(lengths.argmax())
    start, length = int(starts[longest]), int(lengths[longest])
    if length < STUCK_SAMPLES_MIN or (clipped and values[start] in (values.min(), values.max())):
        return []
    ended = start + length == len(values)
    if not ended and not _abrupt(np.abs(np.diff(values)), start, length, _count(values)):
        return []
    # How likely two neighbours are equal elsewhere: coarse counts on a quiet machine repeat often, and may.
    repeats = (len(values) - len(lengths)) - (length - 1)
    chance = max(repeats, 1) / max(len(values) - length, 1)
    if chance < 1 and math.log(len(values)) + (length - 1) * math.log(chance) < math.log(STUCK_CHANCE):
        seconds = "" if foreign.says.rate_hz is None else f" ({length / foreign.says.rate_hz:.3g} s)"
        return [
            Finding("stuck_axis", f"{channel}, {foreign.place(start)}", f"{length} samples{seconds} of {values[start]:.6g}")
        ]
    return []


def _swapped(foreign: Foreign, unit: str, references: Sequence[NDArray[np.float64]]) -> list[Finding]:
    here = gravity(foreign.values, unit)
    if here is None or not references:
        return []
    there = np.median(np.array(references), axis=0)
    cosine = float(here @ there / (np.linalg.norm(here) * np.linalg.norm(there)))
    angle = math.degrees(math.acos(max(-1.0, min(1.0, cosine))))
    if angle <= SWAP_ANGLE_DEG:
        return []

    def main(vector: NDArray[np.float64]) -> str:
        axis = int(np.abs(vector).argmax())
        return f"{'-' if vector[axis] < 0 else '+'}{foreign.channels[axis]} ({vector[axis]:.2f} g)"

    text = (
        f"gravity on {main(here)}, on {main(there)} in {len(references)} other recordings of this mounting ({angle:.0f}° apart)"
    )
    return [Finding("swapped_axis", "", text)]


def _too_short(foreign: Foreign, rate_hz: float) -> list[Finding]:
    count = len(foreign.values)
    if count >= SAMPLES_MIN and count / rate_hz >= SECONDS_MIN:
        return []
    return [Finding("too_short", "", f"{count} samples, {count / rate_hz:.3g} s; a window is 256 samples at 1 kHz")]


def _unit(foreign: Foreign, unit: str, full_scale: float | None) -> list[Finding]:
    values = foreign.values
    peak = float(np.abs(values).max())
    channel = foreign.channels[int(np.abs(values).max(axis=0).argmax())]
    if full_scale is not None and peak > full_scale * 1.01:
        return [Finding("unit", channel, f"reaches {peak:.4g} {unit}, beyond the full scale of {full_scale:g} {unit}")]
    if unit == "V":
        return [] if peak <= VOLTS_MAX else [Finding("unit", channel, f"reaches {peak:.4g} V: no accelerometer gives that")]
    standard = STANDARD_GRAVITY[unit]
    spread = values.std(axis=0) / standard
    if spread.max() > RMS_MAX_G:
        loud = foreign.channels[int(spread.argmax())]
        return [Finding("unit", loud, f"{spread.max():.4g} g RMS if the unit is {unit}: beyond any machine")]
    if values.shape[1] != 3:
        return []
    still = float(np.linalg.norm(values.mean(axis=0))) / standard
    if unit == "m/s^2" and 0.9 <= still * standard <= 1.1:
        return [Finding("unit", "", f"the mean is {still * standard:.3g} m/s^2 long: gravity, if the unit were g")]
    if still < 0.2 or 0.8 <= still <= 1.25:
        return []  # below: a sensor that does not hear gravity
    return [Finding("unit", "", f"gravity comes out as {still:.3g} g if the unit is {unit}, not 1 g")]
