"""A small .tflite as plain C, for chips whose flash is not in the data space: no FlatBuffer, no engine, PROGMEM on AVR.

Takes chains of FULLY_CONNECTED, SOFTMAX and RESHAPE, int8 in and out. The C gives TensorFlow Lite Micro's bytes: multipliers
are worked out here as its kernels work them out, zero points are folded into the biases, and the exponentials of a softmax,
of which there are 256 at most, become a table.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from whir_ml.errors import ExportError

NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
INT32_MAX = (1 << 31) - 1
SOFTMAX_DEPTH_MAX = 4095
# of the differences to the largest element, left of the point
DIFF_INTEGER_BITS = 5


@dataclass(frozen=True)
class Dense:
    """One fully connected layer as its loop needs it: per output a bias (zero point folded in), a multiplier and a shift."""

    weights: np.ndarray[Any, np.dtype[np.int8]]  # (outputs, inputs)
    bias: tuple[int, ...]
    multiplier: tuple[int, ...]
    shift: tuple[int, ...]
    zero_point: int
    low: int
    high: int

    @property
    def outputs(self) -> int:
        return len(self.bias)

    @property
    def table_bytes(self) -> int:
        return int(self.weights.size) + 9 * self.outputs


@dataclass(frozen=True)
class Softmax:
    """exp of each difference to the largest element, 0, -1, …, as Q0.31; beyond the table it is nothing."""

    exponentials: tuple[int, ...]
    outputs: int

    @property
    def table_bytes(self) -> int:
        return 4 * len(self.exponentials)


@dataclass(frozen=True)
class PlainModel:
    """A chain of layers that stands on its own."""

    input_bytes: int
    layers: tuple[Dense | Softmax, ...]

    @property
    def table_bytes(self) -> int:
        """Constants: what a model file is to the engine."""
        return sum(layer.table_bytes for layer in self.layers)

    @property
    def work_bytes(self) -> int:
        """Two halves: each layer reads one and writes the other; the last writes the output."""
        return self._half(0) + self._half(1)

    def _half(self, which: int) -> int:
        return max((layer.outputs for layer in self.layers[:-1][which::2]), default=0)

    def _place(self, layer: int) -> str:
        """Where layer `layer` leaves its outputs; -1 is the input."""
        if layer < 0:
            return "input"
        if layer == len(self.layers) - 1:
            return "output"
        return f"work + {self._half(0)}" if layer % 2 else "work"

    def header(self, name: str) -> str:
        """NAME.h."""
        upper = name.upper()
        return HEADER.format(
            name=name, upper=upper, input=self.input_bytes, output=self.layers[-1].outputs, work=max(1, self.work_bytes)
        )

    def source(self, name: str) -> str:
        """NAME.c."""
        kinds = {type(layer) for layer in self.layers}
        parts = [SOURCE_HEAD.format(name=name)]
        parts += [SOURCE_DENSE] if Dense in kinds else []
        parts += [SOURCE_SOFTMAX] if Softmax in kinds else []
        calls = []
        for i, layer in enumerate(self.layers):
            place = f"{self._place(i - 1)}, {self._place(i)}"
            if isinstance(layer, Dense):
                parts += [
                    _table("int8_t", f"W{i}", layer.weights.ravel().tolist()),
                    _table("int32_t", f"BIAS{i}", layer.bias),
                    _table("int32_t", f"MULTIPLIER{i}", layer.multiplier),
                    _table("int8_t", f"SHIFT{i}", layer.shift),
                    f"static const dense_t DENSE{i} = {{W{i}, BIAS{i}, MULTIPLIER{i}, SHIFT{i}, {layer.weights.shape[1]}, "
                    f"{layer.outputs}, {layer.zero_point}, {layer.low}, {layer.high}}};\n\n",
                ]
                calls.append(f"    dense(&DENSE{i}, {place});\n")
            else:
                parts.append(_table("int32_t", f"EXP{i}", layer.exponentials))
                calls.append(f"    softmax(EXP{i}, {len(layer.exponentials)}, {layer.outputs}, {place});\n")
        unused = "" if self.work_bytes else "    (void)work;\n"
        parts.append(f"void {name}_run(const int8_t *input, int8_t *output, int8_t *work)\n{{\n{unused}{''.join(calls)}}}\n")
        return "".join(parts)


def write(model: bytes, folder: Path, name: str) -> PlainModel:
    """NAME.c and NAME.h in `folder`.

    Raises:
        ExportError: not a .tflite, an operator other than FULLY_CONNECTED, SOFTMAX and RESHAPE, or a name that is not one in C.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ExportError(f"{name!r} cannot be a name in C: lower-case letters, digits and _")
    plain = read(model)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.h").write_text(plain.header(name))
    (folder / f"{name}.c").write_text(plain.source(name))
    return plain


