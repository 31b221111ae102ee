"""From recordings to features, on one side of the split or the other.

Windows of one recording always stay together: they are too much alike to be on both sides. Features come from the firmware's
C code only; they are cached by the hash of that code, the parameters and the recording.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import importlib.util
import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from whir_contracts import recording
from whir_contracts.params import FeatureParams
from whir_contracts.recording import Recording
from whir_ml import synth
from whir_ml.config import Config
from whir_ml.errors import DatasetError
from whir_node.condition import SensorInfo, condition
from whir_node.condition import windows as cut_windows
from whir_node.errors import FeaturesError
from whir_node.features import extract

Progress = Callable[[str, int, int], None]  # what, done, of how many


def silent(what: str, done: int, total: int) -> None:
    """Progress for callers without a terminal."""


@dataclass(frozen=True)
class Split:
    """Recordings to learn from and recordings that no stage but evaluation may see."""

    train: tuple[Recording, ...]
    held_out: tuple[Recording, ...]


@dataclass(frozen=True, eq=False)
class Examples:
    """Windows of several recordings. features int32 (n, f); target and recording int (n,)."""

    features: NDArray[np.int32]
    target: NDArray[np.int64]
    recording: NDArray[np.int64]  # index into `recordings`
    recordings: tuple[Recording, ...]

    def where(self, mask: NDArray[np.bool_]) -> Examples:
        """These windows alone."""
        return Examples(self.features[mask], self.target[mask], self.recording[mask], self.recordings)


def cache_folder() -> Path:
    """Where features and models are kept between runs: $WHIR_BUILD/cache, else build/cache of the repository."""
    build = os.environ.get("WHIR_BUILD")
    return (Path(build) if build else Path(__file__).resolve().parents[2] / "build") / "cache"


def folder_of(config: Config, data_root: Path | None = None, progress: Progress = silent) -> Path:
    """The folder of the config's data set, by its way from the config or by its name among the data sets; the simulator's own
    set is made in the cache when it is not there yet."""
    if data_root is not None:
        return data_root / config.data.set
    if config.data.set == "synth12k":
        return synth_folder(progress)
    if (config.folder / config.data.set / recording.INDEX_NAME).is_file():
        return config.folder / config.data.set
    return recording.data_set(config.data.set)


def synth_folder(progress: Progress = silent) -> Path:
    """synth12k in a folder named after the simulator's code: other code, other recordings."""
    folder = cache_folder() / f"synth12k-{synth_digest()[:16]}"
    if not (folder / recording.INDEX_NAME).is_file():
        config, done = synth.default_config(), itertools.count(1)
        synth.write(config, folder, progress=lambda: progress("simulate synth12k", next(done), config.recordings))
    return folder


def synth_digest() -> str:
    """SHA-256 of the simulator's code."""
    sources = sorted(Path(synth.__file__).parent.glob("*.*"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in sources if file.suffix in (".py", ".toml"))).hexdigest()


def digest(folder: Path) -> str:
    """SHA-256 over the index and all files that it lists."""
    sha = hashlib.sha256((folder / recording.INDEX_NAME).read_bytes())
    for row in recording.read_index(folder):
        sha.update((folder / row.file).read_bytes())
    return sha.hexdigest()


def read_folds(path: Path) -> dict[str, int]:
    """Recording name → fold, from a CSV with the columns `recording` and `fold`."""
    try:
        with path.open(newline="") as file:
            return {row["recording"]: int(row["fold"]) for row in csv.DictReader(file)}
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such list of folds") from None
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path}: not a CSV of recording,fold: {error}") from None


def load(config: Config, folder: Path, held_out_fold: int | None = None) -> Split:
    """Read the recordings of which the config knows the class and split them; `held_out_fold` overrides the config's."""
    chosen = [rec for rec in recording.load_folder(folder) if config.data.class_of(rec)]
    if config.data.leave_out is not None:
        sides = _left_out(config, chosen, held_out_fold)
    elif config.data.folds is None:
        sides = {rec.name: rec.condition == "test" for rec in chosen}
    else:
        folds = read_folds(config.folder / config.data.folds)
        missing = [rec.name for rec in chosen if rec.name not in folds]
        if missing:
            raise DatasetError(f"{config.data.folds}: {missing[0]} of {folder.name} has no fold")
        fold = config.data.held_out_fold if held_out_fold is None else held_out_fold
        sides = {rec.name: folds[rec.name] == fold for rec in chosen}
    split = Split(
        train=tuple(rec for rec in chosen if not sides[rec.name]),
        held_out=tuple(rec for rec in chosen if sides[rec.name]),
    )
    for side, recs in (("training", split.train), ("held-out", split.held_out)):
        lacking = set(config.classes) - {config.data.class_of(rec) for rec in recs}
        if lacking:
            left = f", with {config.data.leave_out} {config.data.held_out!r} held out" if config.data.leave_out else ""
            raise DatasetError(f"{folder.name}: no {side} recording of class {min(lacking)}{left}")
    return split


