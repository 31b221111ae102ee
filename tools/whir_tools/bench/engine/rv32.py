"""RV32IMAC: the ESP32-C3's RV32IMC, and atomics that nothing here uses. QEMU's "virt" machine counts retired instructions."""

from __future__ import annotations

from whir_tools.bench.engine.subject import BENCH
from whir_tools.bench.engine.target import Emulated, Toolchain

QEMU = "qemu-system-riscv32"

RV32 = Emulated(
    name="rv32",
    what="RV32IMC, retired instructions in QEMU",
    tools={"riscv64-unknown-elf-gcc": "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf", QEMU: "qemu-system-misc"},
    toolchain=Toolchain(
        compiler=[
            "riscv64-unknown-elf-gcc", "-march=rv32imac", "-mabi=ilp32", "--specs=picolibc.specs", "-nostartfiles",
            "-Wl,--defsym=__flash=0x80000000", "-Wl,--defsym=__flash_size=16M",
            "-Wl,--defsym=__ram=0x81000000", "-Wl,--defsym=__ram_size=8M",
        ],
        size="riscv64-unknown-elf-size",
        sources=[BENCH / "start_rv32.S", BENCH / "target_rv32.c"],
    ),
    emulator=[
        QEMU, "-M", "virt", "-bios", "none", "-display", "none", "-monitor", "none", "-serial", "stdio",
        "-icount", "shift=0", "-kernel",
    ],
)  # fmt: skip
