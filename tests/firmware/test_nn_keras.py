"""What the TensorFlow converter writes for Keras networks runs on whir_nn with TensorFlow Lite Micro's bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from keras_nets import convert, int8_levels, keras, layers, random_network
from tflite_nets import both_ways, prefixes

from whir_contracts.contract import ErrorCode
from whir_node.engine import Engine, TflmEngine
from whir_node.errors import EngineError

INPUTS = 1000
RANDOM_NETWORKS = 4
RANDOM_NETWORKS_LONG = 100


def series() -> list[Any]:
    return [
        layers.Input((64, 3), batch_size=1),
        layers.Conv1D(8, 5, strides=2, activation="relu"),
        layers.SeparableConv1D(12, 3, padding="same", activation="relu6"),
        layers.MaxPooling1D(2),
        layers.Conv1D(10, 3, dilation_rate=2, padding="same", activation="relu"),
        layers.GlobalAveragePooling1D(),
        layers.Dense(4, activation="softmax"),
    ]


def image() -> list[Any]:
    return [
        layers.Input((12, 10, 2), batch_size=1),
        layers.Conv2D(6, (3, 2), strides=(1, 2), padding="same", activation="relu"),
        layers.DepthwiseConv2D((3, 3), depth_multiplier=2, activation="relu6"),
        layers.AveragePooling2D((2, 1)),
        layers.SeparableConv2D(8, 3, padding="same"),
        layers.ReLU(),
        layers.Flatten(),
        layers.Dense(5),
    ]


def pooled() -> list[Any]:
    return [
        layers.Input((9, 9, 3), batch_size=1),
        layers.Conv2D(4, 3, dilation_rate=2, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(6.0),
        layers.MaxPooling2D(3, strides=2, padding="same"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3, activation="sigmoid"),
    ]


def dense() -> list[Any]:
    return [
        layers.Input((40,), batch_size=1),
        layers.Dense(17, activation="relu"),
        layers.Dense(9, use_bias=False, activation="relu6"),
        layers.Dense(2, activation="softmax"),
    ]


def unknown_batch() -> list[Any]:
    return [layers.Input((24,)), layers.Dense(6, activation="relu"), layers.Dense(3, activation="softmax")]


def unknown_batch_reshaped() -> list[Any]:
    return [layers.Input((8, 3)), layers.Flatten(), layers.Dense(3)]


def converted(network: Callable[[], list[Any]]) -> bytes:
    keras.utils.set_random_seed(5)
    return convert(keras.Sequential(network()), np.random.default_rng(5))


@pytest.mark.parametrize("network", [series, image, pooled, dense, unknown_batch])
def test_a_converted_network_gives_tflm_bytes(network: Callable[[], list[Any]]) -> None:
    model = converted(network)
    engine = Engine(model)
    inputs = np.random.default_rng(1).integers(-128, 128, (INPUTS, engine.info.input_bytes), dtype=np.int8)
    ours = both_ways(model, inputs)
    assert len(np.unique(ours, axis=0)) > 10
    assert (ours == TflmEngine(model).run(inputs)).all()


def check_random_network(seed: int) -> int:
    """Compares after every layer; returns how many different outputs the whole network gives."""
    cuts = list(prefixes(convert(random_network(seed), np.random.default_rng(seed))))
    for count, cut in enumerate(cuts, 1):
        engine = Engine(cut)
        inputs = int8_levels(np.random.default_rng(seed), INPUTS // 10 if cut is cuts[-1] else 10, engine.info)
        ours = both_ways(cut, inputs)
        assert (ours == TflmEngine(cut).run(inputs)).all(), f"seed {seed}, after operator {count}"
    return len(np.unique(ours, axis=0))


@pytest.mark.parametrize("seed", range(RANDOM_NETWORKS))
def test_a_random_network_gives_tflm_bytes_after_every_layer(seed: int) -> None:
    assert check_random_network(seed) > 10


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_many_more_random_networks_give_tflm_bytes() -> None:
    seeds = range(RANDOM_NETWORKS, RANDOM_NETWORKS_LONG)
    print(f"seeds {seeds}")
    assert np.median([check_random_network(seed) for seed in seeds]) > 10


def test_a_shape_computed_from_an_unknown_batch_is_refused() -> None:
    with pytest.raises(EngineError) as caught:
        Engine(converted(unknown_batch_reshaped))
    assert caught.value.code == ErrorCode.NN_OP
    assert "batch_size=1" in caught.value.hint
