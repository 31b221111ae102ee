"""Velocity RMS and severity zone: analytic sines, a SciPy oracle, and when there is no zone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rig import FAR, RATE_HZ, Rig, bundle
from rig import signal as motor
from scipy import integrate, signal

from whir_contracts.contract import ZONE_LIMITS, Foundation, MachineGroup, Unit, Zone, ZoneReason
from whir_contracts.recording import SensorFacts
from whir_node.condition import SensorInfo
from whir_node.errors import SensorError
from whir_node.library import lib
from whir_node.velocity import Machine, velocity, zone

G = 9.80665
SENSOR = SensorInfo(
    name="test",
    rate_hz=3332,
    bandwidth_hz=1600,
    range_milli=16_000,
    noise_ug_rthz=75,
    lsb_nano=488_281,
    unit=Unit.G,
    channels=1,
)
MACHINE = Machine(power_w=30_000, group=MachineGroup.GROUP2, foundation=Foundation.RIGID, calibrated=True)


def counts(sensor: SensorInfo, acceleration: NDArray[np.float64]) -> NDArray[np.int16]:
    """m/s² as the sensor would give it: int16 (n, 1)."""
    return np.rint(acceleration / (sensor.lsb_nano * 1e-9 * G)).astype(np.int16)[:, None]


def sine(sensor: SensorInfo, frequency_hz: float, m_s: float, seconds: float = 3.0) -> NDArray[np.int16]:
    """The acceleration of a sine of velocity RMS m_s, upon gravity."""
    t = np.arange(int(seconds * sensor.rate_hz)) / sensor.rate_hz
    return counts(sensor, G + m_s * np.sqrt(2) * 2 * np.pi * frequency_hz * np.cos(2 * np.pi * frequency_hz * t))


@pytest.mark.parametrize("rate_hz", [3332.0, 6664.0, 26_667.0])
@pytest.mark.parametrize(("frequency_hz", "share"), [(10, 0.01), (25, 0.003), (160, 0.003), (500, 0.003), (1000, 0.005)])
def test_a_sine_from_10_hz_to_the_bands_end_has_its_velocity(rate_hz: float, frequency_hz: float, share: float) -> None:
    sensor = replace(SENSOR, rate_hz=rate_hz)
    m_s = min(0.01, 60.0 / (2 * np.pi * frequency_hz))  # at most 60 m/s² RMS
    found = velocity(sensor, sine(sensor, frequency_hz, m_s))
    assert found.band_hz == 1000
    assert len(found.m_s) == 2
    assert found.m_s == pytest.approx(m_s, rel=share)


@pytest.mark.parametrize(("rate_hz", "band_hz"), [(1667.0, 500), (1344.0, 500), (800.0, 250)])
def test_a_slow_sensor_states_how_far_its_velocity_reaches(rate_hz: float, band_hz: int) -> None:
    sensor = replace(SENSOR, rate_hz=rate_hz, bandwidth_hz=int(rate_hz / 2))
    for frequency in (10, 25, 160, band_hz):
        found = velocity(sensor, sine(sensor, frequency, 0.005))
        assert found.band_hz == band_hz
        assert found.m_s == pytest.approx(0.005, rel=0.015), frequency


def test_the_band_ends_where_the_sensors_own_bandwidth_does() -> None:
    sensor = replace(SENSOR, bandwidth_hz=700)
    assert velocity(sensor, sine(sensor, 25, 0.01)).band_hz == 700


def test_below_the_band_and_above_it_little_is_left() -> None:
    """-3 dB at 6 Hz, 24 dB an octave below; from 1500 Hz the conditioning's stop band, of which the worst folds to 10 Hz."""
    sensor = replace(SENSOR, rate_hz=6664.0)
    for frequency, at_most in ((3, 0.07), (1, 0.002)):
        found = velocity(sensor, sine(sensor, frequency, 0.01, seconds=4.0))
        assert found.m_s[-1, 0] < at_most * 0.01, frequency
    for frequency in (1500, 1600, 2490, 2510, 3000):
        found = velocity(sensor, sine(sensor, frequency, 60 / (2 * np.pi * frequency), seconds=4.0))
        assert found.m_s[-1, 0] < 60 * 10 ** (-62 / 20) / (2 * np.pi * 10), frequency
    six = velocity(sensor, sine(sensor, 6, 0.01, seconds=4.0)).m_s[-1, 0]
    assert six == pytest.approx(0.01 / np.sqrt(2), rel=0.02)


