"""The engine behind the inference seam, in C, with sanitizers."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tflite_nets import OPERATORS, RELU, SAME, Net, both_ways, build_with_engine

from whir_node.engine import Engine, TflmEngine


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


@pytest.mark.parametrize(
    "operator",
    [
        lambda net: net.depthwise(1, (1, 3), padding=SAME),
        lambda net: net.pool(OPERATORS.AVERAGE_POOL_2D, (1, 3), (1, 1), SAME),
        lambda net: net.pool(OPERATORS.MAX_POOL_2D, (1, 3), (1, 1), SAME),
    ],
)
def test_a_window_per_channel_follows_its_input_through_the_memory(operator: Callable[[Net], int]) -> None:
    """So far before it that nothing is overwritten that is still to be read: here one place, rounded up to a word."""

    def twice(net: Net) -> None:
        operator(net)
        operator(net)

    assert tensors_at_a_time(twice) == 1


def test_a_depthwise_convolution_into_other_channels_has_memory_of_its_own() -> None:
    assert tensors_at_a_time(lambda net: net.depthwise(2, (1, 3), padding=SAME)) == 3


@pytest.mark.parametrize("channels", [1, 3, 4, 5, 6, 8, 11])
def test_windows_that_overwrite_their_input_give_tflm_bytes(channels: int) -> None:
    """One behind the other, for every rest of channels that fills no block."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        net = Net(rng, (1, int(rng.integers(3, 8)), int(rng.integers(3, 12)), channels))
        for _ in range(3):
            window = {"kernel": (3, int(rng.integers(1, 6))), "padding": SAME, "dilation": (1, int(rng.integers(1, 3)))}
            net.depthwise(1, stride=(1, int(rng.integers(1, 3))), **window)
            net.pool(OPERATORS.AVERAGE_POOL_2D if seed % 2 else OPERATORS.MAX_POOL_2D, (2, 2), (1, 1), SAME)
        model, inputs = net.build(), rng.integers(-128, 128, (20, int(np.prod(net.shape_of(net.input)))), dtype=np.int8)
        assert (both_ways(model, inputs) == TflmEngine(model).run(inputs)).all()


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
