"""Keras networks through TensorFlow's converter: full int8, int8 in and out, random weights, calibrated."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from whir_node.engine import EngineInfo

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
keras = pytest.importorskip("keras", reason="the converter is in the extra `ml`")
layers = keras.layers


def levels(rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Noise around another level in every row: plain noise would be gone behind the pooling."""
    return (rng.normal(0, 1, (shape[0], *[1] * (len(shape) - 1))) + rng.normal(0, 0.7, shape)).astype(np.float32)


def int8_levels(rng: np.random.Generator, count: int, info: EngineInfo) -> npt.NDArray[np.int8]:
    """The same in units of a model's input: int8, (count, input_bytes)."""
    steps = levels(rng, (count, info.input_bytes)) / info.input_scale
    return np.clip(np.rint(steps) + info.input_zero_point, -128, 127).astype(np.int8)


def convert(model: Any, rng: np.random.Generator) -> bytes:
    """The `.tflite`. Batch statistics are drawn, so that no normalization is the identity."""
    import tensorflow as tf

    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            n = layer.gamma.shape[0]
            statistics = [rng.uniform(0.5, 1.5, n), *rng.normal(0, 0.1, (2, n)), rng.uniform(0.05, 0.3, n)]
            layer.set_weights(statistics)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    shape = (1, *model.input_shape[1:])
    converter.representative_dataset = lambda: ([levels(rng, shape)] for _ in range(20))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def random_network(seed: int) -> Any:
    """An image of odd size or a series, two to six blocks, a head."""
    rng = np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    height = 1 if rng.integers(3) == 0 else int(rng.integers(3, 14))
    image = x = layers.Input((height, int(rng.integers(5, 20)), int(rng.integers(1, 6))), batch_size=1)
    for _ in range(int(rng.integers(2, 7))):
        x = BLOCKS[int(rng.integers(len(BLOCKS)))](rng, x)
    head = int(rng.integers(3))
    if head == 0:
        x = layers.GlobalAveragePooling2D(keepdims=bool(rng.integers(2)))(x)
    elif head == 1:
        x = layers.Reshape((x.shape[1] * x.shape[2], x.shape[3]))(x)
        x = layers.GlobalAveragePooling1D()(x)
    x = layers.Dense(int(rng.integers(2, 9)), _activation(rng), use_bias=bool(rng.integers(2)))(layers.Flatten()(x))
    last = [None, "softmax", "sigmoid"][int(rng.integers(3))]
    return keras.Model(image, layers.Dense(int(rng.integers(2, 7)), activation=last)(x))


def _activation(rng: np.random.Generator) -> str | None:
    return [None, "relu", "relu6"][int(rng.integers(3))]


def _window(rng: np.random.Generator, x: Any) -> dict[str, Any]:
    """Kernel, padding, and strides or dilations, as far as the image is large enough."""
    padding = "same" if rng.integers(2) else "valid"
    kernel = tuple(int(rng.integers(1, min(5, size) + 1)) for size in x.shape[1:3])
    window: dict[str, Any] = {"kernel_size": kernel, "padding": padding}
    if rng.integers(3) == 0:
        window["dilation_rate"] = 1 if padding == "valid" else int(rng.integers(1, 4))
    else:
        window["strides"] = int(rng.integers(1, 4))  # converters know no depthwise convolution with unequal strides
    return window


def _conv(rng: np.random.Generator, x: Any) -> Any:
    bias = bool(rng.integers(2))
    x = layers.Conv2D(int(rng.integers(1, 12)), use_bias=bias, activation=_activation(rng), **_window(rng, x))(x)
    return x if rng.integers(2) else layers.ReLU()(layers.BatchNormalization()(x))


def _depthwise(rng: np.random.Generator, x: Any) -> Any:
    multiplier = int(rng.integers(1, 4)) if x.shape[3] < 12 else 1
    return layers.DepthwiseConv2D(depth_multiplier=multiplier, activation=_activation(rng), **_window(rng, x))(x)


def _separable(rng: np.random.Generator, x: Any) -> Any:
    return layers.SeparableConv2D(int(rng.integers(2, 10)), 3, padding="same", activation=_activation(rng))(x)


def _pool(rng: np.random.Generator, x: Any) -> Any:
    size = tuple(int(rng.integers(1, min(3, n) + 1)) for n in x.shape[1:3])
    kind = layers.MaxPooling2D if rng.integers(2) else layers.AveragePooling2D
    return kind(size, strides=int(rng.integers(1, 3)), padding="same" if rng.integers(2) else "valid")(x)


def _pad(rng: np.random.Generator, x: Any) -> Any:
    sides = rng.integers(0, 3, (2, 2)).tolist()
    return layers.ZeroPadding2D(sides)(x)


def _residual(rng: np.random.Generator, x: Any) -> Any:
    y = layers.Conv2D(x.shape[3], 3, padding="same", activation=_activation(rng))(x)
    return layers.Activation("relu" if rng.integers(2) else "linear")(layers.Add()([x, y]))


def _gate(rng: np.random.Generator, x: Any) -> Any:
    """Squeeze and excite."""
    y = layers.GlobalAveragePooling2D(keepdims=True)(x)
    return layers.Multiply()([x, layers.Conv2D(x.shape[3], 1, activation="sigmoid")(y)])


def _branches(rng: np.random.Generator, x: Any) -> Any:
    axis = int(rng.integers(1, 4))
    y = layers.Conv2D(x.shape[3], 3, padding="same", activation="relu")(x)
    z = layers.MaxPooling2D(3, 1, padding="same")(x)
    return layers.Concatenate(axis)([x, y, z][: int(rng.integers(2, 4))])


def _scaled(rng: np.random.Generator, x: Any) -> Any:
    return layers.Rescaling(float(rng.uniform(0.3, 2)), offset=float(rng.normal()))(x)


BLOCKS = [_conv, _conv, _depthwise, _separable, _pool, _pad, _residual, _gate, _branches, _scaled]
