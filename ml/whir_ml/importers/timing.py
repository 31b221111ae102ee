"""Time stamps: the rate that they give, the gaps, and how unevenly the samples were taken."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from whir_ml.importers.errors import Finding

GAP_INTERVALS: Final = 1.5
UNEVEN_SHARE_OF_INTERVAL: Final = 0.1
UNEVEN_SHARE_OF_SAMPLES: Final = 0.01
FINDINGS_PER_CHECK: Final = 5


@dataclass(frozen=True)
class Timing:
    """`interval_s` between samples outside gaps; `resolution_s` is the step of the stamps themselves."""

    interval_s: float
    resolution_s: float
    jitter: float
    gaps: tuple[int, ...]
    backwards: tuple[int, ...]

    @property
    def rate_hz(self) -> float:
        return 1 / self.interval_s


def measure(stamps: NDArray[np.float64]) -> Timing | None:
    """Timing of stamps in seconds, (samples,); None where they do not advance.

    Stamps written with few digits make even samples look uneven by up to one step: that much is allowed everywhere.
    """
    steps = np.diff(stamps)
    forward = steps[steps > 0]
    if not len(forward):
        return None
    resolution = _resolution(steps)
    # Coarse stamps repeat, so that their median step may be nothing like the interval; their mean is.
    median = float(np.median(steps))
    interval = median if median > 4 * resolution else float(steps.sum()) / len(steps)
    if interval <= 0:
        return None
    for _ in range(2):  # the mean over what is no gap, from a first guess that gaps may have stretched
        even = (steps >= 0) & (steps <= _longest(interval, resolution))
        if even.any() and steps[even].sum() > 0:
            interval = float(steps[even].mean())
    gaps = np.flatnonzero(steps > _longest(interval, resolution))
    backwards = np.flatnonzero((steps < 0) | ((steps == 0) & (resolution < interval)))
    off = np.abs(steps - interval) > UNEVEN_SHARE_OF_INTERVAL * interval + resolution
    off[gaps] = False
    off[backwards] = False
    return Timing(interval, resolution, float(off.mean()), tuple(map(int, gaps)), tuple(map(int, backwards)))


def findings(timing: Timing, stamps: NDArray[np.float64], place: Callable[[int], str]) -> list[Finding]:
    """Gaps and jitter; `place` names a sample."""
    found = []
    for index in timing.backwards[:FINDINGS_PER_CHECK]:
        found.append(Finding("gap", place(index + 1), f"time goes from {stamps[index]:.9g} s to {stamps[index + 1]:.9g} s"))
    for index in timing.gaps[:FINDINGS_PER_CHECK]:
        pause = float(stamps[index + 1] - stamps[index])
        missing = max(1.0, pause / timing.interval_s - 1)
        found.append(Finding("gap", place(index + 1), f"{pause:.6g} s after the sample before, about {missing:.0f} missing"))
    more = max(0, len(timing.gaps) - FINDINGS_PER_CHECK) + max(0, len(timing.backwards) - FINDINGS_PER_CHECK)
    if more:
        found.append(Finding("gap", "", f"{more} more places like these"))
    if timing.jitter > UNEVEN_SHARE_OF_SAMPLES:
        found.append(
            Finding(
                "jitter",
                "",
                f"{timing.jitter:.1%} of the intervals are off {timing.interval_s * 1e6:.6g} us by more than "
                f"{UNEVEN_SHARE_OF_INTERVAL:.0%} (the stamps' own step of {timing.resolution_s * 1e6:.3g} us allowed)",
            )
        )
    return found


def _longest(interval: float, resolution: float) -> float:
    """The longest step that is no gap: rounding stretches one interval to the next multiple of the stamps' step at most."""
    rounded = math.ceil(interval / resolution - 1e-3) * resolution * (1 + 1e-6) if resolution else 0.0
    return max(GAP_INTERVALS * interval, rounded)


def _resolution(steps: NDArray[np.float64]) -> float:
    """The step in which the stamps are written: the coarsest power of ten of a second that all intervals are multiples of."""
    largest = float(np.abs(steps).max())
    for digits in range(0, 10):
        unit = 10.0**-digits
        if unit > largest:
            continue
        rest = np.abs(steps / unit - np.rint(steps / unit))
        # Sums of floats: a stamp of hours in seconds has an error of 1e-12 s, far below a nanosecond.
        if float(rest.max()) < max(1e-3, math.ulp(largest) / unit * 1e4):
            return unit
    return 0.0
