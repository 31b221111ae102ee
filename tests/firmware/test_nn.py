"""The engine behind the inference seam, in C, with sanitizers."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tflite_nets import OPERATORS, RELU, SAME, Net, build_with_engine

from whir_node.engine import Engine


def test_the_seam_keeps_its_promises(tmp_path: Path) -> None:
    net = Net(np.random.default_rng(3), (1, 6, 8, 2))
    net.conv(5, (3, 3), padding=SAME, activation=RELU)
    net.mean([1, 2], keep_dims=False)
    net.dense(4)
    model = tmp_path / "model.tflite"
    model.write_bytes(net.build())
    program = build_with_engine("nn_seam.c", tmp_path / "nn_seam", ["-O1", "-fsanitize=address,undefined"])
    done = subprocess.run([program, model], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_inputs_of_another_type_or_size_are_refused() -> None:
    net = Net(np.random.default_rng(3), (1, 6))
    net.dense(4)
    engine = Engine(net.build())
    assert engine.run(np.zeros((0, 6), np.int8)).shape == (0, 4)
    assert engine.run(np.zeros((3, 2, 3), np.int8)).shape == (3, 4)
    with pytest.raises(ValueError, match="float64"):
        engine.run(np.zeros((1, 6)))
    with pytest.raises(ValueError, match="rows of 6 bytes"):
        engine.run(np.zeros((6, 4), np.int8))


def test_tensors_that_are_never_in_use_together_share_memory() -> None:
    """Six layers of 64 bytes: two of them are alive at a time."""
    net = Net(np.random.default_rng(3), (1, 64))
    for _ in range(6):
        net.dense(64, per_channel=False, bias=False)
    layers = 6 * 56
    assert Engine(net.build()).info.arena_bytes == layers + 2 * 64


def tensors_at_a_time(make: Callable[[Net], None]) -> int:
    """How many tensors of the net share the arena at the worst moment: what it grows by when all of them grow by one byte."""

    def arena_bytes(width: int) -> int:
        net = Net(np.random.default_rng(3), (1, 1, width, 1))
        make(net)
        return Engine(net.build()).info.arena_bytes

    return (arena_bytes(128) - arena_bytes(64)) // 64


def ones(net: Net) -> int:
    return net.constant(np.ones(net.shape, np.int8), [0.1])


@pytest.mark.parametrize(
    "operator",
    [
        lambda net: net.unary(OPERATORS.RELU),
        lambda net: net.unary(OPERATORS.RELU6),
        lambda net: net.unary(OPERATORS.LOGISTIC),
        lambda net: net.quantize(),
        lambda net: net.reshape((1, *reversed(net.shape[1:]))),
        lambda net: net.add(ones(net)),
        lambda net: net.mul(ones(net)),
        lambda net: net.add(net.last),
        lambda net: net.softmax(),
    ],
)
def test_an_operator_that_may_work_in_place_does(operator: Callable[[Net], int]) -> None:
    def twice(net: Net) -> None:
        operator(net)
        operator(net)

    assert tensors_at_a_time(twice) == 1


def test_an_operator_does_not_work_in_place_on_what_is_needed_later() -> None:
    def branch(net: Net) -> None:
        trunk = net.last
        net.unary(OPERATORS.RELU6)
        net.add(trunk)

    assert tensors_at_a_time(branch) == 2


def test_a_sum_takes_the_memory_of_its_longer_operand() -> None:
    def gate(net: Net) -> None:
        trunk = net.last
        net.mean([1, 2], keep_dims=True)
        net.add(trunk)

    assert tensors_at_a_time(gate) == 1
