"""Random nets on the emulated targets, many of them per boot: TensorFlow Lite Micro's bytes after every layer there too."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from random_nets import random_net
from tflite_nets import ROOT, prefixes

from whir_node.engine import TflmEngine, planned
from whir_tools.bench.engine.errors import ToolMissingError
from whir_tools.bench.engine.rv32 import RV32
from whir_tools.bench.engine.subject import BENCH, CORE
from whir_tools.bench.engine.target import SECTIONS, Emulated, require, run
from whir_tools.bench.engine.xtensa import XTENSA

NETS = 20
NETS_LONG = 1000
NETS_PER_BOOT = 100
VECTORS = 2
TARGETS = pytest.mark.parametrize("target", [RV32, XTENSA], ids=lambda target: target.name)


def entry(seed: int, model: bytes) -> bytes:
    """One net as nn_batch.c reads it."""
    model = planned(model + bytes(-len(model) % 16))
    peer = TflmEngine(model)
    inputs = np.random.default_rng(seed).integers(-128, 128, (VECTORS, peer.info.input_bytes), dtype=np.int8)
    rows = zip(inputs, peer.run(inputs), strict=True)
    body = model + b"".join(i.tobytes() + o.tobytes() for i, o in rows)
    body += bytes(-len(body) % 16)
    return struct.pack("<4I", seed, len(model), VECTORS, 16 + len(body)) + body


def run_on(target: Emulated, seeds: Iterable[int], opt: str, folder: Path) -> None:
    """All nets of these seeds, cut off after every layer, in one image."""
    entries = [entry(seed, cut) for seed in seeds for cut in prefixes(random_net(seed))]
    data, image = folder / "nets.bin", folder / "nets.elf"
    data.write_bytes(b"".join(entries))
    (folder / "none").touch()
    files = [f'-DMODEL_FILE="{data}"', *(f'-D{name}_FILE="{folder}/none"' for name in ("PARAMS", "INPUT", "OUTPUT"))]
    sources = [*target.toolchain.sources, BENCH / "data.S", ROOT / "tests/firmware/nn_batch.c", *(CORE / "src").glob("nn*.c")]
    command = [*target.toolchain.compiler, opt, *SECTIONS, *files, f"-I{BENCH}", f"-I{CORE}/include", *sources]
    run([*command, "-o", image, "-lgcc"], "build")
    printed = run([*target.emulator, image], "nets")
    wrong = sorted({line.split()[2] for line in printed.splitlines() if line.startswith("wrong")}, key=int)
    assert not wrong, f"other bytes than TensorFlow Lite Micro's: random_net of {', '.join(wrong)}"
    nets, compared = map(int, printed.split()[-2:])
    assert nets == len(entries)
    assert compared > nets * VECTORS


def needs(target: Emulated) -> None:
    try:
        require(target.tools)
    except ToolMissingError as error:
        pytest.skip(f"no random nets on {target.name}: {error}")


@TARGETS
def test_random_nets_give_tflm_bytes_on_the_target(target: Emulated, tmp_path: Path) -> None:
    needs(target)
    run_on(target, range(NETS), "-O2", tmp_path)


@pytest.mark.long
@pytest.mark.timeout(3600)
@TARGETS
def test_many_more_random_nets_give_tflm_bytes_on_the_target(target: Emulated, tmp_path: Path) -> None:
    needs(target)
    print(f"seeds 0 to {NETS_LONG - 1}")
    for boot, first in enumerate(range(0, NETS_LONG, NETS_PER_BOOT)):
        run_on(target, range(first, first + NETS_PER_BOOT), "-Os" if boot % 2 else "-O2", tmp_path)


def test_a_wrong_byte_is_seen_in_the_guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs(RV32)
    monkeypatch.setitem(globals(), "TflmEngine", Wrong)
    with pytest.raises(AssertionError, match="random_net of 3"):
        run_on(RV32, [3], "-O2", tmp_path)


class Wrong(TflmEngine):
    """One bit of the last byte is another."""

    def run(self, inputs: object) -> np.ndarray:
        outputs = super().run(inputs)
        outputs[-1, -1] ^= 1
        return outputs