def test_the_fixed_point_error_is_bounded_by_an_oracle() -> None:
    """Noise and tones on three axes against the same filter in float64, at two sensor scales."""
    rng = np.random.default_rng(5)
    for lsb_nano, range_milli in ((488_281, 16_000), (3_900_000, 16_000)):
        sensor = replace(SENSOR, rate_hz=2500.0, channels=3, lsb_nano=lsb_nano, range_milli=range_milli)
        t = np.arange(10_000) / 2500
        noise = signal.sosfilt(signal.butter(4, 800, fs=2500, output="sos"), rng.normal(0, 3, (len(t), 3)), axis=0)
        tones = np.stack([np.sin(2 * np.pi * f * t) * f * 0.03 for f in (12.5, 49.0, 230.0)], axis=1)
        samples = np.rint((noise + tones + [0, 0, G]) / (lsb_nano * 1e-9 * G)).astype(np.int16)
        found = velocity(sensor, samples).m_s
        wanted = oracle(samples * (lsb_nano * 1e-9 * G), 2500.0)
        assert found == pytest.approx(wanted[: len(found)], rel=0.004)


def oracle(acceleration: NDArray[Any], rate_hz: float) -> NDArray[Any]:
    """RMS of each second behind 0.75 s: Butterworth high-pass in its own form, trapezoids at 16 times the rate."""
    sos = signal.butter(4, 6.0, "high", fs=rate_hz, output="sos")
    high = signal.sosfilt(sos, acceleration - acceleration[0], axis=0)
    n = len(high)
    fine = signal.resample_poly(high, 16, 1, axis=0, window=("kaiser", 8.0))
    v = integrate.cumulative_trapezoid(fine, dx=1 / rate_hz / 16, axis=0, initial=0)[::16]
    start, second = int(0.75 * rate_hz), int(rate_hz)
    blocks = [v[at : at + second] for at in range(start, n - second + 1, second)]
    return np.array([np.std(block, axis=0) for block in blocks])


def test_silence_upon_gravity_has_no_velocity() -> None:
    found = velocity(SENSOR, counts(SENSOR, np.full(10_000, G)))
    assert found.m_s.max() < 2e-6


def test_full_scale_of_either_sign_does_not_overflow() -> None:
    """A square wave at the corner of the filter, just under the rail: the largest states that there can be."""
    sensor = replace(SENSOR, lsb_nano=500_000, range_milli=16_383)
    t = np.arange(30_000)
    square = np.where((t * 6 / sensor.rate_hz) % 1 < 0.5, 32_700, -32_700).astype(np.int16)[:, None]
    found = velocity(sensor, square)
    peak = 32_700 * 0.5e-3 * G
    assert found.m_s[1:] == pytest.approx(peak / (2 * np.pi * 6) * 4 / np.pi / 2, rel=0.05)


def test_a_clipped_second_gives_no_figure() -> None:
    samples = sine(SENSOR, 25, 0.01, seconds=4.0)
    whole = len(velocity(SENSOR, samples).m_s)
    samples[5000:5003] = 32_767
    assert len(velocity(SENSOR, samples).m_s) < whole


@pytest.mark.parametrize("wrong", [{"unit": Unit.VOLT}, {"rate_hz": 600.0}, {"channels": 4}])
def test_a_sensor_that_gives_no_velocity_is_refused(wrong: dict[str, Any]) -> None:
    sensor = replace(SENSOR, **wrong)
    with pytest.raises(SensorError):
        velocity(sensor, np.zeros((5000, sensor.channels), np.int16))


@pytest.mark.parametrize("row", ZONE_LIMITS, ids=lambda row: f"{row['group']}-{row['foundation']}")
def test_zones_change_at_the_limits_of_the_contract(row: dict[str, Any]) -> None:
    machine = Machine(row["to_w"], MachineGroup[row["group"].upper()], Foundation[row["foundation"].upper()], calibrated=True)
    letters = []
    for limit in ("ab_um_s", "bc_um_s", "cd_um_s"):
        for um_s in (row[limit] - 1, row[limit]):
            letters.append(zone(machine, SENSOR, 1000, um_s / 1e6).zone)
    assert letters == [Zone.A, Zone.B, Zone.B, Zone.C, Zone.C, Zone.D]
    assert zone(machine, SENSOR, 1000, 0).change == pytest.approx(row["bc_um_s"] / 4e6)


