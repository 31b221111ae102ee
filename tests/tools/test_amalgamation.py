"""`make amalgamation`: two files that need nothing else, with every compiler that the core is for."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from tflite_nets import Net

from whir_node.engine import Engine

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/minimal/main.c"
STRICT = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror"]
BARE = {
    "riscv64-unknown-elf-gcc": ["-march=rv32imac", "-mabi=ilp32", "--specs=picolibc.specs"],
    "xtensa-lx106-elf-gcc": ["-mlongcalls", "-ffreestanding", f"-I{ROOT}/firmware/ports/bench/freestanding"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """whir.h, whir.c, and a model as the example includes it."""
    made = tmp_path_factory.mktemp("amalgamation")
    subprocess.run([sys.executable, ROOT / "firmware/core/amalgamate.py", made], check=True)
    (made / "model.inc").write_text(",".join(str(byte) for byte in _model()))
    return made


def _model() -> bytes:
    net = Net(np.random.default_rng(5), (1, 32))
    net.dense(16)
    net.dense(6)
    net.softmax()
    return net.build()


def _compile(command: list[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_example_finds_the_class_that_the_engine_finds(folder: Path) -> None:
    compiler = shutil.which("gcc") or pytest.skip("no gcc: install build-essential")
    program = folder / "minimal"
    _compile([compiler, *STRICT, f"-I{folder}", EXAMPLE, folder / "whir.c", "-o", program])
    expected = int(Engine(_model()).run(np.zeros((1, 32), np.int8))[0].argmax())
    assert expected != 0, "a program that does nothing returns 0 as well"
    assert subprocess.run([program]).returncode == expected


@pytest.mark.parametrize("compiler", BARE)
def test_it_compiles_for_bare_metal(compiler: str, folder: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed: the amalgamation is not tried for its target")
    for source in (EXAMPLE, folder / "whir.c"):
        _compile([compiler, *BARE[compiler], *STRICT, f"-I{folder}", "-c", source, "-o", folder / "bare.o"])


def test_nothing_of_the_repository_is_included(folder: Path) -> None:
    includes = re.findall(r"^#include (.*)$", (folder / "whir.h").read_text() + (folder / "whir.c").read_text(), re.M)
    assert set(includes) == {'"whir.h"', "<stdbool.h>", "<stddef.h>", "<stdint.h>", "<string.h>"}


def test_equal_names_of_two_sources_are_told_apart(folder: Path) -> None:
    compiler = shutil.which("gcc") or pytest.skip("no gcc: install build-essential")
    for variant in ([], ["-DWHIR_NN_SMALL"], ["-DWHIR_NN_FAST"]):
        command = [compiler, *STRICT, *variant, "-E", "-P", f"-I{folder}", folder / "whir.c"]
        code = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        code = re.sub(r"__attribute__\(\(.*?\)\)", "", code)
        functions = re.findall(r"^static [^;={(]*?\b(\w+)\([^;]*?\)\s*\{", code, re.M)
        assert len(functions) == len(set(functions)) > 100
        _compile([compiler, *STRICT, *variant, f"-I{folder}", "-fsyntax-only", folder / "whir.c"])


def test_a_port_for_another_seam_does_not_compile(folder: Path) -> None:
    compiler = shutil.which("gcc") or pytest.skip("no gcc: install build-essential")
    for number, wanted in ((2, 0), (1, 1)):
        source = f'#define WHIR_PORT_VERSION {number}\n#include "whir.h"\n'
        done = subprocess.run(
            [compiler, "-fsyntax-only", f"-I{folder}", "-x", "c", "-"], input=source, text=True, capture_output=True
        )
        assert done.returncode == wanted, done.stderr
    assert "another version of whir/port" in done.stderr


def test_the_headers_version_is_the_packages(folder: Path) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    header = (folder / "whir.h").read_text()
    numbers = dict(re.findall(r"#define WHIR_VERSION_(\w+) (\d+)", header))
    assert ".".join(numbers[part] for part in ("MAJOR", "MINOR", "PATCH")) == version


def test_every_public_header_is_in_the_one(folder: Path) -> None:
    listed = set(re.findall(r'#include "(whir/[^"]+)"', (ROOT / "firmware/core/include/whir/whir.h").read_text()))
    states = {"whir/condition_state.h", "whir/nn_state.h", "whir/node_state.h"}
    include = ROOT / "firmware/core/include"
    headers = {str(path.relative_to(include)) for path in include.rglob("*.h")}
    assert headers - states - {"whir/whir.h"} == listed
