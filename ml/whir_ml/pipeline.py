"""All stages in a row, cached: what the demo, the tests and the benchmarks call.

TensorFlow is imported only when something has to be trained: a later run packs the cached model in a second.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec

from whir_contracts import recording
from whir_ml import artifact as files
from whir_ml import bundle, dataset
from whir_ml import config as configs
from whir_ml.artifact import Artifact
from whir_ml.config import Config
from whir_ml.dataset import Progress, silent

# What changes a model when it changes; the compiled core and the libraries count too.
_MODULES: Final = (
    "alerting", "artifact", "backend", "config", "dataset", "evaluate", "export", "golden", "inner", "networks", "pipeline",
    "scores", "splits", "temperature", "train",
)  # fmt: skip
_LIBRARIES: Final = ("keras", "numpy", "tensorflow-cpu", "tflite-micro")


@dataclass(frozen=True)
class BuiltBundle:
    """A signed bundle on disk. `metrics` is the evaluation; `held_out` are files of recordings that the model never saw."""

    path: Path
    metrics: dict[str, Any]
    held_out: tuple[Path, ...]
    cached: bool
    config: Config


def build_bundle(
    config_name_or_path: str | Path,
    *,
    key: ec.EllipticCurvePrivateKey,
    key_id: int,
    version: str,
    counter: int,
    seed: int | None = None,
    epochs: int | None = None,
    cache_dir: Path | None = None,
    data_root: Path | None = None,
    progress: Progress = silent,
) -> BuiltBundle:
    """Train, export, evaluate and pack; the first three only when code, config, seed or data differ from any earlier run.

    Raises:
        MlError: with one line that says what to do.
        RecordingError: the data are missing or broken.
    """
    config = configs.load(config_name_or_path).reduced(epochs=epochs, seed=seed)
    cache = cache_dir or dataset.cache_folder()
    data = dataset.folder_of(config, data_root, progress)
    folder = cache / "models" / f"{config.name}-{model_digest(config, data)[:24]}"
    cached = (folder / "evaluation.json").is_file()  # written last
    if not cached:
        build_model(config, data, folder, cache, progress)
    metrics = files.read_json(folder / "evaluation.json", "whir evaluate")
    packed = bundle.pack(
        config,
        Artifact.load(folder),
        bundle.summary(metrics),
        key=key,
        key_id=key_id,
        version=version,
        counter=counter,
    )
    path = folder / f"{config.name}-{version}.whir"
    path.write_bytes(packed)
    names = set(metrics["data"]["held_out_recordings"])
    held_out = tuple(data / row.file for row in recording.read_index(data) if Path(row.file).stem in names)
    return BuiltBundle(path, metrics, held_out, cached, config)


def build_model(config: Config, data: Path, folder: Path, cache: Path, progress: Progress = silent) -> dict[str, Any]:
    """Train, export and evaluate into `folder`, and return the evaluation."""
    from whir_ml import evaluate, export
    from whir_ml.temperature import calibrated

    split = dataset.load(config, data)
    learned = dataset.training_examples(config, split, cache=cache, progress=progress)
    plain = dataset.examples(config, split.train, cache=cache, progress=progress)
    held_out = dataset.examples(config, split.held_out, cache=cache, progress=progress)
    trained = calibrated(config, learned, plain, progress)
    trained.save(folder)
    exported = export.export(trained, plain, held_out)
    exported.artifact(config, held_out).save(folder)
    metrics = evaluate.evaluate(trained, exported, plain, held_out, calibration=False, progress=progress)
    files.write_json(folder / "evaluation.json", metrics)
    return metrics


def model_digest(config: Config, data: Path) -> str:
    """SHA-256 over code, libraries, config (seed and epochs with it), folds and data."""
    here = Path(__file__).parent
    sha = hashlib.sha256(dataset.core_digest().encode())
    for module in _MODULES:
        sha.update((here / f"{module}.py").read_bytes())
    for library in _LIBRARIES:
        sha.update(f"{library} {metadata.version(library)}".encode())
    sha.update(files.config_digest(config).encode())
    if config.data.folds is not None:
        sha.update((config.folder / config.data.folds).read_bytes())
    sha.update(dataset.digest(data).encode())
    return sha.hexdigest()
