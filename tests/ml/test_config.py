"""Configs: every key is known, every value has its limits, and what is wrong is named with file and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from whir_contracts.contract import FeatureKind, Level, Scope
from whir_ml import config as configs
from whir_ml.config import Config
from whir_ml.errors import ConfigError


@pytest.fixture
def text(rig: Path) -> str:
    return (rig / "rig.toml").read_text()


def load_text(folder: Path, text: str) -> Config:
    (folder / "changed.toml").write_text(text)
    return configs.load(folder / "changed.toml")


@pytest.mark.parametrize("path", sorted(configs.FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_every_committed_config_loads_and_is_named_after_its_file(path: Path) -> None:
    assert configs.load(path.stem).name == path.stem


def test_values_come_out_as_the_contract_counts_them(rig_config: Config) -> None:
    assert rig_config.params.kind == FeatureKind.BANDS
    assert rig_config.params.level == Level.RELATIVE
    assert rig_config.params.axes == 0b111
    assert rig_config.params.channels == 3
    assert rig_config.params.stats == 0b0100
    assert rig_config.params.feature_count == 3 * (5 + 1)
    assert rig_config.scope == Scope.ANY_MACHINE
    assert rig_config.decide.raise_permille == 800


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("seed = 3", "seed = 3\nepoch = 12", "training.epoch"),
        ("seed = 3\n", "", "training.seed"),
        ("noise = 0.5", "noise = 1.5", "training.noise"),
        ("time_scales = [1.0, 1.1]", "time_scales = [1.1]", "training.time_scales"),
        ('kind = "bands"', 'kind = "band"', "features.kind"),
        ('axes = ["x", "y", "z"]', 'axes = ["x", "w"]', "features.axes"),
        ("band_edges_bins = [1, 8, 16, 32, 64, 128]", "band_edges_bins = [1, 8, 8]", "features"),
        ("band_edges_bins = [1, 8, 16, 32, 64, 128]", "band_edges_bins = [1, 200]", "features"),
        ("rate_hz = 1000\n", "", "features.rate_hz"),
        ('hardware_class = "esp32"', 'hardware_class = "abacus"', "model.hardware_class"),
        ('scope = "any_machine"', 'scope = "everywhere"', "model.scope"),
        ('knock = "knock"', 'knock = "hum"', "data.labels"),
        ('knock = "knock"', 'knock = "thud"', "data.labels.knock"),
        ("held_out_fold = 0\n", "", "data.folds"),
        ('kind = "dense"\nunits = 8', 'kind = "dense"', "layer[0].units"),
        ('kind = "dense"\nunits = 8', 'kind = "mean"', "layer"),
        ("windows = 60", "windows = 0", "calibration.windows"),
        ("[calibration]", "[decide]\nraise_permille = 400\n[calibration]", "decide.clear_permille"),
        ("[calibration]", "[decide]\nraise_of = 9\n[calibration]", "decide.raise_count"),
        ("[calibration]", "[calibrations]\n[calibration]", "calibrations"),
    ],
)
def test_a_wrong_value_is_named_with_file_and_key(tmp_path: Path, text: str, old: str, new: str, key: str) -> None:
    assert old in text
    with pytest.raises(ConfigError) as caught:
        load_text(tmp_path, text.replace(old, new, 1))
    assert caught.value.key == key
    assert "changed.toml" in str(caught.value)


def test_an_unknown_name_lists_the_configs_that_exist() -> None:
    with pytest.raises(ConfigError, match="adi4k-linear"):
        configs.load("adi5k")


def test_broken_toml_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not TOML"):
        load_text(tmp_path, "[model")


def test_reduced_changes_effort_and_seed_only(rig_config: Config) -> None:
    other = rig_config.reduced(epochs=2, seed=9)
    assert (other.training.epochs, other.training.seed) == (2, 9)
    assert rig_config.reduced() == rig_config
    assert other.reduced(epochs=12, seed=3) == rig_config
