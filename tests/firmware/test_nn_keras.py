"""What the TensorFlow converter writes for Keras networks runs on whir_nn with TensorFlow Lite Micro's bytes."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from whir_contracts.contract import ErrorCode
from whir_node.engine import Engine, TflmEngine
from whir_node.errors import EngineError

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
keras = pytest.importorskip("keras", reason="the converter is in the extra `ml`")
layers = keras.layers

INPUTS = 1000


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


def convert(network: Callable[[], list[Any]]) -> bytes:
    """Full int8, int8 in and out, calibrated on noise."""
    import tensorflow as tf

    keras.utils.set_random_seed(5)
    model = keras.Sequential(network())
    shape = (1, *model.input_shape[1:])
    rng = np.random.default_rng(5)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([rng.normal(0, 1, shape).astype(np.float32)] for _ in range(20))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


@pytest.mark.parametrize("network", [series, image, pooled, dense, unknown_batch])
def test_a_converted_network_gives_tflm_bytes(network: Callable[[], list[Any]]) -> None:
    model = convert(network)
    engine = Engine(model)
    inputs = np.random.default_rng(1).integers(-128, 128, (INPUTS, engine.info.input_bytes), dtype=np.int8)
    ours = engine.run(inputs)
    assert len(np.unique(ours, axis=0)) > 10
    assert (ours == TflmEngine(model).run(inputs)).all()


def test_a_shape_computed_from_an_unknown_batch_is_refused() -> None:
    with pytest.raises(EngineError) as caught:
        Engine(convert(unknown_batch_reshaped))
    assert caught.value.code == ErrorCode.NN_OP
