"""whir_nn gives TensorFlow Lite Micro's bytes, for the reference models and for random nets of every operator."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tflite_nets import (
    NO_ACTIVATION,
    OPERATORS,
    OPTIONS,
    RELU,
    RELU6,
    RELU_N1_TO_1,
    SAME,
    VALID,
    Net,
    build_with_engine,
    schema,
)

from whir_node.engine import Engine, TflmEngine

MODELS = Path(__file__).parents[3] / "shared" / "models"
ACTIVATIONS = [NO_ACTIVATION, RELU, RELU_N1_TO_1, RELU6]
INPUTS = 1000
RANDOM_NETS = 80
RANDOM_NETS_LONG = 3000


def assert_same_bytes(model: bytes, rng: np.random.Generator, count: int = INPUTS) -> None:
    engine = Engine(model)
    inputs = rng.integers(-128, 128, (count, engine.info.input_bytes), dtype=np.int8)
    inputs[0], inputs[1] = -128, 127
    ours, theirs = engine.run(inputs), TflmEngine(model).run(inputs)
    wrong = np.argwhere(ours != theirs)
    assert len(wrong) == 0, f"{len(wrong)} bytes differ; input {wrong[0][0]}, byte {wrong[0][1]}"


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


def random_net(seed: int) -> list[bytes]:
    """One to five layers on an image or a series, then a head: the net's prefixes, the whole last."""
    rng = np.random.default_rng(seed)
    height = int(rng.choice([1, 1, int(rng.integers(2, 9))]))
    net = Net(rng, (1, height, int(rng.integers(4, 17)), int(rng.integers(1, 6))))
    prefixes = []
    for _ in range(int(rng.integers(1, 6))):
        LAYERS[int(rng.integers(len(LAYERS)))](rng, net)
        prefixes.append(net.build())
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
    prefixes.append(net.build())
    net.dense(int(rng.integers(1, 12)), int(rng.choice(ACTIVATIONS)), bool(rng.integers(2)), bool(rng.integers(2)))
    if rng.integers(2):
        prefixes.append(net.build())
        net.softmax(float(rng.choice([1.0, 0.5, 0.1, 2.0])))
    return [*prefixes, net.build()]


@pytest.mark.parametrize("name", ["fft32", "cnn256x3", "mlp89k"])
def test_reference_models_give_their_stored_vectors_and_tflm_bytes(name: str) -> None:
    if not MODELS.is_dir():
        pytest.skip(f"no reference models: {MODELS} is missing")
    model = (MODELS / f"{name}.tflite").read_bytes()
    inputs = np.frombuffer((MODELS / f"{name}.in.bin").read_bytes(), np.int8)
    wanted = np.frombuffer((MODELS / f"{name}.out.bin").read_bytes(), np.int8)
    engine = Engine(model)
    assert (engine.run(inputs.reshape(-1, engine.info.input_bytes)).reshape(-1) == wanted).all()
    assert_same_bytes(model, np.random.default_rng(1))


