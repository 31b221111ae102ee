"""Inference engines on a computer: `whir_nn` from the core, and TensorFlow Lite Micro, whose bytes are the standard.

Both take a full-int8 `.tflite` with one input and one output, and have one interface.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from whir_contracts.contract import ErrorCode
from whir_node.errors import CoreError, EngineError
from whir_node.library import ffi, lib
from whir_node.operators import refusal

Int8Array = npt.NDArray[np.int8]

# nn_planned.h: what stands behind the records of a plan begins with their length
PLAN_HEADER = struct.Struct("<I36x4s")
PLAN_MAGIC = b"WNP1"
PLAN_BYTES_MAX = 1 << 20


@dataclass(frozen=True)
class EngineInfo:
    """What an engine found in a model. `arena_bytes` contains the input and output tensors."""

    input_bytes: int
    output_bytes: int
    arena_bytes: int
    input_scale: float
    input_zero_point: int
    output_scale: float
    output_zero_point: int


def permille(info: EngineInfo, outputs: Int8Array) -> npt.NDArray[np.int64]:
    """Class probabilities in permille of outputs int8 (n, classes), dequantized by the core."""
    table = np.empty(256, np.uint16)
    bits = int(np.float32(info.output_scale).view(np.uint32))
    lib.host_permille_all(bits, info.output_zero_point, ffi.from_buffer("uint16_t[]", table.data))
    return table[outputs.astype(np.int64) + 128].astype(np.int64)


class InferenceEngine(Protocol):
    """What both engines are."""

    @property
    def name(self) -> str:
        """As it stands in a node's `engine` field."""

    @property
    def info(self) -> EngineInfo:
        """Sizes and quantization."""

    def run(self, inputs: npt.ArrayLike) -> Int8Array:
        """One inference per row: int8 (n, input_bytes) to int8 (n, output_bytes)."""


class Engine:
    """`whir_nn`: the core's own engine.

    Args:
        model: the bytes of a `.tflite` file.

    Raises:
        EngineError: the model is refused; `place` names the operator or the file offset, `hint` the way out.
    """

    name = "whir_nn"
    planned = False

    def __init__(self, model: bytes) -> None:
        found: Any = ffi.new("host_nn_info_t *")
        error: Any = ffi.new("int32_t *")
        handle = lib.host_nn_open(model, len(model), self.planned, found, error)
        if handle == ffi.NULL:
            raise refusal(error[0], found.error_at, model)
        self._handle = ffi.gc(handle, lib.host_nn_close)
        self.info = EngineInfo(
            input_bytes=found.input_bytes,
            output_bytes=found.output_bytes,
            arena_bytes=found.arena_bytes,
            input_scale=_float_of_bits(found.input_scale_bits),
            input_zero_point=found.input_zero_point,
            output_scale=_float_of_bits(found.output_scale_bits),
            output_zero_point=found.output_zero_point,
        )

    def run(self, inputs: npt.ArrayLike) -> Int8Array:
        """One inference per row, all of them in C.

        Args:
            inputs: int8, (n, input_bytes), or any shape whose rows have that many elements.

        Returns:
            int8, (n, output_bytes).

        Raises:
            ValueError: not int8, or another number of elements per row.
        """
        rows = _rows(inputs, self.info.input_bytes)
        outputs = np.empty((len(rows), self.info.output_bytes), dtype=np.int8)
        code = lib.host_nn_run(
            self._handle, ffi.from_buffer("int8_t[]", rows.data), ffi.from_buffer("int8_t[]", outputs.data), len(rows)
        )
        if code < 0:
            raise CoreError(code, "inference")
        return outputs


class PlannedEngine(Engine):
    """`whir_nn` as a node runs it that reads no FlatBuffers: by the plan at the end of the file, see `planned`."""

    planned = True


def planned(model: bytes) -> bytes:
    """The file with its plan at the end, a `.tflite` to everyone else; a plan that it had is replaced.

    Raises:
        EngineError: whir_nn refuses the model.
    """
    model = without_plan(model)
    model += bytes(-len(model) % 4)
    plan = bytearray(PLAN_BYTES_MAX)
    length = lib.host_nn_write_plan(model, len(model), ffi.from_buffer(plan), len(plan))
    if length < 0:
        Engine(model)  # says where
        raise EngineError(length, "plan")
    return model + bytes(plan[:length])


def without_plan(model: bytes) -> bytes:
    """The file without the plan at its end, if there is one."""
    if not model.endswith(PLAN_MAGIC) or len(model) < PLAN_HEADER.size:
        return model
    records_bytes = PLAN_HEADER.unpack(model[-PLAN_HEADER.size :])[0]
    return model[: -PLAN_HEADER.size - records_bytes]


class TflmEngine:
    """TensorFlow Lite Micro's reference kernels, from the `tflite-micro` wheel.

    Args:
        model: the bytes of a `.tflite` file.
        arena_bytes: arena given to the interpreter.

    Raises:
        EngineError: TensorFlow Lite Micro refuses the model, or its wheel is not installed.
    """

    name = "tflm"

    def __init__(self, model: bytes, arena_bytes: int = 1 << 20) -> None:
        try:
            from tflite_micro import runtime
        except ImportError as error:
            raise EngineError(
                ErrorCode.NN_ENGINE, "the tflite-micro wheel is missing: install whir[tflm] to compare engines"
            ) from error
        try:
            self._interpreter = runtime.Interpreter.from_bytes(bytes(model), arena_size=arena_bytes)
            read = self._interpreter.get_input_details(0)
            write = self._interpreter.get_output_details(0)
        except (RuntimeError, ValueError, IndexError) as error:
            raise EngineError(ErrorCode.NN_ENGINE, f"TensorFlow Lite Micro: {error}") from error
        if read["dtype"] is not np.int8 or write["dtype"] is not np.int8:
            raise EngineError(ErrorCode.NN_TYPE, f"input {read['dtype']}, output {write['dtype']}")
        self._shape = tuple(int(n) for n in read["shape"])
        self.info = EngineInfo(
            input_bytes=int(np.prod(read["shape"])),
            output_bytes=int(np.prod(write["shape"])),
            arena_bytes=arena_bytes,
            **_quantization("input", read),
            **_quantization("output", write),
        )

    def run(self, inputs: npt.ArrayLike) -> Int8Array:
        """One inference per row; see `Engine.run`."""
        rows = _rows(inputs, self.info.input_bytes)
        outputs = np.empty((len(rows), self.info.output_bytes), dtype=np.int8)
        for row, output in zip(rows, outputs, strict=True):
            self._interpreter.set_input(row.reshape(self._shape), 0)
            self._interpreter.invoke()
            output[:] = self._interpreter.get_output(0).reshape(-1)
        return outputs


def _quantization(side: str, details: dict[str, Any]) -> dict[str, Any]:
    parameters = details["quantization_parameters"]
    return {
        f"{side}_scale": float(parameters["scales"][0]),
        f"{side}_zero_point": int(parameters["zero_points"][0]),
    }


def _rows(inputs: npt.ArrayLike, input_bytes: int) -> Int8Array:
    array = np.asarray(inputs)
    if array.dtype != np.int8:
        raise ValueError(f"inputs are {array.dtype}, the engine takes int8")
    if array.size % input_bytes != 0 or (array.ndim > 1 and array.size != len(array) * input_bytes):
        raise ValueError(f"inputs of shape {array.shape} do not consist of rows of {input_bytes} bytes")
    return np.ascontiguousarray(array).reshape(-1, input_bytes)


def _float_of_bits(bits: int) -> float:
    return float(np.uint32(bits).view(np.float32))
