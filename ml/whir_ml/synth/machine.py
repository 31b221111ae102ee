"""A motor on its foundation: what shakes it when it is healthy, and how a force reaches the sensor.

Forces are divided by the machine's mass, so they read as the acceleration in g that they would give a rigid machine.
Axes of the machine: 0 horizontal radial, 1 vertical radial, 2 axial.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from whir_ml.bearings import Bearing

G: Final = 9.80665
HORIZONTAL, VERTICAL, AXIAL = 0, 1, 2
RUMBLE_HZ: Final = 700.0


@dataclass(frozen=True)
class Mode:
    """A resonance: frequency, damping ratio, and the rigid mass over its modal mass, signed (side of a node line)."""

    freq_hz: float
    damping: float
    gain: float


@dataclass(frozen=True)
class Surroundings:
    """What comes through the floor, at random times: a door or a forklift knocks, the machine next door runs through."""

    knocks_per_s: float
    knock_mm_s: float  # median velocity step
    sways_per_s: float
    sway_mg: float  # median amplitude of a burst of 0.15 to 0.4 s at 12 to 120 Hz


@dataclass(frozen=True)
class Machine:
    """One machine at one operating point, with one sensor glued on."""

    speed_hz: float  # shaft, mean over a recording
    load: float  # 0 idle .. 1 rated
    bearing: Bearing
    mount_deg: float  # the sensor's angle about the shaft
    tilt_deg: tuple[float, float]  # and its lean towards the shaft's axis and along it
    modes: tuple[tuple[Mode, ...], ...]  # per axis: the mount, the frame's, the housing's
    eccentricity_um: float  # residual imbalance, as displacement of the whole machine
    misalignment_mg: float  # residual misalignment at 25 Hz and full load
    line_mg: float  # twice the line frequency, magnetic pull, at full load
    line_hz: float
    blades: int
    blade_mg: float  # fan, blade pass at 25 Hz
    rumble_mg: float  # broadband, RMS per kilohertz of a rigid machine at 25 Hz, falling off above RUMBLE_HZ
    surroundings: Surroundings


def draw_machine(
    rng: np.random.Generator,
    speed_hz: float,
    load: float,
    bearing: Bearing,
    mount_deg: float,
    rumble_mg: tuple[float, float],
    surroundings: Surroundings,
) -> Machine:
    """A healthy machine of the family: what is not given is drawn."""
    modes = []
    for _ in range(3):
        mount = Mode(rng.uniform(7.0, 11.0), rng.uniform(0.08, 0.15), 1.0)
        frame = [
            Mode(rng.uniform(low, high), rng.uniform(0.02, 0.05), _signed(rng, 0.6, 1.0))
            for low, high in ((190.0, 320.0), (320.0, 520.0), (520.0, 1100.0))
        ]
        housing = [Mode(rng.uniform(low, high), rng.uniform(0.015, 0.04), _signed(rng, 3.0, 8.0)) for low, high in _HOUSING_HZ]
        modes.append((mount, *frame, *housing))
    return Machine(
        speed_hz=speed_hz,
        load=load,
        bearing=bearing,
        mount_deg=mount_deg,
        tilt_deg=(rng.uniform(-6.0, 6.0), rng.uniform(-6.0, 6.0)),
        modes=tuple(modes),
        eccentricity_um=rng.uniform(0.6, 2.0),
        misalignment_mg=rng.uniform(0.8, 2.5),
        line_mg=rng.uniform(1.0, 5.0),
        line_hz=50.0,
        blades=int(rng.integers(5, 10)),
        blade_mg=rng.uniform(0.5, 3.0),
        rumble_mg=rng.uniform(*rumble_mg),
        surroundings=surroundings,
    )


_HOUSING_HZ: Final = ((2000.0, 4500.0), (4500.0, 8000.0))


def _signed(rng: np.random.Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, high) * rng.choice((-1.0, 1.0)))


def path(machine: Machine, freq_hz: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Acceleration per force over mass, (3, bins): a rigid body on its mounts plus the frame's and the housing's modes.

    The rigid body is why an impact that rings the housing at kilohertz is heard, far more quietly, at low frequency too:
    a short impulse has a flat spectrum, and the body takes up the whole of its momentum.
    """
    response = np.zeros((3, len(freq_hz)), dtype=np.complex128)
    for axis, modes in enumerate(machine.modes):
        for mode in modes:
            ratio = freq_hz / mode.freq_hz
            response[axis] += mode.gain * ratio**2 / (ratio**2 - 1 - 2j * mode.damping * ratio)
    return response


def sensor_axes(machine: Machine) -> NDArray[np.float64]:
    """Rotation from the machine's axes to the sensor's, (3, 3)."""
    about, lean, twist = (math.radians(angle) for angle in (machine.mount_deg, *machine.tilt_deg))
    c, s = math.cos(about), math.sin(about)
    roll = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
    c, s = math.cos(lean), math.sin(lean)
    pitch = np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
    c, s = math.cos(twist), math.sin(twist)
    yaw = np.array([[1.0, 0.0, 0.0], [0.0, c, s], [0.0, -s, c]])
    turn: NDArray[np.float64] = yaw @ pitch @ roll
    return turn


