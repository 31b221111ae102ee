"""The engine behind the inference seam, in C, with sanitizers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from tflite_nets import RELU, SAME, Net, build_with_engine

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
