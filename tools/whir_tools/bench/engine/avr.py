"""ATmega328P: 2 KB of RAM, 32 KB of flash that is not in the data space. It runs the model as plain C, in simavr."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from whir_ml import c_export
from whir_ml.errors import ExportError
from whir_tools.bench.engine.subject import BENCH, ENGINE, Subject
from whir_tools.bench.engine.target import SECTIONS, Build, Figures, figures, flash_bytes, run

FLASH_BYTES = 32768
RAM_BYTES = 2048
# the bench's own: painted stack, frames above it, constants of the JSON line
BENCH_RAM_BYTES = 1200
CLOCK_HZ = 16_000_000
COMPILER = ["avr-gcc", "-mmcu=atmega328p", *SECTIONS]
PACKAGES = "gcc-avr avr-libc simavr libsimavr-dev"


class Avr:
    """The model as plain C; the portable core has no hook for flash outside the data space."""

    name = "avr"
    what = "ATmega328P as plain C, cycles in simavr"
    tools: Mapping[str, str] = {"avr-gcc": PACKAGES, "simavr": PACKAGES, "gcc": "build-essential"}

    def refuses(self, subject: Subject) -> str | None:
        if subject.model is None or subject.source != ENGINE:
            return "only models, as plain C"
        try:
            plain = c_export.read(subject.model.data)
        except ExportError as error:
            return str(error)
        ram = plain.input_bytes + plain.work_bytes + plain.layers[-1].outputs + BENCH_RAM_BYTES
        if plain.table_bytes > FLASH_BYTES // 2 or ram > RAM_BYTES:
            return f"{plain.table_bytes:,} bytes of constants and {ram:,} of RAM are too many"
        return None

    def measure(self, subject: Subject, build: Build, folder: Path) -> Figures:
        assert subject.model is not None, "refused before"
        plain = c_export.write(subject.model.data, folder, "model")
        defines = []
        for name, data in {**subject.files, "MODEL": b""}.items():
            (folder / f"{name}.bin").write_bytes(data)
            defines.append(f'-D{name}_FILE="{folder / name}.bin"')
        full, empty, simulator = folder / "full.elf", folder / "empty.elf", folder / "simulator"
        common: list[str | Path] = [*COMPILER, build.opt, *defines, f"-I{BENCH}", f"-I{folder}"]
        common += [BENCH / "avr/target_avr.c", BENCH / "data.S", BENCH / "main.c"]
        run([*common, BENCH / "avr/plain.c", folder / "model.c", "-o", full], f"{subject.name}: build")
        run([*common, BENCH / "avr/empty.c", "-o", empty], f"{subject.name}: build of the empty image")
        run(["gcc", "-O2", BENCH / "avr/simulator.c", "-o", simulator, "-lsimavr"], "build of the simulator")
        flash = flash_bytes("avr-size", full) - flash_bytes("avr-size", empty) - plain.table_bytes
        found = figures(run([simulator, full], subject.name), flash, subject.name)
        static = sum(int(v) for v in run(["avr-size", full], "size").splitlines()[1].split()[1:3])
        cycles = found.instructions_invoke or 0
        return replace(
            found,
            instructions_setup=None,
            instructions_invoke=None,
            model_bytes=plain.table_bytes,
            notes={
                "instructions_setup": "there is no set-up",
                "instructions_invoke": "simavr counts cycles",
                "cycles_invoke": cycles,
                "ms_invoke_at_16_mhz": round(cycles / CLOCK_HZ * 1000, 3),
                "ram_bytes": static + found.stack_run_bytes,
                "model_bytes": "the constants in the C, which stand for the file",
            },
        )


AVR = Avr()
