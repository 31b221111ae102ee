"""Builds small full-int8 `.tflite` files without a converter, so that a test may have any operator with any option."""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
import pytest
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from whir_node.engine import Engine, Int8Array, PlannedEngine, planned

Shape = tuple[int, ...]

SAME, VALID = 0, 1
NO_ACTIVATION, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3
OPERATORS = schema.BuiltinOperator
OPTIONS = schema.BuiltinOptions

ROOT = Path(__file__).parents[2]


def build_with_engine(source: str, program: Path, flags: list[str]) -> Path:
    """Compiles a C file of this folder together with the engine; skips the test where there is no compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: install gcc to run the engine with sanitizers")
    sources = sorted((ROOT / "firmware/core/src").glob("nn*.c"))
    include = f"-I{ROOT / 'firmware/core/include'}"
    subprocess.run(
        [compiler, "-std=gnu99", *flags, include, *sources, ROOT / "tests/firmware" / source, "-o", program], check=True
    )
    return program


def both_ways(model: bytes, inputs: Int8Array) -> Int8Array:
    """whir_nn's bytes, which are the same from the FlatBuffer and from the plan at the file's end."""
    outputs = Engine(model).run(inputs)
    assert (PlannedEngine(planned(model)).run(inputs) == outputs).all(), "the plan gives other bytes than the FlatBuffer"
    return outputs


def prefixes(model: bytes) -> Iterator[bytes]:
    """The model cut off after each operator in turn, the whole last."""
    whole = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    graph = whole.subgraphs[0]
    operators = graph.operators
    for count, last in enumerate(operators, 1):
        graph.operators, graph.outputs = operators[:count], [last.outputs[0]]
        whole.signatureDefs = None
        yield pack(whole)


def pack(model: Any) -> bytes:
    """The file of a model in the schema's object form."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class Net:
    """A net under construction: every method adds one operator behind the last one, with random weights and scales.

    Args:
        rng: source of weights and scales.
        shape: the input's, batch included.
        scale, zero_point: the input's; random when left out.
        extremes: how often a zero point, scale, weight or bias that is drawn is an extreme one.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        shape: Shape,
        scale: float | None = None,
        zero_point: int | None = None,
        extremes: float = 0.0,
    ) -> None:
        self.rng = rng
        self.extremes = extremes
        self._buffers = [schema.BufferT()]
        self._tensors: list[Any] = []
        self._opcodes: list[int] = []
        self._operators: list[Any] = []
        self.last = self.input = self.activation(shape, scale, zero_point)

    def shape_of(self, tensor: int) -> Shape:
        return tuple(int(n) for n in self._tensors[tensor].shape)

    @property
    def shape(self) -> Shape:
        """Shape of the last operator's output."""
        return self.shape_of(self.last)

    def scale_of(self, tensor: int) -> float:
        return float(self._tensors[tensor].quantization.scale[0])

    def quantization_of(self, tensor: int) -> tuple[float, int]:
        """Scale and zero point."""
        return self.scale_of(tensor), int(self._tensors[tensor].quantization.zeroPoint[0])

    def activation(self, shape: Shape, scale: float | None = None, zero_point: int | None = None) -> int:
        """A tensor computed at run time."""
        if scale is None:
            scale = float(np.exp2(self.rng.uniform(-20, 10) if self._extreme() else self.rng.uniform(-8, -3)))
        if zero_point is None:
            zero_point = int(self.rng.choice([-128, -127, 0, 126, 127]) if self._extreme() else self.rng.integers(-40, 40))
        return self._tensor(shape, schema.TensorType.INT8, 0, self._quantization([scale], [zero_point]))

    def constant(self, values: npt.NDArray[Any], scales: list[float] | None = None, axis: int = 0, zero_point: int = 0) -> int:
        """A stored tensor: int8 or int32, without quantization when `scales` is None."""
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self._buffers.append(buffer)
        quantization = None if scales is None else self._quantization(scales, [zero_point] * len(scales), axis)
        types = {"int8": schema.TensorType.INT8, "int32": schema.TensorType.INT32, "float32": schema.TensorType.FLOAT32}
        return self._tensor(values.shape, types[values.dtype.name], len(self._buffers) - 1, quantization)

    def add_operator(self, code: int, inputs: list[int], output: int, options_type: int = 0, options: Any = None) -> int:
        """Any operator; the output becomes the last tensor."""
        operator = schema.OperatorT()
        if code not in self._opcodes:
            self._opcodes.append(code)
        operator.opcodeIndex = self._opcodes.index(code)
        operator.inputs, operator.outputs = inputs, [output]
        operator.builtinOptionsType, operator.builtinOptions = options_type, options
        self._operators.append(operator)
        self.last = output
        return output

    def dense(self, units: int, activation: int = NO_ACTIVATION, per_channel: bool = True, bias: bool = True) -> int:
        depth = self.shape[-1]
        options = schema.FullyConnectedOptionsT()
        options.fusedActivationFunction = activation
        inputs, output = self._weighted((units, depth), 0, (*self.shape[:-1], units), depth, activation, per_channel, bias)
        return self.add_operator(OPERATORS.FULLY_CONNECTED, inputs, output, OPTIONS.FullyConnectedOptions, options)

    def conv(
        self,
        filters: int,
        kernel: tuple[int, int],
        stride: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
        padding: int = VALID,
        activation: int = NO_ACTIVATION,
        per_channel: bool = True,
        bias: bool = True,
    ) -> int:
        options = schema.Conv2DOptionsT()
        self._set_window(options, stride, dilation, padding, activation)
        depth = self.shape[3]
        out = self._window_shape(kernel, stride, dilation, padding, filters)
        taps = kernel[0] * kernel[1] * depth
        inputs, output = self._weighted((filters, *kernel, depth), 0, out, taps, activation, per_channel, bias)
        return self.add_operator(OPERATORS.CONV_2D, inputs, output, OPTIONS.Conv2DOptions, options)

    def depthwise(
        self,
        multiplier: int,
        kernel: tuple[int, int],
        stride: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
        padding: int = VALID,
        activation: int = NO_ACTIVATION,
        per_channel: bool = True,
        bias: bool = True,
    ) -> int:
        options = schema.DepthwiseConv2DOptionsT()
        self._set_window(options, stride, dilation, padding, activation)
        options.depthMultiplier = multiplier
        filters = self.shape[3] * multiplier
        out = self._window_shape(kernel, stride, dilation, padding, filters)
        inputs, output = self._weighted((1, *kernel, filters), 3, out, kernel[0] * kernel[1], activation, per_channel, bias)
        return self.add_operator(OPERATORS.DEPTHWISE_CONV_2D, inputs, output, OPTIONS.DepthwiseConv2DOptions, options)

    def pool(
        self,
        code: int,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        padding: int = VALID,
        activation: int = NO_ACTIVATION,
    ) -> int:
        options = schema.Pool2DOptionsT()
        options.strideH, options.strideW = stride
        options.filterHeight, options.filterWidth = kernel
        options.padding, options.fusedActivationFunction = padding, activation
        quantization = self._tensors[self.last].quantization
        out = self._window_shape(kernel, stride, (1, 1), padding, self.shape[3])
        output = self.activation(out, float(quantization.scale[0]), int(quantization.zeroPoint[0]))
        return self.add_operator(code, [self.last], output, OPTIONS.Pool2DOptions, options)

    def mean(self, axes: list[int], keep_dims: bool) -> int:
        options = schema.ReducerOptionsT()
        options.keepDims = keep_dims
        reduced = {axis % len(self.shape) for axis in axes}
        kept = [(1 if i in reduced else n) for i, n in enumerate(self.shape) if keep_dims or i not in reduced]
        output = self.activation(tuple(kept), self.scale_of(self.last) * float(self.rng.uniform(0.1, 0.6)))
        inputs = [self.last, self.constant(np.array(axes, np.int32))]
        return self.add_operator(OPERATORS.MEAN, inputs, output, OPTIONS.ReducerOptions, options)

    def add(self, other: int, activation: int = NO_ACTIVATION) -> int:
        """The sum with another tensor; the shorter of the two is repeated."""
        options = schema.AddOptionsT()
        options.fusedActivationFunction = activation
        larger = max(self.scale_of(self.last), self.scale_of(other))
        output = self.activation(self._broadcast(other), larger * float(self.rng.uniform(0.6, 2.5)))
        return self.add_operator(OPERATORS.ADD, [self.last, other], output, OPTIONS.AddOptions, options)

    def mul(self, other: int, activation: int = NO_ACTIVATION) -> int:
        """The product with another tensor; the shorter of the two is repeated."""
        options = schema.MulOptionsT()
        options.fusedActivationFunction = activation
        product = self.scale_of(self.last) * self.scale_of(other)
        output = self.activation(self._broadcast(other), max(product * float(np.exp2(self.rng.uniform(2, 8))), 2**-10))
        return self.add_operator(OPERATORS.MUL, [self.last, other], output, OPTIONS.MulOptions, options)

    def concatenation(self, others: list[int], axis: int) -> int:
        """The last tensor and others behind it; what is of another scale goes through a QUANTIZE, as converters do."""
        options = schema.ConcatenationOptionsT()
        options.axis = axis
        inputs, like = [self.last, *others], self.quantization_of(self.last)
        for i, tensor in enumerate(inputs):
            if self.quantization_of(tensor) != like:
                self.last = tensor
                inputs[i] = self.quantize(*like)
        shape = list(self.shape_of(inputs[0]))
        shape[axis] = sum(self.shape_of(tensor)[axis] for tensor in inputs)
        output = self.activation(tuple(shape), *like)
        return self.add_operator(OPERATORS.CONCATENATION, inputs, output, OPTIONS.ConcatenationOptions, options)

    def pad(self, sides: list[tuple[int, int]]) -> int:
        """`sides`: elements before and after, for every axis."""
        shape = tuple(before + n + after for n, (before, after) in zip(self.shape, sides, strict=True))
        return self._view(OPERATORS.PAD, shape, [self.constant(np.array(sides, np.int32))])

    def quantize(self, scale: float | None = None, zero_point: int | None = None) -> int:
        """int8 to int8 of another scale and zero point."""
        scale = self.scale_of(self.last) * float(np.exp2(self.rng.uniform(-2, 2))) if scale is None else scale
        return self.add_operator(OPERATORS.QUANTIZE, [self.last], self.activation(self.shape, scale, zero_point))

    def reshape(self, shape: Shape) -> int:
        return self._view(OPERATORS.RESHAPE, shape, [self.constant(np.array(shape, np.int32))])

    def expand_dims(self, axis: int) -> int:
        shape = (*self.shape[:axis], 1, *self.shape[axis:])
        return self._view(OPERATORS.EXPAND_DIMS, shape, [self.constant(np.array([axis], np.int32))])

    def squeeze(self, axis: int) -> int:
        options = schema.SqueezeOptionsT()
        options.squeezeDims = [axis]
        shape = (*self.shape[:axis], *self.shape[axis + 1 :])
        return self._view(OPERATORS.SQUEEZE, shape, [], OPTIONS.SqueezeOptions, options)

    def unary(self, code: int) -> int:
        """RELU, RELU6 or LOGISTIC as an operator of its own."""
        if code == OPERATORS.LOGISTIC:
            output = self.activation(self.shape, 1 / 256, -128)
        else:
            scale = self.scale_of(self.last) * float(self.rng.uniform(0.5, 2))
            output = self.activation(self.shape, scale, int(self.rng.integers(-128, -90)))
        return self.add_operator(code, [self.last], output)

    def softmax(self, beta: float = 1.0) -> int:
        options = schema.SoftmaxOptionsT()
        options.beta = beta
        return self.add_operator(
            OPERATORS.SOFTMAX, [self.last], self.activation(self.shape, 1 / 256, -128), OPTIONS.SoftmaxOptions, options
        )

    def build(self, outside: bool = False) -> bytes:
        """The file, with the last operator's output as the model's.

        Args:
            outside: store the constants behind the FlatBuffer, as converters do with large models.
        """
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = self._tensors, self._operators
        graph.inputs, graph.outputs = [self.input], [self.last]
        model = schema.ModelT()
        model.version, model.subgraphs, model.buffers = 3, [graph], self._buffers
        model.operatorCodes = []
        for code in self._opcodes:
            entry = schema.OperatorCodeT()
            entry.deprecatedBuiltinCode, entry.builtinCode, entry.version = min(code, 127), code, 1
            model.operatorCodes.append(entry)
        return self._move_constants(model) if outside else pack(model)

    def _move_constants(self, model: Any) -> bytes:
        """Packs twice: offsets, multiples of 16, are written once the length in front of the constants is known."""
        constants = [b"" if b.data is None else bytes(b.data) for b in self._buffers]
        sizes = [len(data) for data in constants]
        constants = [data + bytes(-len(data) % 16) for data in constants]
        start = 2  # any value above 1, which stands for "inside"
        for _ in range(2):
            moved, at = [], start
            for data, size in zip(constants, sizes, strict=True):
                buffer = schema.BufferT()
                if data:
                    buffer.offset, buffer.size = at, size
                    at += len(data)
                moved.append(buffer)
            model.buffers = moved
            packed = pack(model)
            packed += bytes(-len(packed) % 16)
            start = len(packed)
        return packed + b"".join(constants)

    def _extreme(self) -> bool:
        return self.extremes > 0 and self.rng.random() < self.extremes

    def _broadcast(self, other: int) -> Shape:
        return tuple(int(n) for n in np.broadcast_shapes(self.shape, self.shape_of(other)))

    def _view(self, code: int, shape: Shape, more_inputs: list[int], options_type: int = 0, options: Any = None) -> int:
        quantization = self._tensors[self.last].quantization
        output = self.activation(shape, float(quantization.scale[0]), int(quantization.zeroPoint[0]))
        return self.add_operator(code, [self.last, *more_inputs], output, options_type, options)

    def _tensor(self, shape: Shape, kind: int, buffer: int, quantization: Any) -> int:
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.buffer = list(shape), kind, buffer
        tensor.name, tensor.quantization = f"t{len(self._tensors)}", quantization
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _quantization(self, scales: list[float], zero_points: list[int], axis: int = 0) -> Any:
        quantization = schema.QuantizationParametersT()
        quantization.scale, quantization.zeroPoint = scales, zero_points
        quantization.quantizedDimension = axis
        return quantization

    def _set_window(self, options: Any, stride: Shape, dilation: Shape, padding: int, activation: int) -> None:
        options.strideH, options.strideW = stride
        options.dilationHFactor, options.dilationWFactor = dilation
        options.padding, options.fusedActivationFunction = padding, activation

    def _window_shape(self, kernel: Shape, stride: Shape, dilation: Shape, padding: int, channels: int) -> Shape:
        sides = []
        for size, k, s, d in zip(self.shape[1:3], kernel, stride, dilation, strict=True):
            reach = (k - 1) * d + 1
            sides.append(-(-size // s) if padding == SAME else (size - reach) // s + 1)
        return (1, *sides, channels)

    def _weighted(
        self, shape: Shape, axis: int, out: Shape, taps: int, activation: int, per_channel: bool, bias: bool
    ) -> tuple[list[int], int]:
        """Weights, bias and an output whose scale and zero point use about the whole range."""
        channels = shape[axis]
        scales = [float(s) for s in np.exp2(self.rng.uniform(-10, -6, channels if per_channel else 1)).astype(np.float32)]
        if per_channel and self._extreme():
            scales = [float(s) for s in np.exp2(self.rng.uniform(-24, 0, channels)).astype(np.float32)]
        weights = self.rng.integers(-127, 128, shape, dtype=np.int8)
        if self._extreme():
            weights = self.rng.choice(np.array([-128, -127, 127], np.int8), shape)
        input_scale = self.scale_of(self.last)
        inputs = [self.last, self.constant(weights, scales, axis)]
        spread = 73 * 100 * math.sqrt(taps)
        if bias:
            biases = self.rng.normal(0, spread / 2, channels).astype(np.int32)
            if self._extreme():
                biases = self.rng.integers(-(1 << 30), 1 << 30, channels).astype(np.int32)
            inputs.append(self.constant(biases, [input_scale * scale for scale in scales]))
        scale = input_scale * float(np.median(scales)) * spread / 60 * float(self.rng.uniform(0.5, 2))
        if self._extreme():
            scale *= float(np.exp2(self.rng.uniform(-8, 8)))
        scale = max(scale, 2**-28)  # TFLM refuses bounds of activations beyond 32 bits
        if activation == RELU_N1_TO_1:
            applicable = input_scale * max(scales) * 2.0**-30  # a larger factor cannot be applied, by TFLM either
            return inputs, self.activation(out, max(min(scale, 1 / 40), applicable))
        zero_point = None if activation == NO_ACTIVATION or self._extreme() else int(self.rng.integers(-128, -90))
        return inputs, self.activation(out, scale, zero_point)