def drift(rng: np.random.Generator, count: int, seconds: float, period_s: float) -> NDArray[np.float64]:
    """A slow random course of unit variance, (count,), that changes over about `period_s`."""
    knots = max(4, round(seconds / period_s) + 3)
    # Smooth on a coarse grid, straight lines between its points: nobody hears the difference.
    place = np.linspace(0.0, knots - 1.0, 32 * knots)
    left = np.minimum(place.astype(np.intp), knots - 2)
    blend = 0.5 - 0.5 * np.cos(np.pi * (place - left))
    values = rng.standard_normal(knots)
    # The mean of cos^4 + sin^4 is 3/4.
    coarse = (values[left] * (1 - blend) + values[left + 1] * blend) / math.sqrt(0.75)
    points = np.linspace(0.0, len(coarse) - 1.0, count)
    course: NDArray[np.float64] = np.interp(points, np.arange(len(coarse), dtype=np.float64), coarse)
    return course


@dataclass(frozen=True)
class Course:
    """How speed and load went during a recording: shaft revolutions and load at each simulated sample."""

    seconds: float
    revolutions: NDArray[np.float64]
    speed_hz: NDArray[np.float64]
    load: NDArray[np.float64]

    @property
    def count(self) -> int:
        return len(self.revolutions)

    @cached_property
    def harmonics(self) -> tuple[NDArray[np.complex128], ...]:
        """Phasors of the orders 1, 2, 3, each (count,); nearly every force is made of them."""
        first = np.exp(2j * np.pi * self.revolutions)
        return first, first**2, first**3

    @property
    def rate_hz(self) -> float:
        return self.count / self.seconds


def draw_course(rng: np.random.Generator, machine: Machine, seconds: float, count: int) -> Course:
    """Load wanders by 8 %, and the speed with it and by itself by a few tenths of a percent."""
    load = np.clip(machine.load * (1 + 0.08 * drift(rng, count, seconds, 1.5)), 0.0, 1.2)
    speed = machine.speed_hz * (1 + 0.002 * drift(rng, count, seconds, 1.0) - 0.02 * (load - machine.load))
    revolutions = np.cumsum(speed) * (seconds / count) + rng.uniform(0.0, 1.0)
    return Course(seconds, revolutions, speed, load)


def orders(course: Course, harmonics: tuple[tuple[float, float, float], ...]) -> NDArray[np.float64]:
    """A sum of sines locked to the shaft, (count,): (order, amplitude, phase in radians) each."""
    wave = np.zeros(course.count)
    for order, amplitude, phase in harmonics:
        if order in (1, 2, 3):
            phasor = course.harmonics[int(order) - 1]
            wave += phasor.imag * (amplitude * math.cos(phase)) + phasor.real * (amplitude * math.sin(phase))
        else:
            wave += amplitude * np.sin(2 * np.pi * order * course.revolutions + phase)
    return wave


def healthy_force(rng: np.random.Generator, machine: Machine, course: Course) -> NDArray[np.float64]:
    """What shakes a healthy machine, (3, count), in g: twice the line, fan, turbulence and rolling noise, surroundings."""
    relative = machine.speed_hz / 25.0
    force = np.empty((3, course.count))
    pole = math.exp(-2 * np.pi * RUMBLE_HZ / course.rate_hz)
    for axis in range(3):
        level = machine.rumble_mg * 1e-3 * relative * math.sqrt(course.rate_hz / 2 / 1000.0)
        envelope = np.exp(0.3 * drift(rng, course.count, course.seconds, 0.4))
        white = rng.standard_normal(course.count) * (level * envelope)
        force[axis] = lfilter([1 - pole], [1, -pole], white)
    time = np.arange(course.count) / course.rate_hz
    pull = (
        machine.line_mg * 1e-3 * (0.3 + 0.7 * course.load) * np.sin(4 * np.pi * machine.line_hz * time + rng.uniform(0.0, 6.28))
    )
    fan = orders(course, ((machine.blades, machine.blade_mg * 1e-3 * relative**2, rng.uniform(0.0, 6.28)),))
    force[HORIZONTAL] += pull + 0.3 * fan
    force[VERTICAL] += 0.7 * pull + 0.3 * fan
    force[AXIAL] += 0.1 * pull + fan
    _disturb(rng, machine.surroundings, course, force)
    return force


def _disturb(rng: np.random.Generator, around: Surroundings, course: Course, force: NDArray[np.float64]) -> None:
    """Adds what comes through the floor: half sines of 1 to 4 ms, and bursts of a tone, each from its own direction."""
    for _ in range(rng.poisson(around.knocks_per_s * course.seconds)):
        width = int(course.rate_hz * rng.uniform(1e-3, 4e-3))
        pulse = np.sin(np.pi * (np.arange(width) + 0.5) / width)
        step = around.knock_mm_s * 1e-3 * np.exp(0.6 * rng.standard_normal())
        _strike(rng, force, pulse * (step * course.rate_hz / (pulse.sum() * G)))
    for _ in range(rng.poisson(around.sways_per_s * course.seconds)):
        time = np.arange(int(course.rate_hz * rng.uniform(0.15, 0.4))) / course.rate_hz
        tone = np.sin(2 * np.pi * rng.uniform(12.0, 120.0) * time)
        _strike(rng, force, tone * np.hanning(len(time)) * (around.sway_mg * 1e-3 * np.exp(0.6 * rng.standard_normal())))


def _strike(rng: np.random.Generator, force: NDArray[np.float64], wave: NDArray[np.float64]) -> None:
    start = int(rng.integers(0, force.shape[1] - len(wave)))
    direction = rng.standard_normal(3)
    force[:, start : start + len(wave)] += np.outer(direction / np.linalg.norm(direction), wave)
