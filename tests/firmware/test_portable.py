"""Core and drivers compile for the targets as for the host, from the same sources, with the same warnings as errors."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
SOURCES = sorted([*(FIRMWARE / "core" / "src").glob("*.c"), *(FIRMWARE / "sensors" / "src").glob("*.c")])
INCLUDES = [f"-I{FIRMWARE / folder}" for folder in ("core/include", "core/src", "sensors/include")]
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wno-sign-conversion", "-pedantic"]
TARGETS = {
    "rv32imc": ["riscv64-unknown-elf-gcc", "--specs=picolibc.specs", "-march=rv32imc_zicsr", "-mabi=ilp32"],
    "xtensa-lx106": ["xtensa-lx106-elf-gcc", "-ffreestanding", "-isystem", str(FIRMWARE / "ports" / "bench" / "freestanding")],
}


def check_needs(objects: list[str]) -> None:
    """No heap and no floating point: a handful of string functions, and the compiler's helpers for 64-bit arithmetic."""
    symbols = subprocess.run(["riscv64-unknown-elf-nm", *objects], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in symbols.splitlines() if line and not line.endswith(":")]
    defined = {row[-1] for row in rows if len(row) == 3}
    wanted = {row[-1] for row in rows if len(row) == 2} - defined
    libc = {"memcmp", "memcpy", "memmove", "memset", "strchr", "strcmp", "strlen", "memchr", "strncmp"}
    integers = {"__udivdi3", "__divdi3", "__umoddi3", "__moddi3", "__ashldi3", "__lshrdi3", "__ashrdi3", "__muldi3", "__clzsi2",
                "__clzdi2", "__ctzsi2", "__popcountsi2"}  # fmt: skip
    assert wanted <= libc | integers, sorted(wanted - libc - integers)


@pytest.mark.parametrize("target", TARGETS)
def test_core_and_drivers_compile_without_a_warning(target: str, tmp_path: Path) -> None:
    if shutil.which(TARGETS[target][0]) is None:
        pytest.skip(f"{TARGETS[target][0]} is missing (ci/packages.txt)")
    command = [*TARGETS[target], "-std=c99", "-O1", "-c", *WARNINGS, *INCLUDES, *map(str, SOURCES)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-4000:]
    objects = sorted(str(p) for p in tmp_path.glob("*.o"))
    assert len(objects) == len(SOURCES)
    if target == "rv32imc":
        check_needs(objects)


def test_the_core_has_no_floating_point_type() -> None:
    """Nor a constant of one: not even what a compiler would fold."""
    comment = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
    floating = re.compile(r"\b(float|double|_Float\d+|_Complex)\b|\b\d+\.\d|\b\d+[eE][-+]?\d+\b")
    found = []
    for path in sorted((FIRMWARE / "core").rglob("*.[ch]")):
        code = re.sub(r'"(\\.|[^"\\\n])*"', "", comment.sub("", path.read_text()))
        found += [f"{path.name}: {match.group()}" for match in floating.finditer(code)]
    assert found == []
