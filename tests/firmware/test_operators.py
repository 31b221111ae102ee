"""A model's operators by name; a refusal says which one, and what to do about it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tflite_nets import OPERATORS, OPTIONS, ROOT, Net, build_with_engine, pack, schema

from whir_contracts.contract import ErrorCode
from whir_node.engine import Engine, planned
from whir_node.errors import EngineError
from whir_node.library import lib
from whir_node.operators import NAMES, config_header, outline


def net() -> Net:
    net = Net(np.random.default_rng(1), (1, 8))
    net.dense(4)
    net.dense(2)
    return net


def refusal(net: Net) -> EngineError:
    with pytest.raises(EngineError) as caught:
        Engine(net.build())
    return caught.value


def test_names_are_the_schemas() -> None:
    for code, name in enumerate(NAMES):
        assert getattr(OPERATORS, name) == code


def test_the_engine_has_the_operators_that_its_header_names() -> None:
    listed = (ROOT / "firmware/core/src/nn_ops.h").read_text().partition("#define WHIR_NN_EVERY_OP(OP)")[2]
    ours = {name.lower().removesuffix("_2d") for code, name in enumerate(NAMES) if lib.host_nn_has(code)}
    assert ours == set(re.findall(r"\bOP\((\w+)\)", listed))
    assert len(ours) == 18


def test_an_outline_names_every_operator_in_order() -> None:
    whole = net()
    whole.softmax()
    found = outline(whole.build())
    assert (found.inputs, found.outputs, found.batch) == (1, 1, 1)
    assert found.operators == ("FULLY_CONNECTED", "FULLY_CONNECTED", "SOFTMAX")
    assert found.operator_set == ("FULLY_CONNECTED", "SOFTMAX")


def test_an_outline_of_another_file_is_refused() -> None:
    with pytest.raises(EngineError):
        outline(b"")
    with pytest.raises(EngineError):
        outline(net().build()[:200])


def test_operators_that_the_engine_lacks_are_named_with_the_way_out() -> None:
    lacking = net()
    lacking.add_operator(OPERATORS.TANH, [lacking.last], lacking.activation(lacking.shape, 1 / 128, 0))
    lacking.add_operator(OPERATORS.CUMSUM, [lacking.last], lacking.activation(lacking.shape, 1 / 128, 0))
    error = refusal(lacking)
    assert error.place == "operator 2, TANH"
    assert str(error).endswith("whir_nn has no TANH, CUMSUM; run this model with TensorFlow Lite Micro")


def test_a_shape_computed_from_the_batch_says_how_to_fix_it() -> None:
    dynamic = Net(np.random.default_rng(1), (1, 8))
    dynamic.add_operator(OPERATORS.SHAPE, [dynamic.input], dynamic.constant(np.zeros(2, np.int32)))
    assert "batch_size=1" in refusal(dynamic).hint


def test_a_slice_that_is_not_of_the_batch_is_an_operator_as_any_other() -> None:
    sliced = Net(np.random.default_rng(1), (1, 8))
    sliced.add_operator(OPERATORS.STRIDED_SLICE, [sliced.input], sliced.activation((1, 4)))
    assert "no STRIDED_SLICE" in refusal(sliced).hint


@pytest.mark.parametrize("batch", [-1, 2])
def test_an_open_or_larger_batch_says_how_to_fix_it(batch: int) -> None:
    dynamic = net()
    dynamic._tensors[dynamic.input].shape = [batch, 8]
    error = refusal(dynamic)
    assert (error.code, "batch_size=1" in error.hint) == (ErrorCode.NN_SHAPE, True)


def test_floating_point_says_how_to_convert() -> None:
    floats = net()
    floats._tensors[floats.input].type = schema.TensorType.FLOAT32
    error = refusal(floats)
    assert (error.code, "TFLITE_BUILTINS_INT8" in error.hint) == (ErrorCode.NN_TYPE, True)


def test_a_second_input_is_told_as_such() -> None:
    two: Any = net()
    packed = schema.ModelT.InitFromObj(schema.Model.GetRootAs(two.build(), 0))
    packed.subgraphs[0].inputs = [two.input, two.activation((1, 8))]
    packed.subgraphs[0].tensors = two._tensors
    with pytest.raises(EngineError, match="this model has 2 and 1"):
        Engine(pack(packed))


def test_a_config_header_compiles_in_these_operators_and_no_others(tmp_path: Path) -> None:
    header = tmp_path / "ops.h"
    header.write_text(config_header("net", outline(net().build()).operator_set))
    program = build_with_engine("nn_run.c", tmp_path / "nn_run", ["-include", str(header)])
    whole = net()
    models = []
    for name in ("with", "without"):
        models.append(tmp_path / f"{name}.tflite")
        models[-1].write_bytes(planned(whole.build()))
        models[-1].with_suffix(".tflite.in").write_bytes(bytes(8))
        whole.softmax()
    assert subprocess.run([program, models[0]], check=False).returncode == 0
    done = subprocess.run([program, models[1]], capture_output=True, text=True, check=False)
    assert (done.returncode, f"error {int(ErrorCode.NN_OP)} at 2" in done.stderr) == (1, True)


def mean_over_axes_with_others_between() -> Net:
    apart = Net(np.random.default_rng(1), (1, 3, 4, 2))
    apart.mean([1, 3], keep_dims=True)
    return apart


def sum_repeated_along_an_inner_axis() -> Net:
    spatial = Net(np.random.default_rng(1), (1, 3, 4, 2))
    spatial.add(spatial.constant(np.zeros((1, 3, 4, 1), np.int8), [0.1]))
    return spatial


def softmax_of_another_output_scale() -> Net:
    steep = Net(np.random.default_rng(1), (1, 4))
    steep.add_operator(
        OPERATORS.SOFTMAX,
        [steep.last],
        steep.activation((1, 4), 1 / 128, -128),
        OPTIONS.SoftmaxOptions,
        schema.SoftmaxOptionsT(),
    )
    return steep


def too_many_operators() -> Net:
    long = Net(np.random.default_rng(1), (1, 4))
    for _ in range(129):
        long.unary(OPERATORS.RELU)
    return long


@pytest.mark.parametrize(
    ("make", "place", "hint"),
    [
        (mean_over_axes_with_others_between, "operator 0, MEAN", "neighbouring axes only"),
        (sum_repeated_along_an_inner_axis, "operator 0, ADD", "the shorter is repeated as a whole"),
        (softmax_of_another_output_scale, "operator 0, SOFTMAX", "no SOFTMAX of this form"),
        (too_many_operators, "operator 129", "at most 128 operators"),
    ],
)
def test_an_operator_in_another_form_names_its_place_and_the_way_out(make: Callable[[], Net], place: str, hint: str) -> None:
    error = refusal(make())
    assert error.place == place
    assert hint in error.hint
    assert "TensorFlow Lite Micro" in error.hint
