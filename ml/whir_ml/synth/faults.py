"""What each fault does to the machine: forces over mass, in g, along the machine's axes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from whir_ml.synth.machine import AXIAL, HORIZONTAL, VERTICAL, Course, G, Machine, orders
from whir_ml.synth.machine import drift as drift_course

LABELS: Final[dict[str, str]] = {
    "normal": "normal",
    "imbalance": "imbalance",
    "misalignment_parallel": "misalignment",
    "misalignment_angular": "misalignment",
    "bearing_outer": "bearing",
    "bearing_inner": "bearing",
    "bearing_ball": "bearing",
    "looseness": "looseness",
    "bent_shaft": "bent_shaft",
}
SEVERITIES: Final = 4


@dataclass(frozen=True)
class Levels:
    """Size of each fault by severity, s1 (early) to s4 (grave)."""

    eccentricity_um: tuple[float, ...]  # imbalance: displacement of the whole machine
    misalignment_mg: tuple[float, ...]  # largest harmonic at 25 Hz and full load
    impact_mm_s: tuple[float, ...]  # bearing: velocity step of the rigid machine per impact at 25 Hz and full load
    looseness_mg: tuple[float, ...]
    bow_um: tuple[float, ...]  # bent shaft


def smooth_force(
    rng: np.random.Generator, machine: Machine, course: Course, fault: str, severity: int, levels: Levels
) -> NDArray[np.float64]:
    """Forces locked to the shaft, (3, count): residual imbalance and misalignment of every machine, and the fault's."""

    def size(of: str, values: tuple[float, ...]) -> float:
        return values[severity - 1] * rng.uniform(0.85, 1.15) if fault.startswith(of) else 0.0

    force = _imbalance(rng, machine, course, math.hypot(machine.eccentricity_um, size("imbalance", levels.eccentricity_um)))
    kind = fault if fault.startswith("misalignment") else str(rng.choice(("misalignment_parallel", "misalignment_angular")))
    offset = math.hypot(machine.misalignment_mg, size("misalignment", levels.misalignment_mg))
    force += _misalignment(rng, machine, course, kind, offset)
    if fault == "looseness":
        force += _looseness(rng, course, size("looseness", levels.looseness_mg))
    if fault == "bent_shaft":
        force += _bent_shaft(rng, machine, course, size("bent_shaft", levels.bow_um))
    return force


def _imbalance(rng: np.random.Generator, machine: Machine, course: Course, eccentricity_um: float) -> NDArray[np.float64]:
    """A force that turns with the shaft and grows with the square of its speed; radial but for a small moment."""
    amplitude = eccentricity_um * 1e-6 / G * (2 * np.pi * course.speed_hz) ** 2
    phase = rng.uniform(0.0, 2 * np.pi)
    anisotropy = rng.uniform(0.75, 1.0)
    force = np.zeros((3, course.count))
    force[HORIZONTAL] = amplitude * orders(course, ((1.0, 1.0, phase),))
    force[VERTICAL] = amplitude * orders(course, ((1.0, anisotropy, phase + np.pi / 2),))
    force[AXIAL] = amplitude * orders(course, ((1.0, rng.uniform(0.03, 0.12), rng.uniform(0.0, 2 * np.pi)),))
    return force


MISALIGNMENT: Final[dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]]] = {
    # Share of the harmonics 1, 2, 3: radial, axial. An offset works twice a turn, an angle pushes along the shaft.
    "misalignment_parallel": ((0.45, 1.0, 0.4), (0.3, 0.5, 0.25)),
    "misalignment_angular": ((0.4, 0.5, 0.25), (1.0, 0.7, 0.35)),
}


def _misalignment(
    rng: np.random.Generator, machine: Machine, course: Course, kind: str, amplitude_mg: float
) -> NDArray[np.float64]:
    """Coupling reactions at 1, 2 and 3 times the speed, growing with load (torque) and with speed."""
    radial, axial = MISALIGNMENT[kind]
    force = np.zeros((3, course.count))
    for axis, shares, part in (
        (HORIZONTAL, radial, rng.uniform(0.6, 1.0)),
        (VERTICAL, radial, rng.uniform(0.6, 1.0)),
        (AXIAL, axial, 1.0),
    ):
        harmonics = tuple(
            (float(order), part * share * rng.uniform(0.75, 1.25), rng.uniform(0.0, 2 * np.pi))
            for order, share in enumerate(shares, start=1)
        )
        force[axis] = orders(course, harmonics)
    return force * (amplitude_mg * 1e-3 * (machine.speed_hz / 25.0) * (0.5 + 0.5 * course.load))


