"""A .tflite as the bench sees it: operators, multiply-accumulates, and vectors with TensorFlow Lite Micro's outputs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from whir_node.engine import Engine, TflmEngine
from whir_node.errors import EngineError
from whir_node.operators import config_header, outline
from whir_tools.bench.engine.errors import ModelError

ROOT = Path(__file__).resolve().parents[4]
VECTORS = 10


@dataclass(frozen=True)
class Model:
    """A model file."""

    path: Path
    data: bytes
    arena_bytes: int

    @classmethod
    def load(cls, path: Path) -> Model:
        """Raises ModelError for a file that is not there, not a .tflite, or refused by whir_nn, with its reason."""
        if not path.is_file():
            raise ModelError(f"{path}: no such file")
        data = path.read_bytes()
        if data[4:8] != b"TFL3":
            raise ModelError(f"{path}: not a .tflite file")
        try:
            arena_bytes = Engine(data).info.arena_bytes
        except EngineError as error:
            raise ModelError(f"{path}: {error}") from error
        return cls(path, data, arena_bytes)

    @property
    def name(self) -> str:
        """`fft32` of fft32.tflite, `fft32-trained` of fft32/model.tflite, where `whir export` leaves it."""
        return f"{self.path.parent.name}-trained" if self.path.stem == "model" else self.path.stem

    @cached_property
    def operator_set(self) -> tuple[str, ...]:
        """Names of its operators, each once, in the order of their first use."""
        return outline(self.data).operator_set

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference: convolutions, depthwise convolutions, fully connected layers."""
        total = 0
        graph = schema.Model.GetRootAs(self.data, 0).Subgraphs(0)
        for i, name in enumerate(outline(self.data).operators):
            op = graph.Operators(i)
            if name not in ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D"):
                continue
            weights = graph.Tensors(op.Inputs(1)).ShapeAsNumpy()
            output = graph.Tensors(op.Outputs(0)).ShapeAsNumpy()
            if name == "FULLY_CONNECTED":
                total += int(np.prod(output)) * int(weights[-1])
            elif name == "CONV_2D":
                total += int(np.prod(output)) * int(np.prod(weights[1:]))
            else:
                total += int(np.prod(output)) * int(np.prod(weights[1:3]))
        return total

    def config_header(self) -> str:
        """C that makes a build of whir_nn hold this model's operators and no others; for `-include`."""
        return config_header(self.name, self.operator_set)

    @cached_property
    def vectors(self) -> tuple[bytes, bytes]:
        """Inputs and TensorFlow Lite Micro's outputs: the kept ones beside the model, else seeded random ones."""
        kept = self.path.with_suffix(".in.bin"), self.path.with_suffix(".out.bin")
        if all(path.exists() for path in kept):
            return kept[0].read_bytes(), kept[1].read_bytes()
        try:
            # whir_nn has accepted the file: TensorFlow Lite Micro trusts what it is given
            peer = TflmEngine(self.data, arena_bytes=(1 << 20) + 4 * self.arena_bytes)
        except EngineError as error:
            raise ModelError(f"{self.path}: {error}") from error
        inputs = np.random.default_rng(1).integers(-128, 128, (VECTORS, peer.info.input_bytes), dtype=np.int8)
        return inputs.tobytes(), peer.run(inputs).tobytes()


def default_models() -> list[Path]:
    """The repository's, the reference models where they are at hand, and every model exported under build/."""
    shared = Path(os.environ.get("WHIR_MODELS", ROOT.parent / "shared/models"))
    return [
        *sorted((ROOT / "tests/vectors").glob("*.tflite")),
        *sorted(shared.glob("*.tflite")),
        *sorted((ROOT / "build/models").glob("*/model.tflite")),
    ]
