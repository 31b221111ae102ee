"""Machines in service: a day each, on which load, speed and temperature drift, looked at once a minute.

A look is what one verdict hears, about two seconds; the minute around it is not simulated. Load follows the day's work and
wanders, the speed follows it (slip) and its drive, the temperature follows the hall, the night and, slowly, the load. What is
warm rings lower and better damped, rubber far more than steel, and rolls more quietly in its grease.
"""

from __future__ import annotations

import math
import multiprocessing
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from whir_ml.synth.benchmark import SynthConfig, draw
from whir_ml.synth.machine import Machine, Mode, drift
from whir_ml.synth.simulate import simulate

HOURS: Final = 24
LOOKS_PER_HOUR: Final = 60
LOOK_S: Final = 2.048
ONSET_LOOKS: Final = 15  # of each fault, behind the day
WARM_C: Final = 45.0  # at which the machine is as it was drawn
HEATING_C: Final = 25.0  # by rated load
HEATING_HOURS: Final = 0.7


@dataclass(frozen=True)
class Day:
    """How one machine's day goes, look by look: load, speed in Hz and temperature in °C, each (looks,)."""

    machine: Machine
    load: NDArray[np.float64]
    speed_hz: NDArray[np.float64]
    temperature_c: NDArray[np.float64]


def day(config: SynthConfig, number: int) -> Day:
    """The day of machine `number`, drawn from the test part; an hour and a half behind it is there for faults."""
    rng = np.random.default_rng([config.seed, 168, number])
    machine = draw(config, "test", rng)
    hours = HOURS + ONSET_LOOKS / LOOKS_PER_HOUR
    looks = HOURS * LOOKS_PER_HOUR + ONSET_LOOKS
    time_h = np.arange(looks) / LOOKS_PER_HOUR
    shift = 0.12 * np.sign(np.sin(2 * np.pi * (time_h + rng.uniform(0, 8)) / 8))  # the work of a shift, heavy and light
    load = np.clip(machine.load + shift + 0.08 * drift(rng, looks, hours, 0.5), 0.1, 1.0)
    speed = machine.speed_hz * (1 + 0.005 * drift(rng, looks, hours, 2.0) - 0.02 * (load - machine.load))
    hall = 22.0 + 8.0 * np.sin(2 * np.pi * (time_h - rng.uniform(0, 24)) / 24)
    heat = np.empty(looks)
    held = load[0]
    for at in range(looks):
        held += (load[at] - held) * (1 - math.exp(-1 / LOOKS_PER_HOUR / HEATING_HOURS))
        heat[at] = held
    return Day(machine, load, speed, hall + HEATING_C * heat)


def at(of: Day, look: int) -> Machine:
    """The machine as it is at one look."""
    warm = float(of.temperature_c[look]) - WARM_C

    def mode(cold: Mode, place: int) -> Mode:
        softening = 2.5e-3 if place == 0 else 1.5e-4  # of the mount, and of the frame and the housing
        return replace(cold, freq_hz=cold.freq_hz * (1 - softening * warm), damping=cold.damping * (1 + 5e-3 * warm))

    return replace(
        of.machine,
        load=float(of.load[look]),
        speed_hz=float(of.speed_hz[look]),
        rumble_mg=of.machine.rumble_mg * math.exp(-0.01 * warm),
        modes=tuple(tuple(mode(cold, place) for place, cold in enumerate(axis)) for axis in of.machine.modes),
    )


Piece = tuple[int, int | str, int]  # machine, hour or fault, severity


def pieces(machines: int, faults: tuple[str, ...]) -> list[Piece]:
    """All that is simulated: each machine's hours, then each fault on it, the severities in turn."""
    healthy: list[Piece] = [(number, hour, 0) for number in range(machines) for hour in range(HOURS)]
    return healthy + [
        (number, fault, 1 + (number + place) % 4) for number in range(machines) for place, fault in enumerate(faults)
    ]


def heard(config: SynthConfig, piece: Piece) -> NDArray[np.int16]:
    """Samples of one piece, int16 (looks, samples, 3): an hour of the healthy machine, or a fault behind its day."""
    number, what, severity = piece
    of = day(config, number)
    if isinstance(what, int):
        fault, first, count = "normal", what * LOOKS_PER_HOUR, LOOKS_PER_HOUR
    else:
        fault, first, count = what, HOURS * LOOKS_PER_HOUR, ONSET_LOOKS
    rng = np.random.default_rng([config.seed, 169, number, first, severity, *fault.encode()])
    return np.stack(
        [
            simulate(at(of, look), fault, severity, LOOK_S, config.sensor, rng, config.levels).samples
            for look in range(first, first + count)
        ]
    )


def kept(
    config: SynthConfig, folder: Path, todo: list[Piece], progress: Callable[[int, int], None]
) -> Iterator[NDArray[np.int16]]:
    """The pieces in order, from the folder where they are there; a run that is stopped goes on where it was."""
    lacking = [piece for piece in todo if not _path(folder, piece).is_file()]
    folder.mkdir(parents=True, exist_ok=True)
    # Spawned, not forked: the caller may have threads of TensorFlow.
    if lacking:
        with multiprocessing.get_context("spawn").Pool(min(os.cpu_count() or 1, len(lacking))) as pool:
            for done, _ in enumerate(pool.imap_unordered(partial(_keep, config, folder), lacking), start=1):
                progress(done, len(lacking))
    for piece in todo:
        yield np.load(_path(folder, piece))


def _path(folder: Path, piece: Piece) -> Path:
    number, what, severity = piece
    return folder / (f"{number}-{what:02}.npy" if isinstance(what, int) else f"{number}-{what}_s{severity}.npy")


def _keep(config: SynthConfig, folder: Path, piece: Piece) -> None:
    path = _path(folder, piece)
    part = path.with_suffix(f".{os.getpid()}.part.npy")
    np.save(part, heard(config, piece))
    part.replace(path)