def _left_out(config: Config, recs: Sequence[Recording], fold: int | None) -> dict[str, bool]:
    """Whether each recording is held out, by what it says of itself."""
    from whir_ml import splits

    groups = splits.groups_of(config, recs)
    values = sorted(set(groups.values()))
    held_out = config.data.held_out if fold is None else values[fold]
    if held_out not in values:
        raise DatasetError(
            f"{config.name}: no recording has {config.data.leave_out} {held_out!r}; there are {', '.join(values)}"
        )
    return {rec.name: groups[rec.name] == held_out for rec in recs}


def examples(
    config: Config,
    recs: Sequence[Recording],
    *,
    hop_samples: int | None = None,
    time_scales: Iterable[float] = (1.0,),
    cache: Path | None = None,
    progress: Progress = silent,
) -> Examples:
    """Windows and features of recordings, each replayed once per time scale. Order: scale, recording, time."""
    hop = config.params.hop_samples if hop_samples is None else hop_samples
    scales = list(time_scales)
    features_of, target, index = [], [], []
    for scale_number, scale in enumerate(scales):
        for number, rec in enumerate(recs):
            name = config.data.class_of(rec)
            if name is None:
                raise DatasetError(f"{rec.name}: {config.name} has no class for {rec.label} / {rec.sublabel}")
            features_of.append(features(config.params, rec, hop, scale, cache=cache))
            target.append(np.full(len(features_of[-1]), config.classes.index(name)))
            index.append(np.full(len(features_of[-1]), number))
            progress("features", scale_number * len(recs) + number + 1, len(scales) * len(recs))
    return Examples(np.concatenate(features_of), np.concatenate(target), np.concatenate(index), tuple(recs))


def training_examples(config: Config, split: Split, *, cache: Path | None = None, progress: Progress = silent) -> Examples:
    """What the network learns from: overlapping windows of the training recordings, at every time scale."""
    t = config.training
    return examples(config, split.train, hop_samples=t.hop_samples, time_scales=t.time_scales, cache=cache, progress=progress)


def windows(params: FeatureParams, rec: Recording, hop_samples: int, time_scale: float = 1.0) -> NDArray[np.int16]:
    """Conditioned windows int16 (k, samples, channels) of one recording, replayed `time_scale` times as fast."""
    if rec.rate_hz * time_scale < params.rate_hz <= rec.rate_hz:
        # A slower machine needs samples between the samples; twice the rate is always enough (time_scale >= 0.5).
        between = np.rint(resample_poly(rec.samples.astype(np.float64), 2, 1, axis=0))
        samples = np.clip(between, -32768, 32767).astype(np.int16)
        rec = dataclasses.replace(rec, samples=samples, rate_hz=2 * rec.rate_hz)
    facts = rec.sensor()
    sensor = SensorInfo(
        name=rec.name,
        rate_hz=rec.rate_hz * time_scale,
        bandwidth_hz=facts.bandwidth_hz,
        range_milli=facts.range_milli,
        noise_ug_rthz=facts.noise_ug_rthz,
        # The same displacements in 1 / time_scale of the time: accelerations grow with its square.
        lsb_nano=round(facts.lsb_nano * time_scale**2),
        unit=facts.unit,
        channels=facts.channels,
    )
    cut = cut_windows(params, condition(params, sensor, rec.counts(facts.lsb_nano)), hop_samples)
    if len(cut) == 0:
        raise DatasetError(f"{rec.name}: {rec.seconds:.3g} s is shorter than one window of {params.window_samples} samples")
    return cut


def features(
    params: FeatureParams, rec: Recording, hop: int, scale: float = 1.0, *, cache: Path | None = None
) -> NDArray[np.int32]:
    """int32 (k, f) of one recording, from the cache when it is there."""
    if cache is None:
        return _extracted(params, rec, hop, scale)
    speed = f" {rec.rpm!r}" if params.by_order else ""
    sha = hashlib.sha256(core_digest().encode() + params.to_tlv() + f"{hop} {scale!r} {rec.rate_hz!r}{speed}".encode())
    sha.update(rec.scale.tobytes() + rec.samples.tobytes())
    path = cache / "features" / f"{sha.hexdigest()[:32]}.npy"
    if path.is_file():
        saved: NDArray[np.int32] = np.load(path)
        return saved
    made = _extracted(params, rec, hop, scale)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.npy")
    np.save(part, made)
    part.replace(path)
    return made


def _extracted(params: FeatureParams, rec: Recording, hop: int, scale: float) -> NDArray[np.int32]:
    rpm = rec.rpm * scale
    if params.by_order and np.isnan(rpm):
        raise DatasetError(f"{rec.name}: order bands ask for the speed of the shaft, and the recording does not state its rpm")
    try:
        return extract(params, windows(params, rec, hop, scale), rpm)
    except FeaturesError:
        raise DatasetError(
            f"{rec.name}: the order bands are not defined at {rpm:g} r/min (docs/SPEC.md, Order bands)"
        ) from None


def core_digest() -> str:
    """SHA-256 of the compiled core: other code, other features."""
    spec = importlib.util.find_spec("whir_node._core")
    if spec is None or spec.origin is None:
        raise DatasetError("the compiled core (whir_node/_core) is missing: run `make core`, or reinstall whir")
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()
