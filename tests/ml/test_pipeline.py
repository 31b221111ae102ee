"""All stages in a row: cached by what makes a model, and on the real rig when its recordings are there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from whir_contracts import recording
from whir_contracts.recording import DataFolderError
from whir_ml import config as configs
from whir_ml.pipeline import BuiltBundle, build_bundle, model_digest
from whir_node.bundle import inspect


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def build(rig: Path, cache: Path, key: ec.EllipticCurvePrivateKey, **changes: int) -> BuiltBundle:
    options = {"epochs": 3, **changes}
    return build_bundle(
        rig / "rig.toml", key=key, key_id=1, version="1.0.0", counter=1, cache_dir=cache, data_root=rig, **options
    )


def test_a_second_run_is_cached_and_gives_the_same_model(rig: Path, cache: Path, key: ec.EllipticCurvePrivateKey) -> None:
    first, second = build(rig, cache, key, seed=1), build(rig, cache, key, seed=1)
    assert (first.cached, second.cached) == (False, True)
    assert first.metrics == second.metrics
    model = inspect(second.path.read_bytes(), {1: key.public_key()}).model
    other = build(rig, cache, key, seed=2)
    assert not other.cached
    assert inspect(other.path.read_bytes(), {1: key.public_key()}).model != model


def test_held_out_files_are_the_recordings_that_were_not_trained_on(
    rig: Path, cache: Path, key: ec.EllipticCurvePrivateKey
) -> None:
    built = build(rig, cache, key, seed=1)
    assert sorted(path.stem for path in built.held_out) == sorted(f"{c}{n}" for c in ("normal", "hum", "knock") for n in (0, 3))
    assert all(path.is_file() for path in built.held_out)


def test_a_model_broken_off_before_its_evaluation_is_made_again(
    rig: Path, cache: Path, key: ec.EllipticCurvePrivateKey
) -> None:
    built = build(rig, cache, key, seed=1)
    (built.path.parent / "evaluation.json").unlink()
    assert not build(rig, cache, key, seed=1).cached


def test_a_cached_model_is_packed_without_tensorflow(rig: Path, cache: Path, key: ec.EllipticCurvePrivateKey) -> None:
    build(rig, cache, key, seed=1)
    script = (
        "import sys; from pathlib import Path; from cryptography.hazmat.primitives.asymmetric import ec\n"
        "from whir_ml.pipeline import build_bundle\n"
        f"b = build_bundle({str(rig / 'rig.toml')!r}, key=ec.generate_private_key(ec.SECP256R1()), key_id=1, version='1.0.0',\n"
        f"    counter=1, cache_dir=Path({str(cache)!r}), data_root=Path({str(rig)!r}), epochs=3, seed=1)\n"
        "assert b.cached and 'tensorflow' not in sys.modules, b"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_folds_and_data_are_part_of_the_digest(rig: Path, tmp_path: Path) -> None:
    config = configs.load(rig / "rig.toml")
    before = model_digest(config, rig / "rig")
    assert model_digest(config, rig / "rig") == before
    for path in rig.rglob("*.*"):
        (tmp_path / path.relative_to(rig)).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path.relative_to(rig)).write_bytes(path.read_bytes())
    copy = configs.load(tmp_path / "rig.toml")
    assert model_digest(copy, tmp_path / "rig") == before
    (tmp_path / "folds.csv").write_text((rig / "folds.csv").read_text().replace("hum1,1", "hum1,2"))
    assert model_digest(copy, tmp_path / "rig") != before


def test_adi4k_learns_the_real_rig_and_beats_one_layer(cache: Path, key: ec.EllipticCurvePrivateKey) -> None:
    try:
        recording.data_set("adi_cbm")
    except DataFolderError as error:
        pytest.skip(f"REAL RECORDINGS NOT TESTED: {error}")
    network, linear = (
        build_bundle(name, key=key, key_id=1, version="1.0.0", counter=1, cache_dir=cache, epochs=epochs)
        for name, epochs in (("adi4k", 4), ("adi4k-linear", None))
    )
    scores = [built.metrics["int8"]["verdict"]["balanced_accuracy"] for built in (network, linear)]
    assert scores[0] > scores[1]
    assert scores[0] > 0.9
    right = {path.stem for path in network.held_out} - {row["recording"] for row in network.metrics["wrong_recordings"]}
    labels = {recording.load(path).label for path in network.held_out if path.stem in right}
    assert labels >= {"normal", "imbalance", "bearing"}
    assert network.metrics["verdicts_changed_by_int8"] == 0
