"""A file that is not a sound model gets its own error, never a crash and never a read outside."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tflite_nets import OPERATORS, OPTIONS, RELU, RELU6, SAME, Net, build_with_engine, schema

from whir_contracts.contract import ErrorCode
from whir_node.engine import Engine, planned
from whir_node.errors import EngineError

MUTANTS_PER_MODEL = 10_000


def every_operator() -> Net:
    """A net in which every operator of the engine occurs."""
    net = Net(np.random.default_rng(11), (1, 12, 2))
    net.expand_dims(1)
    net.conv(4, (1, 3), (1, 2), padding=SAME, activation=RELU)
    trunk = net.last
    net.depthwise(1, (1, 3), padding=SAME)
    net.add(trunk, RELU6)
    net.pool(OPERATORS.MAX_POOL_2D, (1, 2), (1, 2))
    net.depthwise(2, (1, 2), per_channel=False)
    net.unary(OPERATORS.RELU)
    net.pool(OPERATORS.AVERAGE_POOL_2D, (1, 2), (1, 1), SAME)
    net.unary(OPERATORS.RELU6)
    net.squeeze(1)
    net.pad([(0, 0), (1, 2), (0, 0)])
    trunk = net.last
    net.quantize()
    net.concatenation([trunk], -2)
    net.mean([1], keep_dims=False)
    net.unary(OPERATORS.LOGISTIC)
    net.mul(net.constant(np.arange(8, dtype=np.int8), [0.1]))
    net.reshape((1, 2, 4))
    net.dense(3, per_channel=False)
    net.reshape((1, 6))
    net.dense(4, bias=False)
    net.softmax()
    return net


def small() -> Net:
    net = Net(np.random.default_rng(12), (1, 8))
    net.dense(6, RELU)
    net.dense(3)
    net.softmax()
    return net


def refusal(model: bytes) -> EngineError:
    with pytest.raises(EngineError) as caught:
        Engine(model)
    return caught.value


def test_a_net_of_every_operator_is_accepted() -> None:
    assert Engine(every_operator().build()).info.output_bytes == 4


def test_every_cut_of_a_model_is_refused() -> None:
    model = small().build()
    for length in range(0, len(model), 7):
        assert refusal(model[:length]).code == ErrorCode.NN_SCHEMA


def test_another_file_is_refused_at_its_identifier() -> None:
    error = refusal(b"\x10\0\0\0ABCD" + bytes(100))
    assert (error.code, error.place) == (ErrorCode.NN_SCHEMA, "file offset 4")


def test_an_operator_that_the_engine_lacks_is_named_by_its_place() -> None:
    net = small()
    net.add_operator(OPERATORS.TANH, [net.last], net.activation(net.shape, 1 / 128, 0))
    error = refusal(net.build())
    assert (error.code, error.place) == (ErrorCode.NN_OP, "operator 3, TANH")


def test_a_dynamic_batch_is_refused() -> None:
    """As converters write it for an unknown batch: the shape is computed from the input's."""
    net = Net(np.random.default_rng(1), (1, 8))
    shape = net.constant(np.zeros(2, np.int32))
    net.add_operator(OPERATORS.SHAPE, [net.input], shape)
    assert refusal(net.build()).code == ErrorCode.NN_OP


def test_more_than_one_input_at_a_time_is_refused() -> None:
    net = Net(np.random.default_rng(1), (2, 8))
    net.dense(3)
    assert refusal(net.build()).code == ErrorCode.NN_SHAPE


def test_too_many_operators_are_refused_with_their_number() -> None:
    net = Net(np.random.default_rng(1), (1, 4))
    for _ in range(129):
        net.unary(OPERATORS.RELU6)
    error = refusal(net.build())
    assert (error.code, error.place) == (ErrorCode.SPACE, "operator 129")


def float_input(net: Net) -> None:
    net._tensors[net.input].type = schema.TensorType.FLOAT32


def no_scale(net: Net) -> None:
    net._tensors[net.input].quantization = None


def scale_nan(net: Net) -> None:
    net._tensors[net.last].quantization.scale = [float("nan")]


def zero_point_out_of_range(net: Net) -> None:
    net._tensors[net.input].quantization.zeroPoint = [1 << 32]


def stride_zero(net: Net) -> None:
    first(net, schema.Conv2DOptionsT).strideW = 0


def unknown_activation(net: Net) -> None:
    first(net, schema.Conv2DOptionsT).fusedActivationFunction = 5


def foreign_options(net: Net) -> None:
    net._operators[-1].builtinOptionsType = OPTIONS.AddOptions
    net._operators[-1].builtinOptions = schema.AddOptionsT()


