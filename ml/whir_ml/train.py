"""Training: scale, weigh, learn, in one loop that reads straight down."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whir_ml import artifact, networks
from whir_ml.backend import keras, tf
from whir_ml.config import Config
from whir_ml.dataset import Examples, Progress, silent
from whir_ml.errors import ArtifactError

INPUT_LIMIT = 8.0  # standard deviations; further out says nothing more and would cost int8 resolution


@dataclass(frozen=True, eq=False)
class Scaler:
    """Statistics of the training features: one entry per feature for bands, one per channel for raw. float64."""

    mean: NDArray[np.float64]
    std: NDArray[np.float64]

    def apply(self, config: Config, features: NDArray[np.int32]) -> NDArray[np.float32]:
        """Network input (n, *input_shape) from features (n, f)."""
        spread = _per_scaler(config, features)
        x = np.clip((spread - self.mean) / self.std, -INPUT_LIMIT, INPUT_LIMIT)
        return x.reshape(len(features), *networks.input_shape(config)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Trained:
    """A float network and what its input must be scaled with. `losses`: mean training loss of each epoch; `temperature`: what
    the last layer has been divided by since (whir_ml/temperature.py)."""

    config: Config
    model: Any
    scaler: Scaler
    losses: tuple[float, ...]
    temperature: float = 1.0

    def predict(self, features: NDArray[np.int32]) -> NDArray[np.float32]:
        """Class probabilities (n, classes) of features (n, f)."""
        x = self.scaler.apply(self.config, features)
        return np.concatenate([np.asarray(self.model(part, training=False)) for part in np.array_split(x, len(x) // 4096 + 1)])

    def at_temperature(self, temperature: float) -> Trained:
        """The same network, changed in place: weights and biases before the softmax divided by `temperature`."""
        last = self.model.layers[-1]
        last.set_weights([values * (self.temperature / temperature) for values in last.get_weights()])
        return dataclasses.replace(self, temperature=temperature)

    def save(self, folder: Path) -> None:
        """Write training.npz and training.json."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {f"w{number}": weights for number, weights in enumerate(self.model.get_weights())}
        np.savez(folder / "training.npz", mean=self.scaler.mean, std=self.scaler.std, losses=self.losses, **arrays)
        t = self.config.training
        facts = {
            "config": artifact.config_digest(self.config),
            "epochs": t.epochs,
            "seed": t.seed,
            "loss": self.losses[-1],
            "temperature": self.temperature,
        }
        artifact.write_json(folder / "training.json", facts)

    @classmethod
    def load(cls, config: Config, folder: Path) -> Trained:
        """Read what `save` wrote. Epochs and seed are those of the training; any other change of the config since is an
        ArtifactError."""
        facts = artifact.read_json(folder / "training.json", f"whir train {config.name}")
        config = config.reduced(epochs=facts["epochs"], seed=facts["seed"])
        if facts["config"] != artifact.config_digest(config):
            raise ArtifactError(f"{folder}: the config has changed since training: run `whir train {config.name}` again")
        model = networks.build(config)
        with np.load(folder / "training.npz") as saved:
            model.set_weights([saved[f"w{number}"] for number in range(len(model.get_weights()))])
            scaler = Scaler(saved["mean"], saved["std"])
            return cls(config, model, scaler, tuple(float(v) for v in saved["losses"]), facts["temperature"])


def fit_scaler(config: Config, features: NDArray[np.int32]) -> Scaler:
    """Mean and standard deviation of training features (n, f); a feature that never moves gets one count."""
    spread = _per_scaler(config, features)
    axes = tuple(range(spread.ndim - 1))
    return Scaler(spread.mean(axes, dtype=np.float64), np.maximum(spread.std(axes, dtype=np.float64), 1.0))


def fit(config: Config, examples: Examples, progress: Progress = silent) -> Trained:
    """Train the config's network on training examples. Same config, same examples, same weights."""
    t = config.training
    keras.utils.set_random_seed(t.seed)
    scaler = fit_scaler(config, examples.features)
    x: NDArray[np.float32] = scaler.apply(config, examples.features)
    classes = len(config.classes)
    targets = np.eye(classes, dtype=np.float32)[examples.target] * (1 - t.label_smoothing) + t.label_smoothing / classes
    # Every class counts the same, however many recordings it has.
    weights = (len(x) / (classes * np.bincount(examples.target, minlength=classes)))[examples.target].astype(np.float32)

    whitener = _whitener(x, examples.target, t.whitening) if t.whitening > 0 else None
    if whitener is not None:
        centre, turn = whitener
        x = ((x - centre) @ turn).astype(np.float32)
    model = networks.build(config)
    steps = -(-len(x) // t.batch_windows)
    rate = keras.optimizers.schedules.CosineDecay(t.learning_rate, max(1, t.epochs * steps))
    optimizer = keras.optimizers.AdamW(rate, weight_decay=t.weight_decay)
    optimizer.build(model.trainable_variables)
    data = tf.constant(x), tf.constant(targets), tf.constant(weights)

    @tf.function  # type: ignore[untyped-decorator]
    def epoch(order: Any) -> Any:
        total = tf.constant(0.0)
        for step in tf.range(steps):
            chosen = order[step * t.batch_windows : (step + 1) * t.batch_windows]
            xb, yb, wb = (tf.gather(part, chosen) for part in data)
            with tf.GradientTape() as tape:
                p = model(xb, training=True)
                loss = tf.reduce_mean(-tf.reduce_sum(yb * tf.math.log(p + 1e-7), axis=1) * wb)
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            total += loss
        return total / steps

    rng = np.random.default_rng(t.seed)
    losses = []
    for number in range(t.epochs):
        losses.append(float(epoch(tf.constant(rng.permutation(len(x))))))
        progress(f"train {config.name}", number + 1, t.epochs)
    if whitener is not None:
        centre, turn = whitener
        first = next(layer for layer in model.layers if isinstance(layer, keras.layers.Dense))
        kernel, bias = first.get_weights()
        first.set_weights([turn @ kernel, bias - centre @ turn @ kernel])
    return Trained(config, model, scaler, tuple(losses))


def _whitener(
    x: NDArray[np.float32], target: NDArray[np.int64], shrinkage: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean of the class means (f,), and the matrix (f, f) that makes the mean covariance within the classes the identity."""
    parts = [x[target == number].astype(np.float64) for number in np.unique(target)]
    covariance = np.mean([np.cov(part, rowvar=False) for part in parts], axis=0)
    size = len(covariance)
    covariance = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / size * np.eye(size)
    values, vectors = np.linalg.eigh(covariance)
    centre = np.mean([part.mean(axis=0) for part in parts], axis=0)
    return centre.astype(np.float32), (vectors / np.sqrt(values)).astype(np.float32)


def _per_scaler(config: Config, features: NDArray[np.int32]) -> NDArray[np.int32]:
    """Features with the axis that the scaler indexes last: (n, f) for bands, (n, samples, channels) for raw."""
    if not config.is_raw:
        return features
    return features.reshape(len(features), config.params.window_samples, config.params.channels)
