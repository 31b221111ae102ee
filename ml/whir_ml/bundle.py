"""From an exported model to one signed file: checked against the hardware class, proven in both engines."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from whir_contracts import contract
from whir_contracts.contract import KernelSet, Level, Scope, Unit
from whir_ml import golden
from whir_ml.artifact import Artifact
from whir_ml.config import Config
from whir_ml.errors import BudgetError, ScopeError
from whir_node.bundle import BundleFields
from whir_node.bundle import build as build_file
from whir_node.engine import Engine, PlannedEngine, TflmEngine, planned

ENGINES = {KernelSet.WHIR_NN: (Engine, PlannedEngine), KernelSet.TFLM_REFERENCE: (TflmEngine,)}


def new_key(path: Path) -> Path:
    """Write a new P-256 private key as PEM, readable by its owner only, and its public key beside it as `.pub.pem`.

    Raises FileExistsError: a key is never overwritten.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        file.write(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
    public = path.with_suffix(".pub.pem")
    public.write_bytes(key.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo))
    return public


def proven_kernels(artifact: Artifact) -> KernelSet:
    """The engines that give every byte of the golden tensors from the planned model, found by running them."""
    model = planned(artifact.model)
    inputs, outputs = golden.read_tensors(artifact.golden_tensors)
    proven = KernelSet(0)
    for kernel_set, engines in ENGINES.items():
        if all(np.array_equal(np.asarray(engine(model).run(inputs)), outputs) for engine in engines):
            proven |= kernel_set
    return proven


def pack(
    config: Config,
    artifact: Artifact,
    evaluation: dict[str, Any],
    *,
    key: ec.EllipticCurvePrivateKey,
    key_id: int,
    version: str,
    counter: int,
) -> bytes:
    """The bundle's bytes. The same artifact, key and numbers give the same bytes.

    Raises:
        ScopeError: absolute level learned in volt cannot be meant for other machines.
        BudgetError: model, golden vectors or arena are too large for the hardware class.
        BundleError: the core would refuse it.
    """
    if config.scope == Scope.ANY_MACHINE and artifact.params.level == Level.ABSOLUTE and artifact.params.unit == Unit.VOLT:
        raise ScopeError(
            f"{config.name}: absolute level learned from data in volt (g scale unknown) means nothing on another machine:"
            ' set features.level = "relative" or model.scope = "training_rig"'
        )
    offered = contract.HARDWARE[config.hardware_class]
    _fit(config, "golden vectors", len(artifact.golden_tensors) + len(artifact.golden_windows), _golden_share(offered))
    _fit(config, "arena", artifact.facts["arena_bytes"], offered["arena_bytes"])
    data = build_file(
        BundleFields(
            model_name=config.name,
            model_version=version,
            security_counter=counter,
            hardware_class=config.hardware_class,
            classes=config.classes,
            arena_bytes=artifact.facts["arena_bytes"],
            kernel_sets=proven_kernels(artifact),
            scope=config.scope,
            raise_permille=config.decide.raise_permille,
            clear_permille=config.decide.clear_permille,
            raise_count=config.decide.raise_count,
            raise_of=config.decide.raise_of,
            off_rms_counts=config.decide.off_rms_counts,
        ),
        params=artifact.params,
        model=planned(artifact.model),
        golden_tensors=artifact.golden_tensors,
        golden_windows=artifact.golden_windows,
        evaluation=json.dumps(evaluation, sort_keys=True, separators=(",", ":")).encode(),
        private_key=key,
        key_id=key_id,
    )
    _fit(config, "bundle", len(data), offered["slot_bytes"])
    return data


def summary(evaluation: dict[str, Any]) -> dict[str, Any]:
    """What of an evaluation goes into the bundle: figures that the fleet compares, not the lists behind them."""
    left_out = {"calibration", "on_recordings", "reliability", "training"}
    return {key: value for key, value in evaluation.items() if key not in left_out}


def _golden_share(offered: dict[str, int]) -> int:
    return offered["slot_bytes"] * contract.BUNDLE_GOLDEN_SHARE_PERCENT // 100


def _fit(config: Config, what: str, needed: int, offered: int) -> None:
    if needed > offered:
        raise BudgetError(config.hardware_class, what, needed, offered)
