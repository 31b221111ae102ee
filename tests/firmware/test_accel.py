"""The contract of a sensor driver, for every part against its simulated registers, over each bus that it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from accel_sims import I2C, PARTS, SPI, Part

from whir_contracts.contract import ErrorCode as Err
from whir_node.library import ffi, lib

ON_BOTH = [(name, kind) for name, sim in PARTS.items() for kind in sim.kinds]
STRAIGHT = (1, 2, 3)


class Rig:
    """A driver with a simulated part behind its bus."""

    def __init__(self, name: str, kind: int) -> None:
        self.sim: Part = PARTS[name](kind=kind)
        self.nak_after: int | None = None

        def transfer(_user: Any, out: Any, out_bytes: int, into: Any, in_bytes: int) -> int:
            if self.nak_after is not None:
                self.nak_after -= 1
                if self.nak_after < 0:
                    return int(Err.SENSOR_BUS)
            got = self.sim.transfer(bytes(ffi.buffer(out, out_bytes)), in_bytes)
            if got is None:
                return int(Err.SENSOR_BUS)
            ffi.buffer(into, in_bytes)[:] = got
            return 0

        self._callbacks = (
            ffi.callback("host_accel_transfer_t", transfer),
            ffi.callback("host_accel_wait_t", lambda _user, ms: self.sim.advance(ms * 1000)),
        )
        self.handle = lib.host_accel_new(name.encode(), kind, *self._callbacks, ffi.NULL)
        assert self.handle != ffi.NULL
        self._buffer = ffi.new("int16_t[]", 512 * 3)

    def open(self, rate_mhz: int = 0, bandwidth_hz: int = 0, range_mg: int = 0, axes: tuple[int, int, int] = STRAIGHT) -> int:
        return int(lib.host_accel_open(self.handle, rate_mhz, bandwidth_hz, range_mg, ffi.new("int8_t[3]", axes)))

    def read(self, limit: int = 512) -> int | np.ndarray:
        """Samples, or the error."""
        count = lib.host_accel_read(self.handle, self._buffer, limit, self.sim.now_us)
        if count < 0:
            return int(count)
        return np.frombuffer(ffi.buffer(self._buffer, count * 6), np.int16).reshape(-1, 3).copy()

    def samples(self) -> np.ndarray:
        got = self.read()
        assert not isinstance(got, int), got
        return got

    def watermark_us(self) -> int:
        return int(lib.host_accel_watermark_us(self.handle))

    def info(self) -> dict[str, int]:
        values = ffi.new("uint32_t[7]")
        lib.host_accel_info(self.handle, values)
        names = ("rate_mhz", "bandwidth_hz", "range_mg", "noise_ug_rthz", "lsb_nano", "unit", "channels")
        return dict(zip(names, values, strict=True))

    def mg(self, counts: np.ndarray) -> np.ndarray:
        return counts.astype(float) * self.info()["lsb_nano"] / 1e6


@pytest.fixture
def rig() -> Iterator[Callable[[str, int], Rig]]:
    made: list[Rig] = []

    def make(name: str, kind: int) -> Rig:
        made.append(Rig(name, kind))
        return made[-1]

    yield make
    for each in made:
        lib.host_accel_free(each.handle)


both = pytest.mark.parametrize(("name", "kind"), ON_BOTH, ids=[f"{n}-{'spi' if k == SPI else 'i2c'}" for n, k in ON_BOTH])
each_part = pytest.mark.parametrize(("name", "kind"), [(n, s.kinds[0]) for n, s in PARTS.items()], ids=list(PARTS))


def test_every_part_of_the_library_has_a_simulator() -> None:
    names = []
    while lib.host_accel_part(len(names)) != ffi.NULL:
        names.append(ffi.string(lib.host_accel_part(len(names))).decode())
    assert names == sorted(PARTS)
    assert lib.host_accel_new(b"adxl999", SPI, ffi.NULL, ffi.NULL, ffi.NULL) == ffi.NULL


@both
def test_samples_come_out_as_the_machine_moved(rig: Callable[[str, int], Rig], name: str, kind: int) -> None:
    r = rig(name, kind)
    assert r.open() == 0
    got = []
    for _ in range(8):
        r.sim.advance(r.watermark_us())
        got.append(r.samples())
    values = r.mg(np.concatenate(got))
    assert len(values) >= 7 * len(got[1])
    lsb_mg = r.info()["lsb_nano"] / 1e6
    assert abs(values[:, 2].mean() - 1000) < 35 + lsb_mg
    assert np.abs(values[:, 0]).max() <= 30 + lsb_mg
    assert np.abs(values[:, 1]).max() <= 40 + lsb_mg
    assert r.sim.lost == 0


@both
def test_every_sample_comes_once_and_in_order(rig: Callable[[str, int], Rig], name: str, kind: int) -> None:
    r = rig(name, kind)
    assert r.open(range_mg=2000) == 0
    r.samples()
    ramp = iter(range(-200, 10**6))
    lsb_mg = r.info()["lsb_nano"] / 1e6
    r.sim.signal = lambda _t: (next(ramp) * lsb_mg, 0.0, 0.0)
    seen: list[int] = []
    for part in (0.3, 1.7, 0.1, 1.0, 1.2):
        r.sim.advance(r.watermark_us() * part)
        seen += r.samples()[:, 0].tolist()
    assert len(seen) > 16
    assert set(np.diff(seen)) == {1}


@each_part
def test_a_short_buffer_leaves_the_rest_in_the_fifo(rig: Callable[[str, int], Rig], name: str, kind: int) -> None:
    r = rig(name, kind)
    assert r.open() == 0
    r.sim.advance(r.watermark_us())
    first = r.read(5)
    assert not isinstance(first, int)
    assert len(first) == 5
    assert len(r.samples()) > 0


@each_part
def test_every_range_is_set_and_measures_the_same(rig: Callable[[str, int], Rig], name: str, kind: int) -> None:
    r = rig(name, kind)
    seen = set()
    for wanted in (1000, 2048, 3000, 5000, 12000, 30000):
        if r.open(range_mg=wanted) == Err.SENSOR_RANGE:
            assert wanted > r.sim.range_max_mg
            continue
        info = r.info()
        assert info["range_mg"] >= wanted
        seen.add(info["range_mg"])
        r.sim.signal = lambda _t, mg=wanted * 0.9: (mg, -mg, 0.0)
        r.sim.advance(r.watermark_us())
        r.samples()  # those of the change
        r.sim.advance(r.watermark_us())
        values = r.mg(r.samples().mean(0))
        assert np.allclose(values, (wanted * 0.9, -wanted * 0.9, 0), atol=max(info["lsb_nano"] / 1e6, wanted * 0.001))
    assert len(seen) >= 3


@each_part
def test_the_smallest_rate_that_is_enough_is_taken(rig: Callable[[str, int], Rig], name: str, kind: int) -> None:
    r = rig(name, kind)
    assert r.open() == 0
    fastest = r.info()["rate_mhz"]
    assert r.sim.rate_hz() * 1000 == pytest.approx(fastest, rel=1e-4)
    assert r.open(rate_mhz=fastest // 2 - 1000) == 0
    assert r.info()["rate_mhz"] <= fastest
    assert r.open(rate_mhz=fastest + 1) == Err.SENSOR_RATE


@each_part
def test_a_part_that_cannot_hear_so_high_is_refused(rig: Callable[[str, int], Rig], name: str, kind: int) -> None:
    r = rig(name, kind)
    assert r.open(bandwidth_hz=10**6) == Err.SENSOR_RATE
    assert r.open() == 0
    assert r.open(bandwidth_hz=r.info()["bandwidth_hz"]) == 0
    assert r.open(bandwidth_hz=r.info()["bandwidth_hz"] + 1) == Err.SENSOR_RATE


def test_an_mpu6050_is_refused_for_bearings(rig: Callable[[str, int], Rig]) -> None:
    r = rig("mpu6050", I2C)
    assert r.open(rate_mhz=1000000, bandwidth_hz=260) == 0
    assert r.open(rate_mhz=1000000, bandwidth_hz=400) == Err.SENSOR_RATE


@both
def test_another_part_is_named_as_such(rig: Callable[[str, int], Rig], name: str, kind: int) -> None:
    r = rig(name, kind)
    true_reset = r.sim.reset

    def other() -> None:
        true_reset()
        r.sim.regs[r.sim.identity_reg] ^= 0x10

    r.sim.reset = other  # type: ignore[method-assign]
    r.sim.reset()
    assert r.open() == Err.SENSOR_IDENTITY


@both
def test_an_absent_part_is_a_bus_error(rig: Callable[[str, int], Rig], name: str, kind: int) -> None:
    r = rig(name, kind)
    r.sim.absent = True
    assert r.open() == Err.SENSOR_BUS


@each_part
def test_a_transfer_that_fails_at_any_place_is_told_and_open_recovers(
    rig: Callable[[str, int], Rig], name: str, kind: int
) -> None:
    r = rig(name, kind)
    assert r.open() == 0
    needed = r.sim.transfers
    for cut in range(needed):
        r.nak_after = cut
        assert r.open() == Err.SENSOR_BUS, cut
        r.nak_after = None
        assert r.open() == 0, cut
    r.sim.advance(r.watermark_us())
    for cut in range(3):
        r.nak_after = cut
        assert r.read() == Err.SENSOR_BUS
    r.nak_after = None
    assert len(r.samples()) > 0


@each_part
def test_a_setting_that_does_not_stick_is_told(rig: Callable[[str, int], Rig], name: str, kind: int) -> None:
    r = rig(name, kind)
    assert r.open(range_mg=3000) == 0
    r.sim.stuck_bits = dict([r.sim.stuck])
    assert r.open(range_mg=3000) == Err.SENSOR_SETTING


@each_part
def test_a_fifo_read_too_late_says_so_and_starts_again(rig: Callable[[str, int], Rig], name: str, kind: int) -> None:
    r = rig(name, kind)
    assert r.open() == 0
    r.sim.advance(r.watermark_us())
    r.samples()
    r.sim.advance(lib.host_accel_overrun_us(r.handle) * 1.3)
    assert r.read() == Err.SENSOR_OVERRUN
    r.sim.advance(r.watermark_us())
    assert 0 < len(r.samples()) < lib.host_accel_overrun_us(r.handle) / r.watermark_us() * 200


@each_part
def test_a_full_fifo_counts_as_an_overrun_before_one_is_told(rig: Callable[[str, int], Rig], name: str, kind: int) -> None:
    r = rig(name, kind)
    assert r.open() == 0
    while len(r.sim.fifo) < r.sim.depth and len(getattr(r.sim, "bytes", ())) // 6 < r.sim.depth:
        r.sim.advance(1e6 / r.sim.rate_hz())
    assert not r.sim.lost
    assert r.read() == Err.SENSOR_OVERRUN


@each_part
def test_a_lost_interrupt_loses_nothing_when_the_fifo_is_read_by_the_clock(
    rig: Callable[[str, int], Rig], name: str, kind: int
) -> None:
    """The interrupt is only a hint: reading late, but before the overrun, gives everything."""
    r = rig(name, kind)
    assert r.open() == 0
    r.samples()
    late_us = (r.watermark_us() + lib.host_accel_overrun_us(r.handle)) // 2
    r.sim.advance(late_us)
    expected = late_us / 1e6 * r.sim.rate_hz()
    assert abs(len(r.samples()) - expected) <= 1.5
    assert r.sim.lost == 0


@each_part
def test_a_part_that_falls_silent_is_told(rig: Callable[[str, int], Rig], name: str, kind: int) -> None:
    r = rig(name, kind)
    assert r.open() == 0
    r.sim.advance(r.watermark_us())
    r.samples()
    r.sim.frozen = True
    results = []
    for _ in range(12):
        r.sim.advance(r.watermark_us())
        results.append(r.read())
    assert Err.SENSOR_SILENT in [x for x in results if isinstance(x, int)]
    r.sim.frozen = False
    assert r.open() == 0
    r.sim.advance(r.watermark_us())
    assert len(r.samples()) > 0


@each_part
def test_a_part_that_restarts_by_itself_is_told(rig: Callable[[str, int], Rig], name: str, kind: int) -> None:
    """A dip of its supply: registers as after power-up."""
    r = rig(name, kind)
    assert r.open() == 0
    r.sim.advance(r.watermark_us())
    r.samples()
    r.sim.reset()
    results = []
    for _ in range(12):
        r.sim.advance(r.watermark_us())
        results.append(r.read())
    assert any(isinstance(x, int) and x < 0 for x in results)


@each_part
def test_a_part_that_repeats_one_value_is_told(rig: Callable[[str, int], Rig], name: str, kind: int) -> None:
    r = rig(name, kind)
    assert r.open(range_mg=2000) == 0
    r.sim.constant = True
    results = []
    for _ in range(90):
        r.sim.advance(r.watermark_us())
        results.append(r.read())
    assert Err.SENSOR_STUCK in [x for x in results if isinstance(x, int)]


def test_counts_coarser_than_the_noise_may_stand_still(rig: Callable[[str, int], Rig]) -> None:
    r = rig("lis3dh", SPI)
    assert r.open(range_mg=16000) == 0
    r.sim.constant = True
    for _ in range(90):
        r.sim.advance(r.watermark_us())
        r.samples()


@each_part
@pytest.mark.parametrize("error", [-0.02, 0.0005, 0.015])
def test_the_true_rate_is_measured_to_a_tenth_of_a_percent(
    rig: Callable[[str, int], Rig], name: str, kind: int, error: float
) -> None:
    r = rig(name, kind)
    slow = 400000 if name != "iis3dwb" else 0
    assert r.open(rate_mhz=slow) == 0
    nominal = r.info()["rate_mhz"]
    r.sim.rate_error = error
    seconds = 10 if name != "iis3dwb" else 2.2
    while r.sim.now_us < seconds * 1e6 + 2e5:
        r.sim.advance(r.watermark_us() * 0.9)
        r.samples()
    assert r.info()["rate_mhz"] == pytest.approx(nominal * (1 + error), rel=1e-3)


@each_part
def test_axes_are_turned_to_the_machines(rig: Callable[[str, int], Rig], name: str, kind: int) -> None:
    r = rig(name, kind)
    r.sim.signal = lambda _t: (100.0, 200.0, -700.0)
    assert r.open(axes=(-3, 1, -2)) == 0
    r.sim.advance(r.watermark_us())
    values = r.mg(r.samples()[-1])
    assert np.allclose(values, (700, 100, -200), atol=r.info()["lsb_nano"] / 1e6)
    for wrong in ((1, 1, 2), (0, 1, 2), (1, 2, 4), (-1, 1, 3)):
        assert r.open(axes=wrong) == Err.ARG


@each_part
def test_gravity_decides_the_mounting(rig: Callable[[str, int], Rig], name: str, kind: int) -> None:
    r = rig(name, kind)
    assert r.open(range_mg=2000) == 0
    mean = ffi.new("int16_t[3]")
    assert lib.host_accel_mounting(r.handle, 3, mean) == 0
    assert abs(mean[2] - 1000) < 20
    for wrong in (-3, 1, 2):
        assert lib.host_accel_mounting(r.handle, wrong, mean) == Err.SENSOR_MOUNTING
    for wrong in (0, 4, -128):
        assert lib.host_accel_mounting(r.handle, wrong, mean) == Err.ARG
    r.sim.signal = lambda t: (0.0, 10 * (t * 1000 % 2), 0.0)
    assert lib.host_accel_mounting(r.handle, 3, mean) == Err.SENSOR_MOUNTING
    r.sim.frozen = True
    assert lib.host_accel_mounting(r.handle, 3, mean) == Err.SENSOR_SILENT


@each_part
def test_the_self_test_tells_a_live_part_from_a_dead_one(rig: Callable[[str, int], Rig], name: str, kind: int) -> None:
    r = rig(name, kind)
    assert r.open(range_mg=4000) == 0
    before = dict(r.sim.regs)
    moved = ffi.new("int16_t[3]")
    if not r.sim.has_self_test:
        assert lib.host_accel_self_test(r.handle, moved) == Err.STATE
        return
    assert lib.host_accel_self_test(r.handle, moved) == 0
    assert [abs(moved[i] - abs(r.sim.test_mg[i])) < 80 for i in range(3)] == [True] * 3
    assert r.sim.regs == {**r.sim.regs, **before}, "its settings are back"
    r.sim.dead_test = True
    assert lib.host_accel_self_test(r.handle, moved) == Err.SENSOR_SELF_TEST
    assert not r.sim.testing()
    needed = r.sim.transfers
    assert lib.host_accel_self_test(r.handle, moved) == Err.SENSOR_SELF_TEST
    needed = r.sim.transfers - needed
    for cut in (0, 3, needed // 2, needed - 1):
        r.nak_after = cut
        assert lib.host_accel_self_test(r.handle, moved) == Err.SENSOR_BUS or cut == needed - 1
        r.nak_after = None
        assert r.open(range_mg=4000) == 0


@each_part
def test_temperature_is_told_where_the_part_knows_it(rig: Callable[[str, int], Rig], name: str, kind: int) -> None:
    r = rig(name, kind)
    assert r.open() == 0
    value = ffi.new("int16_t *")
    for celsius in (-20.0, 25.0, 71.5):
        r.sim.celsius = celsius
        result = lib.host_accel_temperature(r.handle, value)
        if not r.sim.has_degrees:
            assert result == Err.STATE
        else:
            assert result == 0
            assert abs(value[0] / 100 - celsius) < 0.2
    r.sim.absent = True
    assert lib.host_accel_temperature(r.handle, value) < 0


def quiet(time_s: float) -> tuple[float, float, float]:
    """A machine that stands: gravity, and 5 mg of what goes on around it."""
    wobble = 5 * np.sin(2 * np.pi * 9.1 * time_s)
    return (wobble, 300 - wobble, 950.0)


def starting(time_s: float) -> tuple[float, float, float]:
    return (0.0, 300 + 150 * np.sin(2 * np.pi * 23.7 * time_s), 950.0)


@both
def test_motion_raises_the_interrupt_of_a_part_that_watches_and_rest_does_not(
    rig: Callable[[str, int], Rig], name: str, kind: int
) -> None:
    r = rig(name, kind)
    r.sim.signal = quiet
    assert r.open() == 0
    if not r.sim.can_watch:
        assert lib.host_accel_watch(r.handle) == Err.STATE
        return
    assert lib.host_accel_watch(r.handle) == 0
    r.sim.advance(20e6)
    assert r.sim.watch_mg() > 0 and not r.sim.int1()
    assert 50 < r.sim.watch_mg() < 70
    r.sim.signal = starting
    r.sim.advance(0.5e6)
    assert r.sim.int1()
    r.sim.signal = quiet
    r.sim.advance(5e6)
    assert r.sim.int1(), "it stays up until somebody has looked"
    assert r.open() == 0
    assert not r.sim.watch_mg()
    r.sim.advance(r.watermark_us())
    assert len(r.samples()) > 0


@each_part
def test_a_watch_that_is_not_set_is_told(rig: Callable[[str, int], Rig], name: str, kind: int) -> None:
    r = rig(name, kind)
    assert r.open() == 0
    if not r.sim.can_watch:
        return
    needed = r.sim.transfers
    assert lib.host_accel_watch(r.handle) == 0
    needed = r.sim.transfers - needed
    for cut in range(needed):
        r.nak_after = cut
        assert lib.host_accel_watch(r.handle) == Err.SENSOR_BUS
        r.nak_after = None
    r.sim.stuck_bits = {0x25: 0xFF, 0x22: 0xFF, 0x5E: 0xFF, 0x24: 0xFF}
    assert lib.host_accel_watch(r.handle) == Err.SENSOR_SETTING


def test_the_true_rate_is_known_before_the_node_is_told_of_the_sensor(rig: Callable[[str, int], Rig]) -> None:
    r = rig("lis3dh", SPI)
    r.sim.rate_error = 0.012
    assert r.open() == 0
    nominal = r.info()["rate_mhz"]

    def now_us(_user: Any) -> int:
        r.sim.advance(50)
        return r.sim.now_us

    clock = ffi.callback("uint64_t(void *)", now_us)
    assert lib.host_accel_settle(r.handle, clock) == 0
    assert r.info()["rate_mhz"] == pytest.approx(nominal * 1.012, rel=0.005)
    assert 2e6 < r.sim.now_us < 3.2e6
    r.sim.frozen = True
    assert r.open() == 0
    assert lib.host_accel_settle(r.handle, clock) == Err.SENSOR_SILENT


def test_a_part_is_refused_on_a_bus_that_it_has_not(rig: Callable[[str, int], Rig]) -> None:
    assert rig("iis3dwb", I2C).open() == Err.ARG
    assert rig("mpu6050", SPI).open() == Err.ARG


def test_axes_are_read_from_text() -> None:
    axes = ffi.new("int8_t[3]")
    assert lib.host_accel_axes(b"+x-z+y", axes) == 0
    assert list(axes) == [1, -3, 2]
    for wrong in (b"", b"+x+y", b"+x+y+y", b"xxyyzz", b"+x+y+w", b"+x+y+z+", b"+X+Y+Z"):
        assert lib.host_accel_axes(wrong, axes) == Err.ARG
