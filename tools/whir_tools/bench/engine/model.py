"""A .tflite as the bench sees it: operators, multiply-accumulates, and vectors with TensorFlow Lite Micro's outputs."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from whir_node.engine import Engine, TflmEngine
from whir_node.errors import EngineError
from whir_tools.bench.engine.errors import ModelError

ROOT = Path(__file__).resolve().parents[4]
VECTORS = 10
OPERATOR_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}


@dataclass(frozen=True)
class Model:
    """A model file."""

    path: Path
    data: bytes

    @classmethod
    def load(cls, path: Path) -> Model:
        """Raises ModelError for a file that is not there or not a .tflite."""
        if not path.is_file():
            raise ModelError(f"{path}: no such file")
        data = path.read_bytes()
        if data[4:8] != b"TFL3":
            raise ModelError(f"{path}: not a .tflite file")
        model = cls(path, data)
        if not model.operators:
            raise ModelError(f"{path}: a model without operators")
        return model

    @property
    def name(self) -> str:
        """`fft32` of fft32.tflite, `fft32-trained` of fft32/model.tflite, where `whir export` leaves it."""
        return f"{self.path.parent.name}-trained" if self.path.stem == "model" else self.path.stem

    @cached_property
    def operators(self) -> tuple[tuple[str, Any, Any], ...]:
        """Name, operator and graph of every operator in order."""
        try:
            parsed = schema.Model.GetRootAs(self.data, 0)
            graph = parsed.Subgraphs(0)
            ops = [graph.Operators(i) for i in range(graph.OperatorsLength())]
            codes = [parsed.OperatorCodes(op.OpcodeIndex()) for op in ops]
            names = [OPERATOR_NAMES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())] for code in codes]
        except Exception as error:  # the FlatBuffer reader raises whatever the broken bytes lead to
            raise ModelError(f"{self.path}: not a readable .tflite file: {error}") from error
        return tuple((name, op, graph) for name, op in zip(names, ops, strict=True))

    @property
    def operator_set(self) -> tuple[str, ...]:
        """Names of its operators, each once, in the order of their first use."""
        return tuple(dict.fromkeys(name for name, _, _ in self.operators))

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference: convolutions, depthwise convolutions, fully connected layers."""
        total = 0
        for name, op, graph in self.operators:
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
        """C that makes a build of whir_nn hold this model's operators and no others; for `-include`.

        Raises:
            ModelError: an operator that whir_nn does not have.
        """
        known = set(re.findall(r"\bwhir_nn_op_\w+", (ROOT / "firmware/core/src/nn_layer.h").read_text()))
        symbols = []
        for name in self.operator_set:
            symbol = f"whir_nn_op_{name.lower().removesuffix('_2d')}"
            if symbol not in known:
                raise ModelError(f"{self.path}: whir_nn has no {name}; TensorFlow Lite Micro runs this model")
            symbols.append(f"&{symbol}")
        listed = ", ".join(symbols)
        return f"/* The operators of {self.name}: build with -include this file. */\n#define WHIR_NN_OPS {listed}\n"

    @cached_property
    def vectors(self) -> tuple[bytes, bytes]:
        """Inputs and TensorFlow Lite Micro's outputs: the kept ones beside the model, else seeded random ones."""
        kept = self.path.with_suffix(".in.bin"), self.path.with_suffix(".out.bin")
        if all(path.exists() for path in kept):
            return kept[0].read_bytes(), kept[1].read_bytes()
        try:
            Engine(self.data)  # trusts nothing, as TensorFlow Lite Micro does
            peer = TflmEngine(self.data)
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