def _looseness(rng: np.random.Generator, course: Course, amplitude_mg: float) -> NDArray[np.float64]:
    """A foot that lifts every other turn: a truncated vertical wave, so half orders and a long row of harmonics."""
    phase = rng.uniform(0.0, 2 * np.pi)
    lift = orders(course, ((1.0, 1.0, phase), (0.5, 0.6, rng.uniform(0.0, 2 * np.pi))))
    truncated = np.maximum(lift, 0.4) - 0.4
    truncated -= truncated.mean()
    return np.outer((0.4, 1.0, 0.2), truncated * (amplitude_mg * 1e-3 / 0.5))


def _bent_shaft(rng: np.random.Generator, machine: Machine, course: Course, bow_um: float) -> NDArray[np.float64]:
    """A bow: 1x as of an imbalance, and as much along the shaft at 1x and 2x, because the bearings are tilted."""
    force = _imbalance(rng, machine, course, bow_um)
    amplitude = bow_um * 1e-6 / G * (2 * np.pi * course.speed_hz) ** 2
    axial = (
        (1.0, rng.uniform(0.8, 1.2), rng.uniform(0.0, 2 * np.pi)),
        (2.0, rng.uniform(0.2, 0.4), rng.uniform(0.0, 2 * np.pi)),
    )
    force[AXIAL] += amplitude * orders(course, axial)
    return force


def impact_train(
    rng: np.random.Generator, machine: Machine, course: Course, fault: str, severity: int, levels: Levels
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Impacts of a bearing defect: direction (3,) and the train (count,), each impact one sample of its velocity step.

    Rolling elements slip: the mean order is up to 1 % low, and each interval varies by 1 %. The load zone (Stribeck,
    half the circumference) modulates a spot that travels through it: on the inner race with the shaft, on a ball with
    the cage; a spot on the outer race stands still in it.
    """
    bearing = machine.bearing
    order = {"bearing_outer": bearing.bpfo, "bearing_inner": bearing.bpfi, "bearing_ball": 2 * bearing.bsf}[fault]
    first, last = course.revolutions[0], course.revolutions[-1]
    strikes = int((last - first) * order * 1.1) + 10
    slip = 1.0 + rng.uniform(0.0, 0.01)
    turns = first + np.cumsum(slip / order * (1 + 0.01 * rng.standard_normal(strikes))) - rng.uniform(0.0, 1.0) / order
    turns = turns[(turns > first) & (turns < last)]
    place = np.interp(turns, course.revolutions, np.arange(course.count, dtype=np.float64))

    start = rng.uniform(0.0, 2 * np.pi)
    if fault == "bearing_outer":
        angle = np.full(len(turns), math.radians(rng.uniform(-40.0, 40.0)))
    elif fault == "bearing_inner":
        angle = 2 * np.pi * turns + start
    else:
        angle = 2 * np.pi * bearing.ftf * turns + start
    zone = 0.12 + 0.88 * np.maximum(np.cos(angle), 0.0) ** 1.5
    nearest = place.astype(np.intp)
    wander = np.exp(0.25 * drift_course(rng, course.count, course.seconds, 0.4))
    step = levels.impact_mm_s[severity - 1] * rng.uniform(0.85, 1.15) * 1e-3 * (machine.speed_hz / 25.0)
    steps = step * zone * wander[nearest] * (0.6 + 0.4 * course.load[nearest]) * np.exp(0.2 * rng.standard_normal(len(turns)))

    train = np.zeros(course.count)
    share = place - nearest
    np.add.at(train, nearest, steps * (1 - share))
    np.add.at(train, np.minimum(nearest + 1, course.count - 1), steps * share)
    lean = rng.uniform(-0.5, 0.5)
    direction = np.array([math.sin(lean), math.cos(lean), rng.uniform(0.15, 0.4)])
    return direction, train * (course.rate_hz / G)
