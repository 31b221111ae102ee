"""Xtensa lx106, stand-in for the ESP32's LX6: no windows, no loops, no MAC16, no high multiply, so an indication, not a bound.

Its compiler comes without a C library and without part of its own: `freestanding/` has what the core needs of both.
"""

from __future__ import annotations

from whir_tools.bench.engine.subject import BENCH
from whir_tools.bench.engine.target import Emulated, Toolchain

QEMU = "qemu-system-xtensa"
FREESTANDING = BENCH / "freestanding"

XTENSA = Emulated(
    name="xtensa",
    what="Xtensa lx106, instructions in QEMU",
    tools={"xtensa-lx106-elf-gcc": "gcc-xtensa-lx106", QEMU: "qemu-system-misc"},
    toolchain=Toolchain(
        compiler=[
            "xtensa-lx106-elf-gcc", "-mlongcalls", "-ffreestanding", "-fno-tree-loop-distribute-patterns", "-nostdlib",
            f"-I{FREESTANDING}", f"-T{BENCH}/xtensa.ld",
        ],
        size="xtensa-lx106-elf-size",
        sources=[
            BENCH / "start_xtensa.S", BENCH / "target_xtensa.c", FREESTANDING / "string.c", FREESTANDING / "arithmetic.c",
        ],
    ),
    # shift=7: target_xtensa.c works the number of instructions out of the cycle counter
    emulator=[
        QEMU, "-M", "sim", "-cpu", "lx106", "-semihosting", "-display", "none", "-serial", "none", "-monitor", "none",
        "-icount", "shift=7", "-kernel",
    ],
)  # fmt: skip