@pytest.mark.parametrize(
    ("machine", "sensor", "band_hz", "reason"),
    [
        (Machine(), SENSOR, 1000, ZoneReason.MACHINE_UNSET),
        (replace(MACHINE, power_w=0), SENSOR, 1000, ZoneReason.MACHINE_UNSET),
        (replace(MACHINE, group=MachineGroup.UNSET), SENSOR, 1000, ZoneReason.MACHINE_UNSET),
        (replace(MACHINE, foundation=Foundation.UNSET), SENSOR, 1000, ZoneReason.MACHINE_UNSET),
        (replace(MACHINE, calibrated=False), SENSOR, 1000, ZoneReason.UNCALIBRATED),
        (replace(MACHINE, power_w=15_000), SENSOR, 1000, ZoneReason.NO_STANDARD),
        (replace(MACHINE, group=MachineGroup.CLASS1), SENSOR, 1000, ZoneReason.NO_STANDARD),
        (MACHINE, replace(SENSOR, unit=Unit.VOLT), 1000, ZoneReason.NOT_ACCELERATION),
        (MACHINE, SENSOR, 999, ZoneReason.BAND_NOT_COVERED),
    ],
)
def test_without_what_the_standard_needs_there_is_no_zone(
    machine: Machine, sensor: SensorInfo, band_hz: int, reason: ZoneReason
) -> None:
    found = zone(machine, sensor, band_hz, 0.02)
    assert (found.zone, found.reason, found.bc) == (Zone.NONE, reason, 0)


def test_velocity_takes_less_than_1600_bytes() -> None:
    assert lib.host_velocity_state_bytes() < 1600


def plant(first: bytes | None = None) -> Rig:
    """A node at 3.332 kHz on a 30 kW machine: limits 1.4, 2.8, 4.5 mm/s."""
    fast = SensorFacts("fast", 3_332_000, 1600, 16_000, 75, 488_281, Unit.G, 3)
    return Rig(first, sensor=fast, machine=MACHINE).connect()


def shaking(m_s: float, seconds: float) -> NDArray[np.int16]:
    """A motor of the rig that also moves at 600 Hz, which the classifier cannot hear."""
    n = int(3332 * seconds)
    t = np.arange(n) / 3332
    tone = m_s * np.sqrt(2) * 2 * np.pi * 600 * np.cos(2 * np.pi * 600 * t) / (488_281e-9 * G)
    healthy = np.repeat(motor("healthy", n / 3332 + 1), 4, axis=0)[:n] / 8.0
    return np.rint(healthy + tone[:, None] * [1, 0, 0]).astype(np.int16)


def test_a_node_without_a_model_still_watches_velocity() -> None:
    rig = plant()
    rig.node.push(shaking(0.0035, 8))
    (alert,) = rig.broker.of("alert")
    assert (alert["verdict"], alert["state"], alert["severity"], alert["p"]) == ("velocity", "active", "warning", 1000)
    assert (alert["zone"], alert["model"]) == ("C", None)
    assert alert["velocity"] == pytest.approx(3600, rel=0.05)  # and what the motor itself does
    assert rig.outputs[-1] == 2
    rig.node.push(shaking(0.0009, 10))
    assert rig.broker.of("alert")[-1]["state"] == "cleared"


def test_a_change_from_the_learned_velocity_is_told_though_the_zone_is_good() -> None:
    rig = plant(bundle())
    rig.command("commission", id="c-1", exp=FAR, seconds=20)
    rig.node.push(shaking(0.0005, 22))
    assert rig.broker.of("event", kind="baseline_learned")
    rig.node.push(shaking(0.0010, 10))
    assert not rig.broker.of("alert", verdict="velocity_change")
    loud = shaking(0.0017, 10)
    rig.node.push(loud)
    (alert,) = rig.broker.of("alert", verdict="velocity_change")
    assert (alert["zone"], alert["severity"]) == ("B", "advisory")
    assert RATE_HZ < 1200  # of the classifier, from whose windows the baseline is: of one stream, velocity has 10 to 1000 Hz
    wanted = oracle(loud * (488_281e-9 * G), 3332.0)[:, 0] * 1e6
    assert 0.98 * wanted.min() < alert["velocity"] < 1.02 * wanted.max()
    assert wanted.min() > 1700
