"""The four networks of MLPerf Tiny, in their published shapes, run with TensorFlow Lite Micro's bytes.

Built by TensorFlow's converter with random weights and batch statistics: the shapes, options and quantization are what the
published files have, the weights are not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from keras_nets import convert, int8_levels, keras, layers
from tflite_nets import both_ways, prefixes

from whir_node.engine import Engine, TflmEngine


def normalized(x: Any, relu: bool = True) -> Any:
    x = layers.BatchNormalization()(x)
    return layers.ReLU()(x) if relu else x


def residual(x: Any, filters: int, stride: int) -> Any:
    y = normalized(layers.Conv2D(filters, 3, stride, padding="same")(x))
    y = normalized(layers.Conv2D(filters, 3, padding="same")(y), relu=False)
    if stride != 1:
        x = layers.Conv2D(filters, 1, stride, padding="same")(x)
    return layers.ReLU()(layers.Add()([x, y]))


def resnet8() -> Any:
    """Image classification on CIFAR-10."""
    image = layers.Input((32, 32, 3), batch_size=1)
    x = normalized(layers.Conv2D(16, 3, padding="same")(image))
    for filters, stride in ((16, 1), (32, 2), (64, 2)):
        x = residual(x, filters, stride)
    x = layers.Flatten()(layers.AveragePooling2D(8)(x))
    return keras.Model(image, layers.Dense(10, activation="softmax")(x))


def separable(x: Any, filters: int, stride: int = 1) -> Any:
    x = normalized(layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False)(x))
    return normalized(layers.Conv2D(filters, 1, use_bias=False)(x))


def ds_cnn() -> Any:
    """Keyword spotting on 49 frames of 10 cepstral coefficients."""
    frames = layers.Input((49, 10, 1), batch_size=1)
    x = normalized(layers.Conv2D(64, (10, 4), 2, padding="same")(frames))
    for _ in range(4):
        x = separable(x, 64)
    x = layers.Flatten()(layers.AveragePooling2D((25, 5))(x))
    return keras.Model(frames, layers.Dense(12, activation="softmax")(x))


def mobilenet() -> Any:
    """Visual wake words: MobileNetV1 at a quarter of its width on 96 x 96 pixels."""
    image = layers.Input((96, 96, 3), batch_size=1)
    x = normalized(layers.Conv2D(8, 3, 2, padding="same", use_bias=False)(image))
    for filters, stride in ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1)):
        x = separable(x, filters, stride)
    x = layers.Flatten()(layers.AveragePooling2D(3)(x))
    return keras.Model(image, layers.Dense(2, activation="softmax")(x))


def autoencoder() -> Any:
    """Anomaly detection on five frames of 128 mel bands."""
    frames = layers.Input((640,), batch_size=1)
    x = frames
    for units in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        x = normalized(layers.Dense(units)(x))
    return keras.Model(frames, layers.Dense(640)(x))


@pytest.mark.parametrize(
    ("network", "inputs"),
    [
        (ds_cnn, 4),
        pytest.param(resnet8, 20, marks=pytest.mark.long),
        pytest.param(mobilenet, 20, marks=pytest.mark.long),
        pytest.param(autoencoder, 200, marks=pytest.mark.long),
    ],
)
def test_a_published_network_gives_tflm_bytes_after_every_layer(network: Callable[[], Any], inputs: int) -> None:
    keras.utils.set_random_seed(5)
    model = convert(network(), np.random.default_rng(5))
    vectors = int8_levels(np.random.default_rng(1), inputs, Engine(model).info)
    distinct = []
    for count, cut in enumerate(prefixes(model), 1):
        ours = both_ways(cut, vectors)
        distinct.append(len(np.unique(ours, axis=0)))
        assert (ours == TflmEngine(cut).run(vectors)).all(), f"after operator {count}"
    assert min(distinct) > 1
    assert np.median(distinct) > inputs / 2
