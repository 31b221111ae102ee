"""Networks from a config's layers, written so that the converter emits few operators.

Convolutions are 2-D over (samples, 1, channels): a Conv1D would bring EXPAND_DIMS and RESHAPE along.
"""

from __future__ import annotations

from typing import Any

from whir_ml.backend import keras
from whir_ml.config import Config


def build(config: Config) -> Any:
    """keras.Model from float input (batch, *input_shape) to class probabilities (batch, classes), with noise and dropout."""
    keras.backend.clear_session()
    inputs = keras.Input(input_shape(config), name="input")
    x = inputs
    if config.training.noise > 0:
        x = keras.layers.GaussianNoise(config.training.noise, seed=config.training.seed)(x)
    for number, layer in enumerate(config.layers):
        name = f"{layer.kind}{number}"
        kernel, stride = (layer.kernel, 1), (layer.stride, layer.stride)  # the second axis has length 1
        match layer.kind:
            case "dense":
                x = keras.layers.Dense(layer.units, activation="relu", name=name)(x)
            case "conv":
                x = keras.layers.Conv2D(layer.filters, kernel, stride, activation="relu", name=name)(x)
            case "separable":
                x = keras.layers.DepthwiseConv2D(kernel, stride, name=f"{name}_depth")(x)
                x = keras.layers.Conv2D(layer.filters, 1, activation="relu", name=name)(x)
            case "mean":
                x = keras.layers.GlobalAveragePooling2D(name=name)(x)
            case "flatten":
                x = keras.layers.Flatten(name=name)(x)
        if layer.dropout > 0:
            x = keras.layers.Dropout(layer.dropout, seed=config.training.seed + number)(x)
    outputs = keras.layers.Dense(len(config.classes), activation="softmax", name="classes")(x)
    return keras.Model(inputs, outputs, name="net")


def input_shape(config: Config) -> tuple[int, ...]:
    """Shape of one input: flat for dense networks, (samples, 1, channels) when the first layer convolves."""
    if config.layers and config.layers[0].kind in ("conv", "separable"):
        return config.params.window_samples, 1, config.params.channels
    return (config.params.feature_count,)


def for_inference(model: Any) -> Any:
    """The same layers without noise and dropout, at a fixed batch of one."""
    inputs = keras.Input(batch_shape=(1, *model.input_shape[1:]), name="input")
    x = inputs
    for layer in model.layers:
        if not isinstance(layer, keras.layers.InputLayer | keras.layers.GaussianNoise | keras.layers.Dropout):
            x = layer(x)
    return keras.Model(inputs, x, name="net")
