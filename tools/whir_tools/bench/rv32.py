"""Measures whir_nn on an emulated RV32IMC core: builds a bare image per model, runs it, reads its one line.

Flash is the image minus the same image without the engine, compiler library included. Instructions are retired ones, which
QEMU counts exactly (`-icount shift=0`). Every output byte is compared inside the guest with TensorFlow Lite Micro's.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[3]
GCC = "riscv64-unknown-elf-gcc"
SIZE = "riscv64-unknown-elf-size"
QEMU = "qemu-system-riscv32"
FLAGS = [
    "-std=gnu99", "-march=rv32imac", "-mabi=ilp32", "--specs=picolibc.specs", "-nostartfiles",
    "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections",
    "-Wl,--defsym=__flash=0x80000000", "-Wl,--defsym=__flash_size=1M",
    "-Wl,--defsym=__ram=0x80100000", "-Wl,--defsym=__ram_size=1M",
]  # fmt: skip
VECTORS = 10


class EngineBenchError(Exception):
    """A tool is missing, or an image did not build or run."""


def default_models() -> list[Path]:
    """The reference models where they are at hand, and every model exported under build/."""
    shared = Path(os.environ.get("WHIR_MODELS", ROOT.parent / "shared/models"))
    found = sorted(shared.glob("*.tflite")) + sorted((ROOT / "build/models").glob("*/model.tflite"))
    if not found:
        raise EngineBenchError("no model to measure: name one, set WHIR_MODELS, or run `whir export` first")
    return found


def measure(models: list[Path], opts: tuple[str, ...]) -> list[dict[str, Any]]:
    """One row of engine.json per model and optimization."""
    for tool in (GCC, QEMU):
        if shutil.which(tool) is None:
            packages = "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf qemu-system-misc"
            raise EngineBenchError(f"{tool} is missing: apt-get install {packages}")
    for model in models:
        if not model.is_file():
            raise EngineBenchError(f"{model}: no such file")
    return [_row(model, opt) for model in models for opt in opts]


def _row(model: Path, opt: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inputs, outputs = _vectors(model)
        (folder / "in.bin").write_bytes(inputs)
        (folder / "out.bin").write_bytes(outputs)
        full = _build(folder, model, opt, empty=False)
        empty = _build(folder, model, opt, empty=True)
        result = _run(full)
        flash = _flash(full) - _flash(empty)
    if "error" in result:
        raise EngineBenchError(f"{model}: the engine refused it with code -{result['error']}")
    return {
        "model": _name(model),
        "target": "rv32",
        "variant": "default",
        "opt": opt,
        "flash_bytes": flash,
        "arena_bytes": result["arena_bytes"],
        "input_bytes": result["input_bytes"],
        "state_bytes": result["state_bytes"],
        "stack_bytes": result["stack_bytes"],
        "stack_run_bytes": result["stack_run_bytes"],
        "model_bytes": model.stat().st_size,
        "instructions_setup": result["instructions_setup"],
        "instructions_invoke": result["instructions_invoke"],
        "macs": macs(model.read_bytes()),
        "bit_exact": result["different"] == 0 and result["vectors"] > 0,
        "vectors": result["vectors"],
    }


def _name(model: Path) -> str:
    return model.parent.name if model.stem == "model" else model.stem


def _vectors(model: Path) -> tuple[bytes, bytes]:
    """Inputs and TensorFlow Lite Micro's outputs: the kept ones beside the model, else seeded random ones."""
    kept = model.with_suffix(".in.bin"), model.with_suffix(".out.bin")
    if all(path.exists() for path in kept):
        return kept[0].read_bytes(), kept[1].read_bytes()
    from whir_node.engine import TflmEngine

    peer = TflmEngine(model.read_bytes())
    inputs = np.random.default_rng(1).integers(-128, 128, (VECTORS, peer.info.input_bytes), dtype=np.int8)
    return inputs.tobytes(), peer.run(inputs).tobytes()


def _build(folder: Path, model: Path, opt: str, *, empty: bool) -> Path:
    image = folder / ("empty.elf" if empty else "full.elf")
    bench = ROOT / "firmware/ports/bench"
    core = ROOT / "firmware/core"
    sources = [bench / n for n in ("start_rv32.S", "data.S", "target_rv32.c", "main.c")]
    if not empty:
        sources += sorted((core / "src").glob("nn*.c"))
    defines = [f'-D{name}_FILE="{path}"' for name, path in
               (("MODEL", model.resolve()), ("INPUT", folder / "in.bin"), ("OUTPUT", folder / "out.bin"))]  # fmt: skip
    command = [GCC, opt, *FLAGS, *defines, *(["-DBENCH_EMPTY"] if empty else []), f"-I{core}/include", f"-I{core}/src"]
    done = subprocess.run([*command, *map(str, sources), "-o", str(image)], capture_output=True, text=True)
    if done.returncode != 0:
        raise EngineBenchError(f"the image for {model} does not build:\n{done.stderr}")
    return image


def _flash(image: Path) -> int:
    """Bytes that lie in flash: code, constants and initial values."""
    out = subprocess.run([SIZE, str(image)], capture_output=True, text=True, check=True).stdout.splitlines()[1].split()
    return int(out[0]) + int(out[1])


def _run(image: Path) -> dict[str, int]:
    command = [QEMU, "-M", "virt", "-bios", "none", "-display", "none", "-monitor", "none", "-serial", "stdio"]
    try:
        done = subprocess.run(
            [*command, "-icount", "shift=0", "-kernel", str(image)],
            capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise EngineBenchError(f"{image.name} did not end in 300 s") from error
    try:
        result: dict[str, int] = json.loads(done.stdout)
    except json.JSONDecodeError as error:
        raise EngineBenchError(f"the image printed no result: {done.stdout[:200]!r} {done.stderr[:200]!r}") from error
    return result


def macs(model: bytes) -> int:
    """Multiply-accumulates of one inference: convolutions, depthwise convolutions, fully connected layers."""
    from tensorflow.lite.python import schema_py_generated as schema

    builtin = schema.BuiltinOperator
    parsed = schema.Model.GetRootAs(model, 0)
    graph = parsed.Subgraphs(0)
    total = 0
    for i in range(graph.OperatorsLength()):
        op = graph.Operators(i)
        code = parsed.OperatorCodes(op.OpcodeIndex())
        kind = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        if kind not in (builtin.FULLY_CONNECTED, builtin.CONV_2D, builtin.DEPTHWISE_CONV_2D):
            continue
        weights = int(np.prod(graph.Tensors(op.Inputs(1)).ShapeAsNumpy()))
        output = graph.Tensors(op.Outputs(0)).ShapeAsNumpy()
        total += weights if kind == builtin.FULLY_CONNECTED else weights * int(output[1]) * int(output[2])
    return total
