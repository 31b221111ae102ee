"""whir_nn gives TensorFlow Lite Micro's bytes, for the reference models and for random nets of every operator."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from random_nets import random_net
from tflite_nets import OPERATORS, OPTIONS, RELU6, SAME, VALID, Net, both_ways, build_with_engine, prefixes, schema

from whir_node.engine import Engine, TflmEngine, planned
from whir_node.errors import EngineError

MODELS = Path(__file__).parents[3] / "shared" / "models"
INPUTS = 200
RANDOM_NETS = 200
RANDOM_NETS_LONG = 3000


def assert_same_bytes(model: bytes, rng: np.random.Generator, count: int = INPUTS) -> None:
    engine = Engine(model)
    inputs = rng.integers(-128, 128, (count, engine.info.input_bytes), dtype=np.int8)
    inputs[0], inputs[1] = -128, 127
    ours, theirs = both_ways(model, inputs), TflmEngine(model).run(inputs)
    wrong = np.argwhere(ours != theirs)
    assert len(wrong) == 0, f"{len(wrong)} bytes differ; input {wrong[0][0]}, byte {wrong[0][1]}"


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
    whole = random_net(seed)
    try:
        assert_same_bytes(whole, np.random.default_rng(seed))
        for prefix in prefixes(whole):
            assert_same_bytes(prefix, np.random.default_rng(seed), INPUTS // 10)
    except (AssertionError, EngineError) as error:
        raise AssertionError(f"random_net({seed}): {error}") from error


@pytest.mark.parametrize("seeds", [range(first, first + 20) for first in range(0, RANDOM_NETS, 20)])
def test_random_nets_give_tflm_bytes_after_every_layer(seeds: range) -> None:
    for seed in seeds:
        check_random_net(seed)


def test_a_net_whose_scales_grow_with_every_product_gives_tflm_bytes() -> None:
    check_random_net(2402)  # two products, then a sum that is clamped to one


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_many_more_random_nets_give_tflm_bytes() -> None:
    print(f"seeds {RANDOM_NETS} to {RANDOM_NETS_LONG - 1}")
    for seed in range(RANDOM_NETS, RANDOM_NETS_LONG):
        check_random_net(seed)


SANITIZED = ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


@pytest.mark.parametrize(
    "flags",
    [["-Os"], ["-O2", "-DWHIR_NN_FAST"], ["-Os", "-DWHIR_NN_FAST"], SANITIZED, [*SANITIZED, "-DWHIR_NN_FAST"]],
    ids=" ".join,
)
def test_every_variant_of_the_engine_gives_the_same_bytes(flags: list[str], tmp_path: Path) -> None:
    program = build_with_engine("nn_run.c", tmp_path / "nn_run", flags)
    models, wanted = [], []
    for seed in range(RANDOM_NETS):
        model = random_net(seed)
        engine = Engine(model)
        inputs = np.random.default_rng(seed).integers(-128, 128, (INPUTS, engine.info.input_bytes), dtype=np.int8)
        models.append(tmp_path / f"{seed}.tflite")
        models[-1].write_bytes(planned(model))
        models[-1].with_suffix(".tflite.in").write_bytes(inputs.tobytes())
        wanted.append(engine.run(inputs).tobytes())
    subprocess.run([program, *models], check=True)
    found = [model.with_suffix(".tflite.out").read_bytes() for model in models]
    assert [seed for seed in range(RANDOM_NETS) if found[seed] != wanted[seed]] == []


def test_the_random_nets_do_not_all_saturate() -> None:
    lively = 0
    for seed in range(RANDOM_NETS):
        engine = Engine(random_net(seed))
        inputs = np.random.default_rng(seed).integers(-128, 128, (200, engine.info.input_bytes), dtype=np.int8)
        lively += len(np.unique(engine.run(inputs), axis=0)) >= 10
    assert lively >= RANDOM_NETS / 3


def test_a_depthwise_convolution_without_bias_or_with_one_scale_gives_tflm_bytes() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        net = Net(rng, (1, 5, 6, 3))
        net.depthwise(1 + seed % 2, (3, 2), padding=seed % 2, per_channel=seed % 3 == 0, bias=False)
        assert_same_bytes(net.build(), rng)


@pytest.mark.parametrize("channels", [1, 3, 5, 8])
def test_a_series_along_the_height_gives_tflm_bytes(channels: int) -> None:
    """It is laid down along the width, where several places are under way at a time."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        net = Net(rng, (1, int(rng.integers(12, 40)), 1, channels))
        stride, dilation = (1 + seed % 3, 1), (1 + seed // 3, 1)
        net.conv(int(rng.integers(1, 10)), (3, 1), stride, dilation, padding=seed % 2)
        net.depthwise(1, (3, 1), stride, padding=SAME)
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