def read(model: bytes) -> PlainModel:
    """The layers of a .tflite; ExportError as `write`."""
    if model[4:8] != b"TFL3":
        raise ExportError("not a .tflite file")
    try:
        tree = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
        graph = tree.subgraphs[0]
        for buffer in tree.buffers:
            if buffer.offset > 1:  # constants behind the FlatBuffer
                buffer.data = np.frombuffer(model, np.uint8, buffer.size, buffer.offset)
        return _chain(tree, graph)
    except ExportError:
        raise
    except Exception as error:  # whatever broken offsets lead to in the FlatBuffer reader
        raise ExportError(f"not a readable .tflite file: {error!r}") from error


def _chain(tree: Any, graph: Any) -> PlainModel:
    at, end = int(graph.inputs[0]), int(graph.outputs[0])
    start = at
    if _elements(graph.tensors[at]) == 0 or graph.tensors[at].shape[0] != 1:
        raise ExportError("the batch is not 1")
    layers: list[Dense | Softmax] = []
    for op in graph.operators:
        code = tree.operatorCodes[op.opcodeIndex]
        name = NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]
        if int(op.inputs[0]) != at:
            raise ExportError(f"{name} does not take what the operator before gives: only chains become plain C")
        source, at = graph.tensors[at], int(op.outputs[0])
        target = graph.tensors[at]
        for tensor in (source, target):
            if tensor.type != schema.TensorType.INT8:
                raise ExportError(f"{name}: a tensor is not int8")
        if name == "FULLY_CONNECTED":
            layers.append(_dense(tree, graph, op, source, target))
        elif name == "SOFTMAX":
            layers.append(_softmax(op, source, target))
        elif name != "RESHAPE":
            raise ExportError(f"{name} is not for plain C (FULLY_CONNECTED, SOFTMAX and RESHAPE are); whir_nn has more")
    if at != end or not layers:
        raise ExportError("the last operator does not give the model's output")
    return PlainModel(_elements(graph.tensors[start]), tuple(layers))


def _elements(tensor: Any) -> int:
    return int(np.prod(tensor.shape))


def _dense(tree: Any, graph: Any, op: Any, source: Any, target: Any) -> Dense:
    options = op.builtinOptions
    weights_tensor = graph.tensors[op.inputs[1]]
    data = tree.buffers[weights_tensor.buffer].data
    if weights_tensor.type != schema.TensorType.INT8 or data is None or options.weightsFormat != 0:
        raise ExportError("FULLY_CONNECTED: its weights are not constant int8")
    weights = np.asarray(data, np.uint8).view(np.int8).reshape(weights_tensor.shape)
    if weights.shape[1] != _elements(source):
        raise ExportError("FULLY_CONNECTED: more than one row")
    bias = np.zeros(len(weights), np.int64)
    if len(op.inputs) > 2 and op.inputs[2] >= 0:
        bias += np.asarray(tree.buffers[graph.tensors[op.inputs[2]].buffer].data, np.uint8).view("<i4")
    folded = bias - int(source.quantization.zeroPoint[0]) * weights.astype(np.int64).sum(axis=1)
    scales = np.broadcast_to(weights_tensor.quantization.scale, len(weights))
    factors = [_factor(_scale(source) * float(s) / _scale(target)) for s in scales]
    low, high = _activation(options.fusedActivationFunction, target)
    return Dense(
        weights=weights,
        bias=tuple(int(v) for v in folded.astype(np.int32)),
        multiplier=tuple(m for m, _ in factors),
        shift=tuple(s for _, s in factors),
        zero_point=int(target.quantization.zeroPoint[0]),
        low=low,
        high=high,
    )


def _scale(tensor: Any) -> float:
    return float(np.float32(tensor.quantization.scale[0]))


def _factor(real: float) -> tuple[int, int]:
    """`real` as multiplier / 2^31 * 2^shift, as QuantizeMultiplier has it."""
    fraction, shift = math.frexp(real)
    multiplier = math.floor(fraction * (1 << 31) + 0.5)
    if multiplier == 1 << 31:
        multiplier, shift = multiplier // 2, shift + 1
    if shift < -31:
        multiplier, shift = 0, 0
    if shift > 30:
        raise ExportError("FULLY_CONNECTED: a factor of 2^30 and more")
    return multiplier, shift


