"""One recording: machine and fault in, int16 counts of a sensor out."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np

from whir_contracts.recording import Recording
from whir_ml.synth.faults import LABELS, SEVERITIES, Levels, impact_train, smooth_force
from whir_ml.synth.machine import Machine, draw_course, healthy_force, path, sensor_axes
from whir_ml.synth.sensor import Sensor, measure

SIMULATION_HZ: Final = 25600.0
# The Fourier sum closes on itself: what rings over from the end is gone after the lead.
LEAD_S: Final = 0.4
TAIL_S: Final = 0.05
# Duration of contact of a rolling element with a defect's edge, standard deviation.
CONTACT_S: Final = 35e-6


def simulate(
    machine: Machine,
    fault: str,
    severity: int,
    seconds: float,
    sensor: Sensor,
    rng: np.random.Generator,
    levels: Levels,
    name: str = "simulated",
    condition: str = "",
    simulation_hz: float = SIMULATION_HZ,
) -> Recording:
    """Simulate `seconds` of `fault` (a key of LABELS) at `severity` 1 .. 4 (ignored for normal) as `sensor` reports it.

    Everything is linear up to the sensor, so forces are drawn in time at `simulation_hz` or a little more and the path is
    applied to their spectrum. A lower rate is for machines without impacts, heard by a slow sensor: the rest is not there.
    """
    if fault not in LABELS:
        raise ValueError(f"no fault {fault!r}; there are {', '.join(LABELS)}")
    if fault != "normal" and not 1 <= severity <= SEVERITIES:
        raise ValueError(f"severity {severity} is not in 1 .. {SEVERITIES}")
    if not 0 < sensor.rate_hz <= simulation_hz:
        raise ValueError(f"output rate {sensor.rate_hz:g} Hz is over the simulation's {simulation_hz:g} Hz")
    wanted = round(seconds * sensor.rate_hz)
    lead = round(LEAD_S * sensor.rate_hz)
    total_s = (lead + wanted + round(TAIL_S * sensor.rate_hz)) / sensor.rate_hz
    count = _fast_length(int(np.ceil(total_s * simulation_hz)))

    course = draw_course(rng, machine, total_s, count)
    force = healthy_force(rng, machine, course)
    force += smooth_force(rng, machine, course, fault, severity, levels)
    freq = np.arange(count // 2 + 1) / total_s
    spectrum = np.fft.rfft(force, axis=1)
    if LABELS[fault] == "bearing":
        direction, train = impact_train(rng, machine, course, fault, severity, levels)
        contact = np.exp(-0.5 * (2 * np.pi * freq * CONTACT_S) ** 2)
        spectrum += np.outer(direction, np.fft.rfft(train) * contact)
    spectrum *= path(machine, freq)
    turn = sensor_axes(machine)
    samples = measure(turn @ spectrum, total_s, count, sensor, turn @ np.array([0.0, -1.0, 0.0]), rng)
    lsb = np.float32(sensor.lsb_mg * 1e-3)
    return Recording(
        name=name,
        samples=np.ascontiguousarray(samples[lead : lead + wanted]),
        scale=np.full(3, lsb, dtype=np.float32),
        offset=np.zeros(3, dtype=np.float32),
        rate_hz=sensor.rate_hz,
        unit="g",
        channels=("x", "y", "z"),
        label=LABELS[fault],
        sublabel=fault if fault == "normal" else f"{fault}_s{severity}",
        rpm=round(machine.speed_hz * 60, 1),
        condition=condition,
        load=f"{machine.load:.2f}",
    )


@cache
def _fast_length(least: int) -> int:
    """The smallest even number from `least` on without a prime factor over 5; FFTs of others are slow."""
    length = least + least % 2
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 2
