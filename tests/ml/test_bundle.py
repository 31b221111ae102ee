"""Bundles: what a node can check is in them, and what must not leave the house is refused with the numbers."""

from __future__ import annotations

import dataclasses
import json
import stat
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from whir_contracts import contract
from whir_contracts.contract import KernelSet, Level, Scope, Unit
from whir_ml import bundle, golden
from whir_ml.artifact import Artifact
from whir_ml.config import Config
from whir_ml.errors import ArtifactError, BudgetError, ScopeError
from whir_node.bundle import BundleInfo, inspect
from whir_node.crypto import load_private_key, load_public_key
from whir_node.engine import planned

FIGURES = {"name": "rig", "int8": {"verdict": {"balanced_accuracy": 1.0}}}


def packed(config: Config, artifact: Artifact, key: ec.EllipticCurvePrivateKey) -> bytes:
    return bundle.pack(config, artifact, FIGURES, key=key, key_id=3, version="1.2.0", counter=5)


@pytest.fixture
def info(rig_config: Config, artifact: Artifact, key: ec.EllipticCurvePrivateKey) -> BundleInfo:
    return inspect(packed(rig_config, artifact, key), {3: key.public_key()}, hardware_class="esp32", security_counter_min=5)


def test_the_core_accepts_it_and_reads_what_went_in(info: BundleInfo, rig_config: Config, artifact: Artifact) -> None:
    assert (info.model_name, info.model_version, info.security_counter) == ("rig", "1.2.0", 5)
    assert info.classes == ("normal", "hum", "knock")
    assert info.model == planned(artifact.model)
    assert info.model.startswith(artifact.model)
    assert info.params == artifact.params
    assert info.arena_bytes == artifact.facts["arena_bytes"]
    assert info.scope == Scope.ANY_MACHINE
    assert (info.raise_permille, info.raise_count, info.raise_of) == (800, 3, 5)
    assert json.loads(info.evaluation) == FIGURES


def test_its_vectors_are_proven_for_both_engines(info: BundleInfo) -> None:
    assert info.kernel_sets == KernelSet.WHIR_NN | KernelSet.TFLM_REFERENCE


def test_vectors_that_no_engine_gives_are_proven_for_none(artifact: Artifact) -> None:
    inputs, outputs = golden.read_tensors(artifact.golden_tensors)
    outputs[1, 0] ^= 1
    changed = dataclasses.replace(artifact, golden_tensors=golden.tensors(inputs, outputs))
    assert bundle.proven_kernels(changed) == KernelSet(0)


def test_the_same_input_gives_the_same_bytes(rig_config: Config, artifact: Artifact, key: ec.EllipticCurvePrivateKey) -> None:
    first, second = (packed(rig_config, artifact, key) for _ in range(2))
    assert first == second  # signature too: its nonce comes from key and content (RFC 6979)


def test_an_arena_over_the_hardware_class_is_refused_with_the_numbers(
    rig_config: Config, artifact: Artifact, key: ec.EllipticCurvePrivateKey
) -> None:
    greedy = dataclasses.replace(artifact, facts={**artifact.facts, "arena_bytes": 40_000})
    with pytest.raises(BudgetError, match=r"arena needs 40,000 bytes, hardware class esp32 offers 32,768"):
        packed(rig_config, greedy, key)


def test_golden_vectors_over_their_share_are_refused_with_the_numbers(
    rig_config: Config, artifact: Artifact, key: ec.EllipticCurvePrivateKey
) -> None:
    many = golden.tensors(np.zeros((4000, 18), np.int8), np.zeros((4000, 3), np.int8))
    with pytest.raises(BudgetError, match=r"golden vectors needs \d+,\d+ bytes, hardware class esp32 offers 65,536"):
        packed(rig_config, dataclasses.replace(artifact, golden_tensors=many), key)


def test_a_bundle_over_the_slot_is_refused_with_the_numbers(
    rig_config: Config, artifact: Artifact, key: ec.EllipticCurvePrivateKey
) -> None:
    long = {**FIGURES, "note": "x" * contract.BUNDLE_SLOT_BYTES}
    with pytest.raises(BudgetError, match=r"bundle needs \d+,\d+ bytes, hardware class esp32 offers 262,144"):
        bundle.pack(rig_config, artifact, long, key=key, key_id=3, version="1.0.0", counter=1)


def in_volt(artifact: Artifact, level: Level) -> Artifact:
    return dataclasses.replace(artifact, params=dataclasses.replace(artifact.params, unit=Unit.VOLT, level=level))


def test_absolute_level_learned_in_volt_is_for_the_rig_only(
    rig_config: Config, artifact: Artifact, key: ec.EllipticCurvePrivateKey
) -> None:
    with pytest.raises(ScopeError, match="training_rig"):
        packed(rig_config, in_volt(artifact, Level.ABSOLUTE), key)
    assert packed(rig_config, in_volt(artifact, Level.RELATIVE), key)
    assert packed(dataclasses.replace(rig_config, scope=Scope.TRAINING_RIG), in_volt(artifact, Level.ABSOLUTE), key)


def test_a_new_key_signs_and_is_readable_by_its_owner_only(rig_config: Config, artifact: Artifact, tmp_path: Path) -> None:
    public = bundle.new_key(tmp_path / "keys/key.pem")
    assert public == tmp_path / "keys/key.pub.pem"
    assert stat.S_IMODE((tmp_path / "keys/key.pem").stat().st_mode) == 0o600
    data = packed(rig_config, artifact, load_private_key(tmp_path / "keys/key.pem"))
    assert inspect(data, {3: load_public_key(public)}).key_id == 3


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    bundle.new_key(tmp_path / "key.pem")
    before = (tmp_path / "key.pem").read_bytes()
    with pytest.raises(FileExistsError):
        bundle.new_key(tmp_path / "key.pem")
    assert (tmp_path / "key.pem").read_bytes() == before


def test_an_artifact_survives_its_files(artifact: Artifact, tmp_path: Path) -> None:
    artifact.save(tmp_path)
    assert Artifact.load(tmp_path) == artifact


def test_a_folder_without_a_model_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="whir export"):
        Artifact.load(tmp_path)
