"""Machines in service: a week each behind their commissioning, while load, speed and temperature drift.

A look is what one verdict hears, about two seconds. Load follows the day's work and wanders, the speed follows it (slip) and
its drive, the temperature follows the hall, the night and, slowly, the load. What is warm rings lower and better damped, rubber
far more than steel, and rolls more quietly in its grease.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from whir_contracts.contract import NOVELTY_LEARN_S_DEFAULT
from whir_contracts.recording import Recording
from whir_ml.synth.benchmark import SynthConfig, draw
from whir_ml.synth.machine import Machine, Mode, drift
from whir_ml.synth.simulate import SIMULATION_HZ, simulate

HOURS: Final = 168  # in service
COMMISSIONING: Final = NOVELTY_LEARN_S_DEFAULT // 60  # minutes before it, as a node takes when nobody says how many
MINUTES: Final = COMMISSIONING + 60 * HOURS
LOOK_S: Final = 2.048
ONSET_MINUTES: Final = 15  # of each fault, behind them
# A healthy machine has no impacts, and a sensor of 1 kHz hears nothing above: a fifteenth of the work, the same spectrum.
HEALTHY_HZ: Final = 3200.0
WARM_C: Final = 45.0  # at which the machine is as it was drawn
HEATING_C: Final = 25.0  # by rated load
HEATING_HOURS: Final = 0.7


@dataclass(frozen=True)
class Course:
    """How it goes, minute by minute: load, speed in Hz and temperature in °C, each (minutes,)."""

    machine: Machine
    load: NDArray[np.float64]
    speed_hz: NDArray[np.float64]
    temperature_c: NDArray[np.float64]


def course(config: SynthConfig, number: int) -> Course:
    """Commissioning and week of machine `number`, drawn from the test part; some minutes behind them are there for faults."""
    rng = np.random.default_rng([config.seed, 168, number])
    machine = draw(config, "test", rng)
    minutes = MINUTES + ONSET_MINUTES
    time_h = np.arange(minutes) / 60
    shift = 0.12 * np.sign(np.sin(2 * np.pi * (time_h + rng.uniform(0, 8)) / 8))  # the work of a shift, heavy and light
    load = np.clip(machine.load + shift + 0.08 * drift(rng, minutes, minutes / 60, 0.5), 0.1, 1.0)
    speed = machine.speed_hz * (1 + 0.005 * drift(rng, minutes, minutes / 60, 2.0) - 0.02 * (load - machine.load))
    hall = 22.0 + 8.0 * np.sin(2 * np.pi * (time_h - rng.uniform(0, 24)) / 24)
    heat = np.empty(minutes)
    held = load[0]
    for at in range(minutes):
        held += (load[at] - held) * (1 - math.exp(-1 / 60 / HEATING_HOURS))
        heat[at] = held
    return Course(machine, load, speed, hall + HEATING_C * heat)


def at(of: Course, minute: int) -> Machine:
    """The machine as it is in one minute."""
    warm = float(of.temperature_c[minute]) - WARM_C

    def mode(cold: Mode, place: int) -> Mode:
        softening = 2.5e-3 if place == 0 else 1.5e-4  # of the mount, and of the frame and the housing
        return replace(cold, freq_hz=cold.freq_hz * (1 - softening * warm), damping=cold.damping * (1 + 5e-3 * warm))

    return replace(
        of.machine,
        load=float(of.load[minute]),
        speed_hz=float(of.speed_hz[minute]),
        rumble_mg=of.machine.rumble_mg * math.exp(-0.01 * warm),
        modes=tuple(tuple(mode(cold, place) for place, cold in enumerate(axis)) for axis in of.machine.modes),
    )


def looks(
    config: SynthConfig, number: int, minutes: Sequence[int], fault: str = "normal", severity: int = 0
) -> Iterator[Recording]:
    """What the sensor on machine `number` hears in these minutes; each minute has a seed of its own."""
    of = course(config, number)
    rate_hz = HEALTHY_HZ if fault == "normal" else SIMULATION_HZ
    for minute in minutes:
        rng = np.random.default_rng([config.seed, 169, number, minute, severity, *fault.encode()])
        yield simulate(at(of, minute), fault, severity, LOOK_S, config.sensor, rng, config.levels, simulation_hz=rate_hz)
