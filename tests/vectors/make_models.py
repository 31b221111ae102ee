"""Writes the small models that the bench measures in every clone, with ten vectors each, beside this file.

    PYTHONPATH=tests/firmware .venv/bin/python tests/vectors/make_models.py

Random weights: `dense32` is the recipe of fft32, `conv256x3` one convolutional classifier with the operators of a window of
256 x 3. Outputs are TensorFlow Lite Micro's.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tflite_nets import RELU, SAME, Net

from whir_node.engine import TflmEngine

FOLDER = Path(__file__).parent
VECTORS = 10


def dense32() -> bytes:
    """32 → 16 → 8 → 2, softmax."""
    net = Net(np.random.default_rng(5), (1, 32), scale=1 / 64, zero_point=-7)
    for units in (16, 8):
        net.dense(units, activation=RELU)
    net.dense(2)
    net.softmax()
    return net.build()


def conv256x3() -> bytes:
    """Convolution (8, 9, stride 4), depthwise and pointwise (16, stride 2), mean, dense 4, softmax over 256 x 3 samples."""
    net = Net(np.random.default_rng(2), (1, 768), scale=1 / 64, zero_point=-7)
    net.reshape((1, 256, 1, 3))
    net.conv(8, (9, 1), (4, 1), padding=SAME, activation=RELU)
    net.depthwise(1, (5, 1), (2, 1), padding=SAME)
    net.conv(16, (1, 1), activation=RELU)
    net.mean([1, 2], keep_dims=False)
    net.dense(4)
    net.softmax()
    return net.build()


def main() -> None:
    for name, model in (("dense32", dense32()), ("conv256x3", conv256x3())):
        peer = TflmEngine(model)
        inputs = np.random.default_rng(3).integers(-128, 128, (VECTORS, peer.info.input_bytes), dtype=np.int8)
        (FOLDER / f"{name}.tflite").write_bytes(model)
        (FOLDER / f"{name}.in.bin").write_bytes(inputs.tobytes())
        (FOLDER / f"{name}.out.bin").write_bytes(peer.run(inputs).tobytes())


if __name__ == "__main__":
    main()
