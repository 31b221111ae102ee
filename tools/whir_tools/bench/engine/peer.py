"""TensorFlow Lite Micro beside us: what a user would pick instead, measured the same way for the three reference models.

RV32IMC, GCC 12.2 with picolibc, retired instructions in QEMU, 2026-11-21: esp-tflite-micro with exactly the operators used,
error strings stripped. Flash of -Os, the rest of -O2; RAM is the smallest arena with data and bss, input included, and the
stack in Invoke; instructions per inference are the best variant's (reference or ESP-NN kernels).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Peer:
    flash_bytes: int
    ram_bytes: int
    instructions_setup: int
    instructions_invoke: int


TFLM = {
    "fft32": Peer(34_638, 1_848 + 348, 46_477, 10_264),
    "cnn256x3": Peer(47_686, 4_504 + 628, 161_090, 890_637),
    "mlp89k": Peer(35_374, 4_056 + 348, 159_717, 731_013),
}


def compare(rows: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str, int, int]]:
    """Model, figure, TensorFlow Lite Micro's and ours, for the reference models measured on rv32.

    RAM is arena, state and the stack of a run, as the peer's is.
    """
    own = {(row["model"], row["opt"]): row for row in rows if (row["target"], row["variant"]) == ("rv32", "default")}
    for model, peer in TFLM.items():
        small, fast = own.get((model, "-Os")), own.get((model, "-O2"))
        if small is not None:
            yield model, "flash, bytes (-Os)", peer.flash_bytes, small["flash_bytes"]
        if fast is not None:
            ram = fast["arena_bytes"] + fast["state_bytes"] + fast["notes"]["stack_run_bytes"]
            yield model, "RAM, bytes (-O2)", peer.ram_bytes, ram
            yield model, "set-up, instructions (-O2)", peer.instructions_setup, fast["instructions_setup"]
            yield model, "inference, instructions (-O2)", peer.instructions_invoke, fast["instructions_invoke"]
