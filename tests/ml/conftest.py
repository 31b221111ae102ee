"""The small rig, and what the stages make of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_rig
from cryptography.hazmat.primitives.asymmetric import ec

from whir_ml import config as configs
from whir_ml import dataset
from whir_ml.artifact import Artifact
from whir_ml.config import Config
from whir_ml.dataset import Examples
from whir_ml.export import Exported, export
from whir_ml.train import Trained, fit


@pytest.fixture(scope="session")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root that holds the set `rig`, its config `rig.toml` and its folds."""
    root = tmp_path_factory.mktemp("data")
    small_rig.write(root)
    return root


@pytest.fixture(scope="session")
def rig_config(rig: Path) -> Config:
    return configs.load(rig / "rig.toml")


@pytest.fixture(scope="session")
def sides(rig: Path, rig_config: Config) -> tuple[Examples, Examples]:
    """Plain windows of the training and of the held-out recordings."""
    split = dataset.load(rig_config, rig / "rig")
    return dataset.examples(rig_config, split.train), dataset.examples(rig_config, split.held_out)


@pytest.fixture(scope="session")
def trained(rig: Path, rig_config: Config) -> Trained:
    return fit(rig_config, dataset.training_examples(rig_config, dataset.load(rig_config, rig / "rig")))


@pytest.fixture(scope="session")
def exported(trained: Trained, sides: tuple[Examples, Examples]) -> Exported:
    return export(trained, *sides)


@pytest.fixture(scope="session")
def artifact(exported: Exported, rig_config: Config, sides: tuple[Examples, Examples]) -> Artifact:
    return exported.artifact(rig_config, sides[1])


@pytest.fixture(scope="session")
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())
