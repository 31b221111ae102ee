"""Training: the same bytes for the same seed, statistics of the training side, and files that remember their config."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from whir_contracts import contract
from whir_ml import dataset, networks
from whir_ml import train as stage
from whir_ml.config import Config, Layer
from whir_ml.dataset import Examples
from whir_ml.errors import ArtifactError
from whir_ml.train import Trained, fit, fit_scaler

Sides = tuple[Examples, Examples]


def test_the_same_seed_gives_the_same_weights(rig_config: Config, sides: Sides) -> None:
    config = rig_config.reduced(epochs=2)
    one, two, other = (fit(c, sides[0]).model.get_weights() for c in (config, config, config.reduced(seed=4)))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_network_learns_what_it_is_shown(trained: Trained, sides: Sides) -> None:
    assert trained.losses[-1] < 0.5 * trained.losses[0]
    assert (trained.predict(sides[0].features).argmax(axis=1) == sides[0].target).mean() > 0.95


def test_bands_are_scaled_by_feature_with_training_statistics(rig_config: Config, sides: Sides) -> None:
    scaler = fit_scaler(rig_config, sides[0].features)
    x = scaler.apply(rig_config, sides[0].features)
    assert np.allclose(x.mean(axis=0), 0, atol=0.2)
    assert np.allclose(scaler.mean, sides[0].features.mean(axis=0))
    assert x.dtype == np.float32


def test_input_is_clipped_at_eight_deviations(rig_config: Config, sides: Sides) -> None:
    scaler = fit_scaler(rig_config, sides[0].features)
    far = sides[0].features[:1] + 10_000_000
    assert (scaler.apply(rig_config, far) == stage.INPUT_LIMIT).all()


def test_a_feature_that_never_moves_is_scaled_by_one_count(rig_config: Config, sides: Sides) -> None:
    features = sides[0].features.copy()
    features[:, 3] = 500
    scaler = fit_scaler(rig_config, features)
    assert scaler.std[3] == 1.0
    assert (scaler.apply(rig_config, features)[:, 3] == 0).all()


def raw(config: Config, layers: tuple[Layer, ...]) -> Config:
    params = dataclasses.replace(
        config.params, kind=contract.FeatureKind.RAW, level=contract.Level.ABSOLUTE, stats=0, band_edges_bins=()
    )
    training = dataclasses.replace(config.training, whitening=0.0, epochs=1)
    return dataclasses.replace(config, params=params, layers=layers, training=training)


def test_raw_windows_are_scaled_by_channel_and_keep_their_order(rig: Path, rig_config: Config) -> None:
    config = raw(rig_config, (Layer("conv", filters=4, kernel=9, stride=4), Layer("mean")))
    rec = dataset.load(config, rig / "rig").train[0]
    examples = dataset.examples(config, [rec])
    scaler = fit_scaler(config, examples.features)
    assert scaler.std.shape == (3,)
    x = scaler.apply(config, examples.features)
    assert x.shape == (11, 256, 1, 3)
    window = rec.samples[:256].astype(float)
    wanted = (window - window.mean(axis=0))[100] / scaler.std
    assert np.allclose(x[0, 100, 0], wanted, atol=0.05)


def test_every_kind_of_layer_can_be_trained(rig: Path, rig_config: Config) -> None:
    layers = (
        Layer("conv", filters=4, kernel=9, stride=4),
        Layer("separable", filters=6, kernel=5, stride=2),
        Layer("flatten", dropout=0.1),
        Layer("dense", units=5),
    )
    config = raw(rig_config, layers)
    examples = dataset.examples(config, dataset.load(config, rig / "rig").train)
    probabilities = fit(config, examples).predict(examples.features)
    assert probabilities.shape == (len(examples.target), 3)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_whitening_makes_the_scatter_within_the_classes_round() -> None:
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(4, 4))
    target = np.repeat([0, 1], 3000)
    x = (rng.normal(size=(6000, 4)) @ mix + target[:, None] * 3).astype(np.float32)
    centre, turn = stage._whitener(x, target, 1e-6)
    turned = (x - centre) @ turn
    for number in (0, 1):
        assert np.allclose(np.cov(turned[target == number], rowvar=False), np.eye(4), atol=0.1)


def test_whitening_is_folded_into_the_network(rig_config: Config, sides: Sides) -> None:
    """The exported network takes plain scaled features: it has no layer of its own for it, and it still predicts right."""
    model = fit(rig_config, sides[0])
    dense = [layer for layer in model.model.layers if layer.get_weights()]
    assert len(dense) == 2
    assert (model.predict(sides[1].features).argmax(axis=1) == sides[1].target).mean() > 0.9


def test_the_inference_network_is_the_same_without_noise_at_batch_one(trained: Trained, sides: Sides) -> None:
    plain = networks.for_inference(trained.model)
    assert plain.input_shape == (1, 18)
    x = trained.scaler.apply(trained.config, sides[1].features[:1])
    assert np.allclose(np.asarray(plain(x)), trained.predict(sides[1].features[:1]), atol=1e-6)


def test_what_is_saved_predicts_the_same(trained: Trained, sides: Sides, tmp_path: Path) -> None:
    trained.save(tmp_path)
    loaded = Trained.load(trained.config, tmp_path)
    assert np.array_equal(loaded.predict(sides[1].features), trained.predict(sides[1].features))
    assert loaded.losses == pytest.approx(trained.losses)


def test_epochs_and_seed_of_a_training_are_remembered(rig_config: Config, sides: Sides, tmp_path: Path) -> None:
    fit(rig_config.reduced(epochs=1, seed=8), sides[0]).save(tmp_path)
    assert Trained.load(rig_config, tmp_path).config.training.seed == 8


def test_a_config_changed_since_training_is_refused(trained: Trained, tmp_path: Path) -> None:
    trained.save(tmp_path)
    other = dataclasses.replace(trained.config, calibration_windows=7)
    with pytest.raises(ArtifactError, match="whir train rig"):
        Trained.load(other, tmp_path)


def test_a_folder_without_training_names_the_command(rig_config: Config, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="whir train rig"):
        Trained.load(rig_config, tmp_path)
