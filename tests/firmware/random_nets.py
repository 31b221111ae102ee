"""Seeded random nets of every operator: odd sizes and ones, all paddings, strides and dilations, extreme quantization."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from tflite_nets import NO_ACTIVATION, OPERATORS, RELU, RELU6, RELU_N1_TO_1, SAME, VALID, Net

ACTIVATIONS = [NO_ACTIVATION, RELU, RELU_N1_TO_1, RELU6]
# By seed modulo four: how often zero points, scales, weights and biases come from their extremes.
EXTREMES = (0.0, 0.0, 0.15, 0.5)


def random_kernel(rng: np.random.Generator, net: Net, padding: int) -> dict[str, tuple[int, int]]:
    sides = []
    for size in net.shape[1:3]:
        stride, dilation = int(rng.integers(1, 4)), int(rng.choice([1, 1, 2, 3]))
        longest = 5 if padding == SAME else min(5, (size - 1) // dilation + 1)
        sides.append((int(rng.integers(1, longest + 1)), stride, dilation))
    (kh, sh, dh), (kw, sw, dw) = sides
    return {"kernel": (kh, kw), "stride": (sh, sw), "dilation": (dh, dw)}


def add_conv(rng: np.random.Generator, net: Net) -> None:
    padding = int(rng.choice([SAME, VALID]))
    window = random_kernel(rng, net, padding)
    net.conv(
        int(rng.integers(1, 10)),
        padding=padding,
        activation=int(rng.choice(ACTIVATIONS)),
        per_channel=bool(rng.integers(2)),
        bias=bool(rng.integers(4)),
        **window,
    )


def add_depthwise(rng: np.random.Generator, net: Net) -> None:
    padding = int(rng.choice([SAME, VALID]))
    window = random_kernel(rng, net, padding)
    net.depthwise(
        int(rng.integers(1, 4)) if net.shape[3] < 12 else 1,
        padding=padding,
        activation=int(rng.choice(ACTIVATIONS)),
        per_channel=bool(rng.integers(2)),
        bias=True,
        **window,
    )


def add_pool(rng: np.random.Generator, net: Net) -> None:
    padding = int(rng.choice([SAME, VALID]))
    window = random_kernel(rng, net, padding)
    code = int(rng.choice([OPERATORS.AVERAGE_POOL_2D, OPERATORS.MAX_POOL_2D]))
    kernel = (min(window["kernel"][0], net.shape[1]), min(window["kernel"][1], net.shape[2]))
    net.pool(code, kernel, window["stride"], padding, int(rng.choice([NO_ACTIVATION, NO_ACTIVATION, *ACTIVATIONS])))


def add_skip(rng: np.random.Generator, net: Net) -> None:
    """A branch of two layers beside the value itself, added up: its memory must outlive the branch."""
    trunk = net.last
    net.conv(net.shape[3], (1, 1), activation=RELU)
    net.depthwise(1, (3, 3), padding=SAME)
    net.add(trunk, int(rng.choice(ACTIVATIONS)))


def add_constant(rng: np.random.Generator, net: Net) -> None:
    values = rng.integers(-128, 128, net.shape, dtype=np.int8)
    net.add(net.constant(values, [net.scale_of(net.last) * float(rng.uniform(0.3, 3))], zero_point=int(rng.integers(-9, 9))))


def add_product(rng: np.random.Generator, net: Net) -> None:
    """A gate: one value per channel, computed (and then often the first operand) or stored."""
    trunk, channels = net.last, net.shape[3]
    if rng.integers(2):
        net.mean([1, 2], keep_dims=True)
        net.conv(channels, (1, 1), activation=RELU6)
        if rng.integers(2):
            net.mul(trunk, int(rng.choice(ACTIVATIONS)))
            return
        gate, net.last = net.last, trunk
    else:
        shape = [(channels,), (1, 1, channels), (), (1,), net.shape][int(rng.integers(5))]
        gate = net.constant(rng.integers(-128, 128, shape, dtype=np.int8), [float(rng.uniform(0.01, 0.1))], zero_point=3)
    net.mul(gate, int(rng.choice(ACTIVATIONS)))


def add_concatenation(rng: np.random.Generator, net: Net) -> None:
    """Of up to four: the value before, branches of it, and a constant, in any order along any axis."""
    trunk, axis = net.last, int(rng.integers(1, 4))
    parts = [trunk]
    for _ in range(int(rng.integers(0, 3))):
        net.last = trunk
        net.conv(net.shape[3] if axis != 3 else int(rng.integers(1, 4)), (1, 1))
        parts.append(net.last)
    if rng.integers(4) == 0:
        parts.append(trunk)
    parts = [parts[i] for i in rng.permutation(len(parts))]
    if rng.integers(3) == 0:
        shape = list(net.shape_of(trunk))
        shape[axis] = 2
        scale, zero_point = net.quantization_of(parts[0])
        constant = net.constant(rng.integers(-128, 128, shape, dtype=np.int8), [scale], zero_point=zero_point)
        parts.insert(int(rng.integers(len(parts) + 1)), constant)
    net.last = parts[0]
    net.concatenation(parts[1:], axis - 4 if rng.integers(2) else axis)


def add_pad(rng: np.random.Generator, net: Net) -> None:
    sides = rng.integers(0, 3, (4, 2))
    sides[0] = 0
    net.pad([(int(before), int(after)) for before, after in sides])


def add_quantize(rng: np.random.Generator, net: Net) -> None:
    net.quantize()


def add_unary(rng: np.random.Generator, net: Net) -> None:
    net.unary(int(rng.choice([OPERATORS.RELU, OPERATORS.RELU6, OPERATORS.LOGISTIC])))


LAYERS: list[Callable[[np.random.Generator, Net], None]] = [
    add_conv,
    add_conv,
    add_depthwise,
    add_depthwise,
    add_pool,
    add_skip,
    add_constant,
    add_unary,
    add_product,
    add_concatenation,
    add_pad,
    add_quantize,
]


def random_net(seed: int) -> bytes:
    """One to five layers on an image or a series, then a head."""
    rng = np.random.default_rng(seed)
    height = int(rng.choice([1, 1, int(rng.integers(2, 9))]))
    net = Net(rng, (1, height, int(rng.integers(1, 17)), int(rng.integers(1, 6))), extremes=EXTREMES[seed % len(EXTREMES)])
    for _ in range(int(rng.integers(1, 6))):
        LAYERS[int(rng.integers(len(LAYERS)))](rng, net)
    head = int(rng.integers(4))
    if head == 0:
        net.mean([1, 2], keep_dims=bool(rng.integers(2)))
    elif head == 1:
        net.reshape((net.shape[1] * net.shape[2], net.shape[3]))
        net.mean([0], keep_dims=False)
        net.expand_dims(0)
    elif head == 2:
        net.mean([-1], keep_dims=True)
        net.reshape((1, net.shape[1] * net.shape[2]))
    else:
        net.expand_dims(3)
        net.squeeze(3)
        net.reshape((1, int(np.prod(net.shape))))
    net.dense(int(rng.integers(1, 12)), int(rng.choice(ACTIVATIONS)), bool(rng.integers(2)), bool(rng.integers(2)))
    if rng.integers(2) and net.scale_of(net.last) > 2**-22:  # below, softmax is flat and TFLM ends the process
        net.softmax(float(rng.choice([1.0, 0.5, 0.1, 2.0])))
    return net.build()