def _activation(kind: int, target: Any) -> tuple[int, int]:
    """What the fused activation leaves of -128..127."""
    zero, scale = int(target.quantization.zeroPoint[0]), np.float32(target.quantization.scale[0])
    limits = {
        schema.ActivationFunctionType.NONE: (None, None),
        schema.ActivationFunctionType.RELU: (0.0, None),
        schema.ActivationFunctionType.RELU_N1_TO_1: (-1.0, 1.0),
        schema.ActivationFunctionType.RELU6: (0.0, 6.0),
    }
    if kind not in limits:
        raise ExportError("FULLY_CONNECTED: an activation other than RELU, RELU6 and RELU_N1_TO_1")

    def quantized(value: float) -> int:
        steps = float(np.float32(value) / scale)
        return zero + int(math.copysign(math.floor(abs(steps) + 0.5), steps))

    low, high = limits[kind]
    return (
        -128 if low is None else max(-128, quantized(low)),
        127 if high is None else min(127, quantized(high)),
    )


def _softmax(op: Any, source: Any, target: Any) -> Softmax:
    depth = int(source.shape[-1])
    if depth != _elements(source) or depth > SOFTMAX_DEPTH_MAX:
        raise ExportError("SOFTMAX: more than one row, or more than 4,095 classes")
    if _scale(target) != 1 / 256 or int(target.quantization.zeroPoint[0]) != -128:
        raise ExportError("SOFTMAX: the output's scale is not 1/256")
    steepness = float(np.float32(op.builtinOptions.beta)) * _scale(source) * (1 << (31 - DIFF_INTEGER_BITS))
    fraction, shift = math.frexp(min(steepness, float(INT32_MAX)))
    multiplier = math.floor(fraction * (1 << 31) + 0.5)
    if multiplier == 1 << 31:
        multiplier, shift = multiplier // 2, shift + 1
    if shift < 0:
        raise ExportError("SOFTMAX: a factor under 1")
    lowest = min(255, (31 << (31 - DIFF_INTEGER_BITS)) >> shift)
    return Softmax(tuple(_exp(_high_mul(-d << shift, multiplier)) for d in range(lowest + 1)), depth)


def _high_mul(a: int, b: int) -> int:
    return (a * b + (1 << 30)) >> 31


def _divide_pot(x: int, bits: int) -> int:
    mask = (1 << bits) - 1
    return (x >> bits) + int((x & mask) > (mask >> 1) + int(x < 0))


def _exp(a: int) -> int:
    """exp(a) as Q0.31 for a <= 0 in Q5.26, step by step as the reference kernel's fixed point."""
    if a == 0:
        return INT32_MAX
    quarter = 1 << (29 - DIFF_INTEGER_BITS)
    in_quarter = (a & (quarter - 1)) - quarter
    rest = in_quarter - a
    x = (in_quarter << DIFF_INTEGER_BITS) + (1 << 28)
    x2 = _high_mul(x, x)
    x3, x4 = _high_mul(x2, x), _high_mul(x2, x2)
    series = _divide_pot(_high_mul(_divide_pot(x4, 2) + x3, 715827883) + x2, 1)
    result = 1895147668 + _high_mul(1895147668, x + series)
    for k, factor in enumerate((1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)):
        if rest & (quarter << k):
            result = _high_mul(result, factor)
    return result


def _table(kind: str, name: str, values: Iterable[int]) -> str:
    """A constant array, lines under 128 columns."""
    texts = [f"{v:d}" if v != -(1 << 31) else "INT32_MIN" for v in values]
    lines, line = [], "   "
    for text in texts:
        if len(line) + len(text) + 2 > 120:
            lines.append(line)
            line = "   "
        line += f" {text},"
    body = "\n".join([*lines, line])
    return f"static const {kind} {name}[{len(texts)}] PROGMEM = {{\n{body}\n}};\n\n"


HEADER = """\
/* Made by `whir export --c`. */
#ifndef {upper}_H
#define {upper}_H

#include <stdint.h>

#define {upper}_INPUT_BYTES {input}
#define {upper}_OUTPUT_BYTES {output}
#define {upper}_WORK_BYTES {work}

/* One inference. `work` is the caller's, of {upper}_WORK_BYTES; nothing is kept from run to run. */
void {name}_run(const int8_t *input, int8_t *output, int8_t *work);

#endif
"""

