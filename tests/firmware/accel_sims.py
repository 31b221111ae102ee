"""Simulated accelerometers, register by register as their data sheets describe them, on a clock that the test moves.

They share no table with the drivers: every constant here was written down from the data sheet a second time.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

SPI, I2C = 1, 2
Vector = tuple[float, float, float]


def at_rest(time_s: float) -> Vector:
    """Acceleration in mg: gravity along z, and a little vibration, so that no two samples need be equal."""
    wobble = 30 * math.sin(2 * math.pi * 31.7 * time_s)
    return (wobble, 40 * math.cos(2 * math.pi * 17.3 * time_s), 1000 + wobble)


@dataclass
class Part:
    """Registers behind a bus. A subclass says what its data sheet says."""

    kind: int = SPI
    rate_error: float = 0.0  # of its own clock
    signal: Callable[[float], Vector] = at_rest
    now_us: int = 0
    celsius: float = 25.0
    absent: bool = False  # answers nothing
    frozen: bool = False  # its converter has stopped
    constant: bool = False  # its converter repeats itself
    dead_test: bool = False
    stuck_bits: dict[int, int] = field(default_factory=dict)  # register: mask of bits that cannot be set
    regs: dict[int, int] = field(default_factory=dict)
    fifo: deque[tuple[int, int, int]] = field(default_factory=deque)
    overrun: bool = False
    lost: int = 0
    next_us: float = 0.0
    transfers: int = 0
    moved: bool = False  # motion was detected, and is latched
    seen: Vector | None = None  # the sample before, while it watches
    depth = 32
    kinds: ClassVar[tuple[int, ...]] = (SPI, I2C)
    test_mg: ClassVar[Vector] = (500.0, 500.0, 800.0)
    # what the contract's tests have to know of a part
    identity_reg: ClassVar[int] = 0x0F
    stuck: ClassVar[tuple[int, int]] = (0x0A, 0xFF)  # a register that is set up, and bits of it whose loss must be told
    range_max_mg: ClassVar[int] = 16000
    has_self_test: ClassVar[bool] = True
    has_degrees: ClassVar[bool] = True  # its temperature
    can_watch: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self.reset()

    # what a data sheet decides
    def reset(self) -> None:
        self.regs = {}
        self.fifo.clear()
        self.overrun = self.moved = False
        self.seen = None

    def watch_mg(self) -> float:
        """From where on a change between two samples raises INT1 and keeps it up; 0: it does not watch."""
        return 0.0

    def rate_hz(self) -> float:
        raise NotImplementedError

    def counts_per_g(self) -> float:
        raise NotImplementedError

    def limits(self) -> tuple[int, int]:
        return -32768, 32767

    def testing(self) -> bool:
        return False

    def running(self) -> bool:
        return self.rate_hz() > 0

    def read(self, reg: int) -> int:
        return self.regs.get(reg, 0)

    def write(self, reg: int, value: int) -> None:
        self.regs[reg] = value & ~self.stuck_bits.get(reg, 0)

    def next_reg(self, reg: int, multi: bool) -> int:
        return reg + 1

    def address(self, byte: int) -> tuple[int, bool, bool]:
        """Register, is it a read, does the address count up."""
        raise NotImplementedError

    # the same for all
    def bursting_watermark(self) -> int:
        raise NotImplementedError

    def interrupt(self) -> bool:
        return len(self.fifo) >= self.bursting_watermark()

    def int1(self) -> bool:
        """The level of the line, while it watches."""
        return self.moved and self.watch_mg() > 0

    def advance(self, us: float) -> None:
        end = self.now_us + us
        while self.running() and not self.frozen and self.next_us <= end:
            self.sample(self.next_us / 1e6)
            self.next_us += 1e6 / (self.rate_hz() * (1 + self.rate_error))
        self.now_us = int(end)
        if not self.running() or self.frozen:
            self.next_us = end

    def sample(self, time_s: float) -> None:
        g = self.signal(0.0 if self.constant else time_s)
        if threshold := self.watch_mg():
            self.moved |= self.seen is not None and max(abs(a - b) for a, b in zip(g, self.seen, strict=True)) >= threshold
            self.seen = g
            return
        if self.testing() and not self.dead_test:
            g = tuple(a + b for a, b in zip(g, self.test_mg, strict=True))  # type: ignore[assignment]
        low, high = self.limits()
        counts = tuple(max(low, min(high, round(a / 1000 * self.counts_per_g()))) for a in g)
        self.push(counts)  # type: ignore[arg-type]

    def push(self, counts: tuple[int, int, int]) -> None:
        if len(self.fifo) >= self.depth:
            self.fifo.popleft()
            self.overrun = True
            self.lost += 1
        self.fifo.append(counts)

    def transfer(self, out: bytes, count: int) -> bytes | None:
        """One transaction; None: nobody acknowledges."""
        self.transfers += 1
        if self.absent or self.kind not in self.kinds:
            return None
        reg, is_read, multi = self.address(out[0])
        if self.kind == SPI and is_read != (count > 0):
            return bytes([0xFF] * count)
        for value in out[1:]:
            self.write(reg, value)
            reg = self.next_reg(reg, multi)
        got = bytearray()
        for _ in range(count):
            got.append(self.read(reg) & 0xFF)
            reg = self.next_reg(reg, multi)
        return bytes(got)


class Adxl345(Part):
    depth = 32
    identity_reg, stuck, has_degrees, can_watch = 0x00, (0x31, 0xF7), False, True
    test_mg = (500.0, -500.0, 800.0)
    popped: tuple[int, int, int] = (0, 0, 0)

    def reset(self) -> None:
        super().reset()
        self.regs = {0x00: 0xE5, 0x2C: 0x0A}

    def address(self, byte: int) -> tuple[int, bool, bool]:
        if self.kind == SPI:
            return byte & 0x3F, bool(byte & 0x80), bool(byte & 0x40)
        return byte, True, True

    def next_reg(self, reg: int, multi: bool) -> int:
        return reg + 1 if multi else reg

    def rate_hz(self) -> float:
        assert not self.regs[0x2C] & 0x10 or 7 <= self.regs[0x2C] & 0x0F <= 12, (
            "low power saves something from 12.5 to 400 Hz only"
        )
        return 3200 / 2 ** (15 - (self.regs[0x2C] & 0x0F)) if self.regs.get(0x2D, 0) & 0x08 else 0.0

    def watch_mg(self) -> float:
        """Activity, AC-coupled: against where it was when detection began."""
        if not self.regs.get(0x2E, 0) & 0x10 or self.regs.get(0x2F, 0) & 0x10 or not self.regs.get(0x2D, 0) & 0x08:
            return 0.0
        assert self.regs.get(0x27, 0) & 0xF0 == 0xF0 and self.regs.get(0x24, 0) > 0, "gravity alone would be activity"
        return self.regs[0x24] * 62.5

    def counts_per_g(self) -> float:
        assert self.regs.get(0x31, 0) & 0x08, "full resolution"
        return 1000 / 3.9

    def limits(self) -> tuple[int, int]:
        full = 256 * 2 << (self.regs.get(0x31, 0) & 3)
        return -full, full - 1

    def testing(self) -> bool:
        return bool(self.regs.get(0x31, 0) & 0x80)

    def bursting_watermark(self) -> int:
        return self.regs.get(0x38, 0) & 0x1F

    def push(self, counts: tuple[int, int, int]) -> None:
        if self.regs.get(0x38, 0) >> 6 == 2:
            super().push(counts)
        else:
            self.fifo.clear()
            self.fifo.append(counts)

    def write(self, reg: int, value: int) -> None:
        if reg == 0x38 and value >> 6 == 0:
            self.fifo.clear()
            self.overrun = False
        super().write(reg, value)

    def read(self, reg: int) -> int:
        if reg == 0x39:
            return len(self.fifo)
        if reg == 0x30:
            return int(self.overrun) | (2 if self.interrupt() else 0)
        if 0x32 <= reg <= 0x37:
            if reg == 0x32:  # the sample is taken from the FIFO when its registers are read
                self.popped = self.fifo.popleft() if self.fifo else self.popped
                self.overrun = False
            return self.popped[(reg - 0x32) // 2] >> 8 * (reg % 2) & 0xFF
        return super().read(reg)


class Lis3dh(Part):
    depth = 32
    stuck, has_degrees, can_watch = (0x23, 0xFF), False, True
    test_mg = (300.0, 300.0, 300.0)
    sensitivity_mg = (4, 8, 16, 48)  # normal mode, 10 bits

    def reset(self) -> None:
        super().reset()
        self.regs = {0x0F: 0x33, 0x20: 0x07}

    def address(self, byte: int) -> tuple[int, bool, bool]:
        if self.kind == SPI:
            return byte & 0x3F, bool(byte & 0x80), bool(byte & 0x40)
        return byte & 0x7F, True, bool(byte & 0x80)

    def next_reg(self, reg: int, multi: bool) -> int:
        if not multi:
            return reg
        return 0x28 if reg == 0x2D and self.regs.get(0x24, 0) & 0x40 else reg + 1

    def rate_hz(self) -> float:
        low_power = self.regs.get(0x20, 0) & 0x08
        assert not low_power or not self.regs.get(0x24, 0) & 0x40, "8 bits in the FIFO"
        assert not self.regs.get(0x23, 0) & 0x08, "high resolution hears a ninth of the rate only"
        return {0: 0, 1: 1, 2: 10, 3: 25, 4: 50, 5: 100, 6: 200, 7: 400, 9: 1344}[self.regs.get(0x20, 0) >> 4]

    def watch_mg(self) -> float:
        """Interrupt generator 1 behind the high pass: 16 mg a count at 2 g."""
        if not self.regs.get(0x22, 0) & 0x40 or not self.regs.get(0x30, 0) & 0x2A or not self.regs.get(0x20, 0) & 7:
            return 0.0
        assert self.regs.get(0x21, 0) & 1, "gravity alone would be motion"
        assert self.regs.get(0x24, 0) & 0x08, "not latched: gone before anybody looks"
        return self.regs.get(0x32, 0) * (16, 32, 62, 186)[self.regs.get(0x23, 0) >> 4 & 3]

    def counts_per_g(self) -> float:
        return 1000 / self.sensitivity_mg[self.regs.get(0x23, 0) >> 4 & 3]

    def limits(self) -> tuple[int, int]:
        return -512, 511

    def testing(self) -> bool:
        return self.regs.get(0x23, 0) & 0x06 == 0x02

    def bursting_watermark(self) -> int:
        return self.regs.get(0x2E, 0) & 0x1F

    def push(self, counts: tuple[int, int, int]) -> None:
        if self.regs.get(0x24, 0) & 0x40 and self.regs.get(0x2E, 0) >> 6 == 2:
            super().push(counts)
            self.overrun = self.overrun or len(self.fifo) == 32

    def write(self, reg: int, value: int) -> None:
        if reg == 0x24 and value & 0x80:
            self.reset()
            return
        if reg == 0x2E and value >> 6 == 0:
            self.fifo.clear()
            self.overrun = False
        super().write(reg, value)

    def read(self, reg: int) -> int:
        if reg == 0x2F:
            full = len(self.fifo) == 32
            watermark = len(self.fifo) >= self.bursting_watermark()
            return watermark << 7 | full << 6 | (not self.fifo) << 5 | min(len(self.fifo), 31)
        if 0x28 <= reg <= 0x2D:
            sample = self.fifo[0] if self.fifo else (0, 0, 0)
            value = sample[(reg - 0x28) // 2] << 6
            if reg == 0x2D and self.fifo:
                self.fifo.popleft()
            return value >> 8 * (reg % 2) & 0xFF
        return super().read(reg)


class StFifo(Part):
    """What LSM6DSOX and IIS3DWB have in common."""

    depth = 512
    who = 0
    at = 0
    latched = False

    def reset(self) -> None:
        super().reset()
        self.regs = {0x0F: self.who, 0x12: 0x04}
        self.at = 0

    def address(self, byte: int) -> tuple[int, bool, bool]:
        if self.kind == SPI:
            return byte & 0x7F, bool(byte & 0x80), True
        return byte, True, True

    def next_reg(self, reg: int, multi: bool) -> int:
        assert self.regs.get(0x12, 0) & 0x04
        return 0x78 if reg == 0x7E else reg + 1

    def counts_per_g(self) -> float:
        return 1000 / {0: 0.061, 1: 0.488, 2: 0.122, 3: 0.244}[self.regs.get(0x10, 0) >> 2 & 3]

    def testing(self) -> bool:
        return self.regs.get(0x14, 0) & 3 == 1

    def bursting_watermark(self) -> int:
        return self.regs.get(0x07, 0) | (self.regs.get(0x08, 0) & 1) << 8

    def batch(self) -> int:
        return self.regs.get(0x09, 0) & 0x0F

    def push(self, counts: tuple[int, int, int]) -> None:
        if self.regs.get(0x0A, 0) & 7 == 6 and self.batch() != 0:
            super().push(counts)
            self.latched = self.latched or self.overrun

    def write(self, reg: int, value: int) -> None:
        if reg == 0x12 and value & 1:
            self.reset()
            return
        if reg == 0x0A and value & 7 == 0:
            self.fifo.clear()
            self.overrun = self.latched = False
        super().write(reg, value)

    def read(self, reg: int) -> int:
        if reg == 0x3A:
            return len(self.fifo) & 0xFF
        if reg == 0x3B:
            value = len(self.fifo) >> 8 | self.latched << 3 | (len(self.fifo) == 512) << 5 | self.overrun << 6
            self.latched = False
            return value | self.interrupt() << 7
        if reg in (0x20, 0x21):
            return round((self.celsius - 25) * 256) >> 8 * (reg - 0x20) & 0xFF
        if 0x78 <= reg <= 0x7E:
            sample = self.fifo[0] if self.fifo else (0, 0, 0)
            if reg == 0x78:
                return 0x02 << 3 if self.fifo else 0
            value = sample[(reg - 0x79) // 2] >> 8 * ((reg - 0x79) % 2) & 0xFF
            if reg == 0x7E and self.fifo:
                self.fifo.popleft()
                self.overrun = False
            return value
        return super().read(reg)


class Lsm6dsox(StFifo):
    who = 0x6C
    can_watch = True

    def watch_mg(self) -> float:
        """Wake-up by the slope filter: a 64th of the range a count, latched."""
        if not self.regs.get(0x58, 0) & 0x80 or not self.regs.get(0x5E, 0) & 0x20:
            return 0.0
        assert not self.regs.get(0x56, 0) & 0x10 and self.regs.get(0x56, 0) & 1
        assert self.regs.get(0x15, 0) & 0x10, "not in low power"
        return (self.regs.get(0x5B, 0) & 0x3F) * 2000 / 64

    def rate_hz(self) -> float:
        code = self.regs.get(0x10, 0) >> 4
        rate = {0: 0, 4: 104, 6: 417, 7: 833, 8: 1667, 9: 3333, 10: 6667}[code]
        assert not self.batch() or self.batch() == code, "batched at another rate than sampled"
        return rate


class Iis3dwb(StFifo):
    who = 0x7B
    kinds = (SPI,)
    test_mg = (1500.0, 1500.0, 1500.0)

    def rate_hz(self) -> float:
        return 26667.0 if self.regs.get(0x10, 0) >> 5 == 5 and self.batch() in (0, 10) else 0.0


class Kx134(Part):
    """Its settings are taken while it stands by (CNTL1.PC1 = 0) only; the buffer counts bytes."""

    depth = 86
    identity_reg, stuck, range_max_mg, has_self_test, has_degrees = 0x13, (0x5E, 0xFF), 64000, False, False
    can_watch = True

    def reset(self) -> None:
        super().reset()
        self.regs = {0x12: 0x55, 0x13: 0x46, 0x21: 0x06, 0x22: 0x10}
        self.rest: deque[int] = deque()  # bytes of a sample that has been begun

    def address(self, byte: int) -> tuple[int, bool, bool]:
        return (byte & 0x7F, bool(byte & 0x80), True) if self.kind == SPI else (byte, True, True)

    def next_reg(self, reg: int, multi: bool) -> int:
        return reg if reg == 0x63 else reg + 1

    def rate_hz(self) -> float:
        return 25600 / 2 ** (15 - (self.regs[0x21] & 0x0F)) if self.regs.get(0x1B, 0) & 0x80 else 0.0

    def watch_mg(self) -> float:
        """Wake-up engine, relative: 64 counts a g."""
        if not self.regs.get(0x1E, 0) & 0x20 or not self.regs.get(0x25, 0) & 0x02 or not self.regs.get(0x1B, 0) & 0x80:
            return 0.0
        assert self.regs[0x1E] & 0x40 and self.regs[0x22] & 0x38 == 0x30, "relative, on INT1, high and latched"
        return (self.regs.get(0x49, 0) | (self.regs.get(0x4A, 0) & 0x70) << 4) * 1000 / 64

    def counts_per_g(self) -> float:
        assert self.regs[0x1B] & 0x40 or self.regs.get(0x1E, 0) & 0x20, "16 bits only in high performance"
        return 4096 >> (self.regs[0x1B] >> 3 & 3)

    def bursting_watermark(self) -> int:
        return self.regs.get(0x5E, 0)

    def push(self, counts: tuple[int, int, int]) -> None:
        if self.regs.get(0x5F, 0) & 0xC3 == 0xC1:
            super().push(counts)

    def write(self, reg: int, value: int) -> None:
        if reg == 0x1C and value & 0x80:
            self.reset()
        elif reg == 0x62:
            self.fifo.clear()
            self.rest.clear()
            self.overrun = False
        elif reg == 0x1B and self.regs.get(0x1B, 0) & value & 0x80:
            return
        elif reg == 0x1B or not self.regs.get(0x1B, 0) & 0x80:
            super().write(reg, value)

    def read(self, reg: int) -> int:
        if reg in (0x60, 0x61):
            return 6 * len(self.fifo) >> 8 * (reg - 0x60) & 0xFF
        if reg == 0x17:
            return 0x40 * (self.overrun and bool(self.regs.get(0x5F, 0) & 0x20)) | 0x20 * self.interrupt()
        if reg == 0x63:
            if not self.rest:
                if not self.fifo:
                    return 0
                for count in self.fifo.popleft():
                    self.rest.extend((count & 0xFF, count >> 8 & 0xFF))
            return self.rest.popleft()
        return super().read(reg)


class Mpu6050(Part):
    depth = 170
    identity_reg, stuck, has_self_test = 0x75, (0x23, 0xFF), False
    kinds = (I2C,)

    def reset(self) -> None:
        super().reset()
        self.regs = {0x75: 0x68, 0x6B: 0x40}
        self.bytes: deque[int] = deque()

    def address(self, byte: int) -> tuple[int, bool, bool]:
        return byte, True, True

    def next_reg(self, reg: int, multi: bool) -> int:
        return reg if reg == 0x74 else reg + 1

    def rate_hz(self) -> float:
        asleep = self.regs.get(0x6B, 0) & 0x40
        gyro_hz = 8000 if self.regs.get(0x1A, 0) & 7 in (0, 7) else 1000
        return 0.0 if asleep else min(gyro_hz / (1 + self.regs.get(0x19, 0)), 1000)

    def counts_per_g(self) -> float:
        return 16384 >> (self.regs.get(0x1C, 0) >> 3 & 3)

    def bursting_watermark(self) -> int:
        return self.depth

    def push(self, counts: tuple[int, int, int]) -> None:
        if self.regs.get(0x6A, 0) & 0x40 and self.regs.get(0x23, 0) & 0x08:
            for count in counts:
                self.bytes.extend((count >> 8 & 0xFF, count & 0xFF))
            while len(self.bytes) > 1024:
                self.bytes.popleft()
                self.overrun = True

    def write(self, reg: int, value: int) -> None:
        if reg == 0x6B and value & 0x80:
            self.reset()
            return
        if reg == 0x6A and value & 0x04:
            self.bytes.clear()
            value &= ~0x04
        super().write(reg, value)

    def read(self, reg: int) -> int:
        if reg == 0x3A:
            value = self.overrun << 4
            self.overrun = False
            return value
        if reg in (0x72, 0x73):
            return len(self.bytes) >> 8 * (0x73 - reg) & 0xFF
        if reg == 0x74:
            return self.bytes.popleft() if self.bytes else 0xFF
        if reg in (0x41, 0x42):
            return round((self.celsius - 36.53) * 340) >> 8 * (0x42 - reg) & 0xFF
        return super().read(reg)


class Adxl355(Part):
    depth = 32
    identity_reg, stuck, range_max_mg = 0x00, (0x29, 0xFF), 8192
    test_mg = (300.0, 300.0, 1500.0)

    def reset(self) -> None:
        super().reset()
        self.regs = {0x00: 0xAD, 0x01: 0x1D, 0x02: 0xED, 0x2D: 0x01, 0x2C: 0x81, 0x29: 0x60}
        self.entry = 0  # of nine bytes

    def address(self, byte: int) -> tuple[int, bool, bool]:
        if self.kind == SPI:
            return byte >> 1, bool(byte & 1), True
        return byte, True, True

    def next_reg(self, reg: int, multi: bool) -> int:
        return reg if reg == 0x11 else reg + 1

    def running(self) -> bool:
        return not self.regs.get(0x2D, 1) & 1

    def rate_hz(self) -> float:
        return 4000 / 2 ** (self.regs.get(0x28, 0) & 0x0F)

    def counts_per_g(self) -> float:
        return {1: 256000, 2: 128000, 3: 64000}[self.regs[0x2C] & 3]

    def limits(self) -> tuple[int, int]:
        return -(1 << 19), (1 << 19) - 1

    def testing(self) -> bool:
        return self.regs.get(0x2E, 0) & 3 == 3

    def bursting_watermark(self) -> int:
        return self.regs[0x29] // 3

    def write(self, reg: int, value: int) -> None:
        if reg == 0x2F:
            if value == 0x52:
                self.reset()
            return
        if reg == 0x2D and value & 1:
            self.fifo.clear()
            self.overrun = False
            self.entry = 0
        assert reg not in (0x28, 0x29, 0x2C) or self.regs[0x2D] & 1 or value == self.regs.get(reg) or reg == 0x2C
        super().write(reg, value)

    def read(self, reg: int) -> int:
        if reg == 0x04:
            value = self.overrun << 2 | self.interrupt() << 1
            self.overrun = False
            return value
        if reg == 0x05:
            return len(self.fifo) * 3
        if reg in (0x06, 0x07):
            return round(1885 - (self.celsius - 25) * 9.05) >> 8 * (0x07 - reg) & 0xFF
        if reg == 0x11:
            if not self.fifo:
                return 0x02
            axis, byte = divmod(self.entry, 3)
            word = (self.fifo[0][axis] & 0xFFFFF) << 4 | (axis == 0)
            self.entry += 1
            if self.entry == 9:
                self.entry = 0
                self.fifo.popleft()
            return word >> 8 * (2 - byte) & 0xFF
        return super().read(reg)


PARTS: dict[str, type[Part]] = {
    "adxl345": Adxl345,
    "adxl355": Adxl355,
    "iis3dwb": Iis3dwb,
    "kx134": Kx134,
    "lis2dh12": Lis3dh,
    "lis3dh": Lis3dh,
    "lsm6dsox": Lsm6dsox,
    "mpu6050": Mpu6050,
}