def wrong_output_width(net: Net) -> None:
    operator = next(o for o in net._operators if isinstance(o.builtinOptions, schema.Conv2DOptionsT))
    net._tensors[operator.outputs[0]].shape[2] += 1


def used_before_given(net: Net) -> None:
    net._operators.insert(0, net._operators.pop())


def tensor_outside(net: Net) -> None:
    net._operators[0].inputs = [len(net._tensors)]


def first(net: Net, kind: type) -> Any:
    return next(o.builtinOptions for o in net._operators if isinstance(o.builtinOptions, kind))


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (float_input, ErrorCode.NN_TYPE),
        (no_scale, ErrorCode.NN_QUANT),
        (scale_nan, ErrorCode.NN_QUANT),
        (zero_point_out_of_range, ErrorCode.NN_QUANT),
        (stride_zero, ErrorCode.NN_OPTION),
        (unknown_activation, ErrorCode.NN_OPTION),
        (foreign_options, ErrorCode.NN_OPTION),
        (wrong_output_width, ErrorCode.NN_SHAPE),
        (used_before_given, ErrorCode.NN_SCHEMA),
        (tensor_outside, ErrorCode.NN_SCHEMA),
    ],
)
def test_each_kind_of_damage_has_its_error(spoil: Callable[[Net], None], code: ErrorCode) -> None:
    net = every_operator()
    spoil(net)
    assert refusal(net.build()).code == code


def test_weights_that_are_longer_than_the_file_are_refused() -> None:
    """All shapes agree with the stated length: only the file's end speaks against it."""
    net = Net(np.random.default_rng(1), (1, 8))
    net.dense(6, per_channel=False, bias=False)
    weights, output = net._operators[0].inputs[1], net.last
    stored = bytes(net._buffers[net._tensors[weights].buffer].data)
    net._tensors[weights].shape, net._tensors[output].shape = [6000, 8], [1, 6000]
    model = net.build().replace(len(stored).to_bytes(4, "little") + stored, (8 * 6000).to_bytes(4, "little") + stored)
    assert refusal(model).code == ErrorCode.NN_SCHEMA


def test_a_constant_that_reaches_beyond_the_file_is_refused() -> None:
    model = small().build(outside=True)
    assert Engine(model).info.input_bytes == 8
    assert refusal(model[:-16]).code == ErrorCode.NN_SCHEMA


def test_an_offset_beyond_four_gigabytes_is_refused() -> None:
    """Its low half is an offset that would do."""
    net = small()
    model = net.build(outside=True)
    stored = bytes(net._buffers[net._tensors[net._operators[0].inputs[1]].buffer].data)
    offset = model.index(stored)
    moved = model.replace(offset.to_bytes(8, "little"), (offset + (1 << 32)).to_bytes(8, "little"))
    assert moved != model
    assert refusal(moved).code == ErrorCode.NN_SCHEMA


def test_a_bias_that_is_not_aligned_is_refused() -> None:
    """As is one in a vector: small cores cannot load it."""
    net = small()
    model = net.build(outside=True)
    bias = net._buffers[net._tensors[net._operators[0].inputs[2]].buffer]
    stored = bytes(bias.data)
    offset = model.index(stored)
    moved = model.replace(offset.to_bytes(8, "little"), (offset + 2).to_bytes(8, "little"))
    assert moved != model
    assert refusal(moved).code == ErrorCode.NN_SCHEMA


def test_mutants_are_refused_or_run_without_a_fault_and_alike_in_every_build(tmp_path: Path) -> None:
    models = []
    every, few = every_operator().build(), small().build()
    for name, model in (("every", every), ("small", few), ("planned", planned(every))):
        models.append(tmp_path / f"{name}.tflite")
        models[-1].write_bytes(model)
    checked = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    outputs = []
    fast = "-DWHIR_NN_FAST"
    for name, flags in (("default", ["-O2"]), ("checked", checked), ("small", ["-Os"]), ("fast", [*checked, fast])):
        program = build_with_engine("nn_mutate.c", tmp_path / name, flags)
        done = subprocess.run(
            [program, "1", str(MUTANTS_PER_MODEL), *models], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr[:2000]
        outputs.append(done.stdout)
    assert outputs == outputs[:1] * 4
    counts = dict(line.split() for line in outputs[0].splitlines()[:-1])
    assert sum(map(int, counts.values())) == len(models) * MUTANTS_PER_MODEL
    codes = (ErrorCode.NN_SCHEMA, ErrorCode.NN_OP, ErrorCode.NN_TYPE, ErrorCode.NN_SHAPE, ErrorCode.NN_QUANT)
    for code in (*codes, ErrorCode.NN_PLAN, 0):
        assert int(counts[str(int(code))]) > 0, f"no mutant reached {code}"