SOURCE_HEAD = """\
/* Made by `whir export --c`. */
#include "{name}.h"

#ifdef __AVR__
#include <avr/pgmspace.h>
#define READ_8(at) ((int8_t)pgm_read_byte(at))
#define READ_32(at) ((int32_t)pgm_read_dword(at))
#else
#define PROGMEM
#define READ_8(at) (*(at))
#define READ_32(at) (*(at))
#endif

/* 2 a b / 2^32, rounded to nearest, halves upwards; in products of 16 bits, which small chips have. */
static int32_t high_mul(int32_t a, int32_t b)
{{
    uint8_t negative = (a < 0) != (b < 0);
    uint32_t x = a < 0 ? 0u - (uint32_t)a : (uint32_t)a, y = b < 0 ? 0u - (uint32_t)b : (uint32_t)b;
    uint16_t x_low = (uint16_t)x, x_high = (uint16_t)(x >> 16), y_low = (uint16_t)y, y_high = (uint16_t)(y >> 16);
    uint32_t low = (uint32_t)x_low * y_low, high = (uint32_t)x_high * y_high;
    uint32_t mid = (uint32_t)x_high * y_low + (low >> 16);
    uint32_t mid2 = (uint32_t)x_low * y_high + (uint16_t)mid;

    high += (mid >> 16) + (mid2 >> 16);
    low = (mid2 << 16) | (uint16_t)low;
    mid = low + (UINT32_C(1) << 30) - negative;
    high = ((high + (mid < low)) << 1) | (mid >> 31);
    return (int32_t)(negative ? 0u - high : high);
}}

/* x / 2^bits, rounded to nearest, halves away from zero. */
static int32_t divide_pot(int32_t x, uint8_t bits)
{{
    int32_t mask = (int32_t)((UINT32_C(1) << bits) - 1u);

    return (x >> bits) + ((x & mask) > (mask >> 1) + (x < 0));
}}

"""

SOURCE_DENSE = """\
typedef struct dense {
    const int8_t *weights;
    const int32_t *bias, *multiplier;
    const int8_t *shift;
    uint16_t inputs, outputs;
    int8_t zero_point, low, high;
} dense_t;

static void dense(const dense_t *layer, const int8_t *in, int8_t *out)
{
    const int8_t *w = layer->weights;

    for (uint16_t o = 0; o < layer->outputs; o++) {
        int32_t sum = READ_32(layer->bias + o), multiplier = READ_32(layer->multiplier + o);
        int8_t shift = READ_8(layer->shift + o);

        for (uint16_t i = 0; i < layer->inputs; i++) {
            sum += (int16_t)(in[i] * READ_8(w++));
        }
        if (shift > 0) {
            sum = high_mul((int32_t)((uint32_t)sum << shift), multiplier);
        } else {
            sum = divide_pot(high_mul(sum, multiplier), (uint8_t)-shift);
        }
        sum += layer->zero_point;
        out[o] = (int8_t)(sum < layer->low ? layer->low : sum > layer->high ? layer->high : sum);
    }
}

"""

SOURCE_SOFTMAX = """\
/* x * 2^bits, saturated. */
static int32_t saturating_left(int32_t x, uint8_t bits)
{
    int32_t limit = (INT32_C(1) << (31 - bits)) - 1;

    return x > limit ? INT32_MAX : x < -limit ? INT32_MIN : (int32_t)((uint32_t)x << bits);
}

/* 1 / (1 + a), both Q0.31: Newton's division from the linear start 48/17 - 32/17 d. */
static int32_t one_over_one_plus(int32_t a)
{
    int32_t half = (int32_t)(((uint32_t)a + UINT32_C(0x80000000)) >> 1);
    int32_t x = INT32_C(1515870810) + high_mul(half, INT32_C(-1010580540));

    for (uint8_t i = 0; i < 3; i++) {
        x += saturating_left(high_mul(x, (INT32_C(1) << 29) - high_mul(half, x)), 2);
    }
    return saturating_left(x, 1);
}

static void softmax(const int32_t *exponentials, uint16_t entries, uint16_t depth, const int8_t *in, int8_t *out)
{
    int32_t sum = 0, scale;
    int16_t largest = -128;
    uint8_t headroom = 0;

    for (uint16_t i = 0; i < depth; i++) {
        largest = in[i] > largest ? in[i] : largest;
    }
    for (uint16_t i = 0; i < depth; i++) {
        uint16_t diff = (uint16_t)(largest - in[i]);

        sum += diff < entries ? divide_pot(READ_32(exponentials + diff), 12) : 0;
    }
    while (((uint32_t)sum << headroom) < UINT32_C(0x80000000)) {
        headroom++;
    }
    scale = one_over_one_plus((int32_t)(((uint32_t)sum << headroom) - UINT32_C(0x80000000)));
    for (uint16_t i = 0; i < depth; i++) {
        uint16_t diff = (uint16_t)(largest - in[i]);
        int32_t y = -128;

        if (diff < entries) {
            y += divide_pot(high_mul(scale, READ_32(exponentials + diff)), (uint8_t)(12 + 31 - 8 - headroom));
        }
        out[i] = (int8_t)(y > 127 ? 127 : y);
    }
}

"""