def check_random_net(seed: int) -> None:
    *prefixes, whole = random_net(seed)
    assert_same_bytes(whole, np.random.default_rng(seed))
    for prefix in prefixes:
        assert_same_bytes(prefix, np.random.default_rng(seed), INPUTS // 5)


@pytest.mark.parametrize("seed", range(RANDOM_NETS))
def test_a_random_net_gives_tflm_bytes_after_every_layer(seed: int) -> None:
    check_random_net(seed)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_many_more_random_nets_give_tflm_bytes() -> None:
    for seed in range(RANDOM_NETS, RANDOM_NETS_LONG):
        check_random_net(seed)


@pytest.mark.parametrize("flags", [["-Os"], ["-O2", "-DWHIR_NN_FAST"], ["-Os", "-DWHIR_NN_FAST"]], ids=" ".join)
def test_every_variant_of_the_engine_gives_the_same_bytes(flags: list[str], tmp_path: Path) -> None:
    program = build_with_engine("nn_run.c", tmp_path / "nn_run", flags)
    models, wanted = [], []
    for seed in range(RANDOM_NETS):
        model = random_net(seed)[-1]
        engine = Engine(model)
        inputs = np.random.default_rng(seed).integers(-128, 128, (INPUTS, engine.info.input_bytes), dtype=np.int8)
        models.append(tmp_path / f"{seed}.tflite")
        models[-1].write_bytes(model)
        models[-1].with_suffix(".tflite.in").write_bytes(inputs.tobytes())
        wanted.append(engine.run(inputs).tobytes())
    subprocess.run([program, *models], check=True)
    found = [model.with_suffix(".tflite.out").read_bytes() for model in models]
    assert [seed for seed in range(RANDOM_NETS) if found[seed] != wanted[seed]] == []


def test_the_random_nets_do_not_all_saturate() -> None:
    lively = 0
    for seed in range(RANDOM_NETS):
        engine = Engine(random_net(seed)[-1])
        inputs = np.random.default_rng(seed).integers(-128, 128, (200, engine.info.input_bytes), dtype=np.int8)
        lively += len(np.unique(engine.run(inputs), axis=0)) >= 10
    assert lively >= RANDOM_NETS / 3


def test_a_depthwise_convolution_without_bias_or_with_one_scale_gives_tflm_bytes() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        net = Net(rng, (1, 5, 6, 3))
        net.depthwise(1 + seed % 2, (3, 2), padding=seed % 2, per_channel=seed % 3 == 0, bias=False)
        assert_same_bytes(net.build(), rng)


def test_one_scale_for_all_rows_is_multiplied_in_double_precision() -> None:
    """The scales give a factor of 3/4 in single precision and a little less in double: 2 * 3/4 is a tie, or not."""
    rng = np.random.default_rng(4)
    checked = 0
    while checked < 20:
        scale, filter_scale = rng.uniform(0.01, 0.1, 2).astype(np.float32)
        product = scale * filter_scale
        wider = np.float32(float(product) * 4 / 3)
        if float(wider) * 3 != float(product) * 4 or float(scale) * float(filter_scale) >= float(product):
            continue
        net = Net(rng, (1, 1), scale=float(scale), zero_point=0)
        weights = net.constant(np.ones((1, 1), np.int8), [float(filter_scale)])
        output = net.activation((1, 1), float(wider), 0)
        options = schema.FullyConnectedOptionsT()
        net.add_operator(OPERATORS.FULLY_CONNECTED, [net.last, weights], output, OPTIONS.FullyConnectedOptions, options)
        assert_same_bytes(net.build(), rng, 200)
        checked += 1


def test_relu_divides_its_scales_in_double_precision() -> None:
    """The ratio is 3/4 in single precision and a little less in double: 2 * 3/4 is a tie, or not."""
    rng = np.random.default_rng(3)
    checked = 0
    while checked < 20:
        scale = np.float32(rng.uniform(0.01, 0.1))
        wider = np.float32(float(scale) * 4 / 3)
        if float(scale) / float(wider) >= 0.75 or scale / wider != np.float32(0.75):
            continue
        net = Net(rng, (1, 1), scale=float(scale), zero_point=0)
        net.add_operator(OPERATORS.RELU, [net.last], net.activation((1, 1), float(wider), 0))
        assert_same_bytes(net.build(), rng, 200)
        checked += 1


def test_the_upper_bound_of_relu6_is_rounded_in_single_precision() -> None:
    """6 / scale is a tie in single precision and a little less in double."""
    rng = np.random.default_rng(3)
    checked = 0
    while checked < 20:
        steps = int(rng.integers(20, 120))
        scale = np.float32(6 / (steps + 0.5))
        if 6 / float(scale) >= steps + 0.5 or np.float32(6) / scale != np.float32(steps + 0.5):
            continue
        for fused in (True, False):
            net = Net(rng, (1, 1, 1, 1), scale=float(scale), zero_point=0)
            if fused:
                net.pool(OPERATORS.MAX_POOL_2D, (1, 1), (1, 1), VALID, RELU6)
            else:
                net.add_operator(OPERATORS.RELU6, [net.last], net.activation((1, 1, 1, 1), float(scale), 0))
            assert_same_bytes(net.build(), rng, 300)
        checked += 1


@pytest.mark.parametrize("code", [OPERATORS.LOGISTIC, OPERATORS.SOFTMAX])
def test_exponentials_give_tflm_bytes_for_flat_and_steep_scales(code: int) -> None:
    for exponent in np.linspace(-14, 6, 41):
        rng = np.random.default_rng(int(100 * exponent) + 2000)
        net = Net(rng, (1, 7), scale=float(np.float32(np.exp2(exponent))))
        if code == OPERATORS.SOFTMAX:
            net.softmax(1.0)
        else:
            net.unary(code)
        assert_same_bytes(net.build(), rng)


def test_a_constant_outside_the_flatbuffer_is_read_at_its_offset() -> None:
    net = Net(np.random.default_rng(5), (1, 8))
    net.dense(4)
    inputs = np.random.default_rng(6).integers(-128, 128, (50, 8), dtype=np.int8)
    assert (Engine(net.build(outside=True)).run(inputs) == Engine(net.build()).run(inputs)).all()
