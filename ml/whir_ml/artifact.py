"""The files between the stages, in one folder per model. Nothing here needs TensorFlow: a bundle can be made without it.

training.npz  weights, scaler, losses            (train)
training.json config's digest, epochs, seed
model.tflite features.tlv golden_tensors.bin golden_windows.bin export.json   (export)
evaluation.json evaluation.html                                             (evaluate)
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whir_contracts.params import FeatureParams
from whir_ml.config import Config
from whir_ml.errors import ArtifactError


@dataclass(frozen=True)
class Artifact:
    """An exported model as its files: what a bundle is packed from."""

    model: bytes
    params: FeatureParams
    golden_tensors: bytes
    golden_windows: bytes
    facts: dict[str, Any]  # export.json

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.tflite").write_bytes(self.model)
        (folder / "features.tlv").write_bytes(self.params.to_tlv())
        (folder / "golden_tensors.bin").write_bytes(self.golden_tensors)
        (folder / "golden_windows.bin").write_bytes(self.golden_windows)
        write_json(folder / "export.json", self.facts)

    @classmethod
    def load(cls, folder: Path) -> Artifact:
        """Raises ArtifactError when the export stage has not been here."""
        facts = read_json(folder / "export.json", "whir export")
        return cls(
            model=(folder / "model.tflite").read_bytes(),
            params=FeatureParams.from_tlv((folder / "features.tlv").read_bytes()),
            golden_tensors=(folder / "golden_tensors.bin").read_bytes(),
            golden_windows=(folder / "golden_windows.bin").read_bytes(),
            facts=facts,
        )


def config_digest(config: Config) -> str:
    """SHA-256 of everything in a config."""
    return hashlib.sha256(json.dumps(config.described(), sort_keys=True, default=str).encode()).hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Sorted keys and a final newline: the same values give the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_json(path: Path, made_by: str) -> dict[str, Any]:
    """Read what an earlier stage wrote; ArtifactError names the command that writes it."""
    try:
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactError(f"{path}: no such file: run `{made_by}` first") from None
    except json.JSONDecodeError as error:
        raise ArtifactError(f"{path}: broken, run `{made_by}` again: {error}") from None
    return value
