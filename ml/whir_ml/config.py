"""Training configs: one TOML file says all that makes a model, from data set to alert thresholds.

Nothing has a second home: `features` are the contract's parameters by their names (`contracts/features.toml`), with enum
values spelled out; `offset` and `gain_q16` are missing because export computes them.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from whir_contracts import contract
from whir_contracts.params import FeatureParams, ParamsError
from whir_contracts.recording import Recording
from whir_ml.errors import ConfigError

# Beside the package in the repository.
_PACKAGE: Final = Path(__file__).resolve().parent
# `whir_ml/configs` when installed, `ml/configs` in the tree
FOLDER: Final = _PACKAGE / "configs" if (_PACKAGE / "configs").is_dir() else _PACKAGE.parent / "configs"
# How a user calls what may be left out, and the field of a recording that says it; "recording" deals them out in four parts.
LEAVE_OUT: Final = {
    "recording": "name", "speed": "rpm", "load": "load", "machine": "machine", "position": "mounting", "session": "condition",
}  # fmt: skip
LAYER_KEYS: Final[dict[str, tuple[set[str], set[str]]]] = {
    # kind: (required, optional)
    "dense": ({"units"}, {"dropout"}),
    "conv": ({"filters", "kernel", "stride"}, set()),
    "separable": ({"filters", "kernel", "stride"}, set()),
    "mean": (set(), set()),
    "flatten": (set(), {"dropout"}),
}


@dataclass(frozen=True)
class Data:
    """Where recordings come from, which class each label is, and which side of the split each recording is on."""

    set: str
    labels: dict[str, str]  # sublabel or label of the recording → class; recordings of others are left out
    folds: str | None  # CSV beside the config (file stem, fold)
    held_out_fold: int
    leave_out: str | None = None  # what the recordings say of themselves, one of LEAVE_OUT; recordings alike stay together
    held_out: str = ""  # which of them is not learned from. Neither folds nor this: the conditions are `train` and `test`

    def class_of(self, rec: Recording) -> str | None:
        """The recording's class: by its sublabel where that is listed, else by its label; None leaves it out."""
        return self.labels.get(rec.sublabel) or self.labels.get(rec.label)


@dataclass(frozen=True)
class Layer:
    kind: str
    units: int = 0
    filters: int = 0
    kernel: int = 0
    stride: int = 1
    dropout: float = 0.0


@dataclass(frozen=True)
class Training:
    """How the network learns. `time_scales` replays each recording as if the machine ran faster or slower (the measured rate
    is told to the conditioner as rate × scale). `whitening` over 0 learns in the space in which the scatter within the
    classes is round (its covariance shrunk by that share), and folds the way there into the first layer. `noise` is white, in
    standard deviations of what the network learns on: within-class scatter when whitened, else all of it."""

    epochs: int
    learning_rate: float
    weight_decay: float
    batch_windows: int
    hop_samples: int
    seed: int
    noise: float
    whitening: float
    label_smoothing: float
    time_scales: tuple[float, ...]


@dataclass(frozen=True)
class Decide:
    raise_permille: int
    clear_permille: int
    raise_count: int
    raise_of: int
    off_rms_counts: int


@dataclass(frozen=True)
class Config:
    """One model. `params` has no scaler yet: export fits it."""

    name: str
    classes: tuple[str, ...]
    hardware_class: str
    scope: contract.Scope
    data: Data
    params: FeatureParams
    layers: tuple[Layer, ...]
    training: Training
    calibration_windows: int
    decide: Decide
    folder: Path  # where relative names in the config start

    @property
    def is_raw(self) -> bool:
        return self.params.kind == contract.FeatureKind.RAW

    def described(self) -> dict[str, Any]:
        """Everything that makes the model, as plain values: what the cache hashes."""
        return {key: value for key, value in dataclasses.asdict(self).items() if key != "folder"}

    def reduced(self, *, epochs: int | None = None, seed: int | None = None) -> Config:
        """The same model with another effort or seed."""
        training = dataclasses.replace(
            self.training,
            epochs=self.training.epochs if epochs is None else epochs,
            seed=self.training.seed if seed is None else seed,
        )
        return dataclasses.replace(self, training=training)


def path_of(name_or_path: str | Path) -> Path:
    """The file of a name in ml/configs, or the path itself."""
    path = Path(name_or_path)
    return path if path.suffix == ".toml" else FOLDER / f"{name_or_path}.toml"


def load(name_or_path: str | Path) -> Config:
    """Read a config by its name in ml/configs or by path; ConfigError names file and key."""
    path = path_of(name_or_path)
    return parse(read(path), path)


def read(path: Path) -> dict[str, Any]:
    """The file's tables, unchecked; ConfigError: there is none, or it is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.toml")))
        raise ConfigError(str(path), "", f"no such config; there are {known}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(path), "", f"not TOML: {error}") from None


def parse(document: Mapping[str, Any], path: Path) -> Config:
    """Check a parsed document and give it types."""
    return _Reader(str(path)).config(document, path.parent)


class _Reader:
    """Reads tables key by key, so that a spelling mistake is an error and not a default."""

    def __init__(self, file: str) -> None:
        self.file = file

    def fail(self, key: str, reason: str) -> ConfigError:
        return ConfigError(self.file, key, reason)

    def table(self, document: Mapping[str, Any], key: str, names: set[str], optional: set[str] | None = None) -> dict[str, Any]:
        value = document.get(key)
        if not isinstance(value, dict):
            raise self.fail(key, "table is missing")
        missing, unknown = names - value.keys(), value.keys() - names - (optional or set())
        if missing:
            raise self.fail(f"{key}.{min(missing)}", "is missing")
        if unknown:
            raise self.fail(f"{key}.{min(unknown)}", "no such key")
        return value

    def config(self, document: Mapping[str, Any], folder: Path) -> Config:
        unknown = document.keys() - {"model", "data", "features", "layer", "training", "calibration", "decide"}
        if unknown:
            raise self.fail(min(unknown), "no such table")
        model = self.table(document, "model", {"name", "classes", "hardware_class", "scope"})
        classes = tuple(model["classes"])
        if not 2 <= len(classes) <= contract.VERDICT_CLASSES_MAX or len(set(classes)) != len(classes):
            raise self.fail("model.classes", f"need 2 to {contract.VERDICT_CLASSES_MAX} different names, the healthy one first")
        if model["hardware_class"] not in contract.HARDWARE:
            raise self.fail("model.hardware_class", f"{model['hardware_class']!r} is not one of {', '.join(contract.HARDWARE)}")
        calibration = self.table(document, "calibration", {"windows"})
        params = self.features(document)
        return Config(
            name=self.text("model.name", model["name"], contract.NAME_MODEL_NAME_MAX_BYTES),
            classes=tuple(self.text("model.classes", name, contract.NAME_CLASS_NAME_MAX_BYTES) for name in classes),
            hardware_class=model["hardware_class"],
            scope=contract.Scope(self.enum("model.scope", model["scope"], contract.Scope)),
            data=self.data(document, classes),
            params=params,
            layers=self.layers(document, params),
            training=self.training(document, params),
            calibration_windows=int(self.number("calibration.windows", calibration["windows"], 1, 100_000)),
            decide=self.decide(document),
            folder=folder,
        )

    def data(self, document: Mapping[str, Any], classes: tuple[str, ...]) -> Data:
        table = self.table(document, "data", {"set", "labels"}, {"folds", "held_out_fold", "leave_out", "held_out"})
        labels = dict(table["labels"])
        for label, name in labels.items():
            if name not in classes:
                raise self.fail(f"data.labels.{label}", f"{name!r} is not in model.classes")
        if set(labels.values()) != set(classes):
            raise self.fail("data.labels", f"no label for class {min(set(classes) - set(labels.values()))!r}")
        if ("folds" in table) != ("held_out_fold" in table):
            raise self.fail("data.folds", "`folds` and `held_out_fold` belong together")
        if ("leave_out" in table) != ("held_out" in table) or {"folds", "leave_out"} <= table.keys():
            raise self.fail("data.leave_out", "`leave_out` and `held_out` belong together, and stand in place of `folds`")
        leave_out = table.get("leave_out")
        if leave_out is not None and leave_out not in LEAVE_OUT:
            raise self.fail("data.leave_out", f"{leave_out!r} is not one of {', '.join(LEAVE_OUT)}")
        folds = table.get("folds"), int(table.get("held_out_fold", 0))
        return Data(table["set"], labels, *folds, leave_out, str(table.get("held_out", "")))

    def features(self, document: Mapping[str, Any]) -> FeatureParams:
        computed = {"offset", "gain_q16", "extractor_version", "channels"}
        optional = {name for name, spec in contract.PARAMS.items() if spec.get("optional")}
        table = dict(self.table(document, "features", set(contract.PARAMS) - computed - optional, optional))
        for key, kind in (("unit", contract.Unit), ("kind", contract.FeatureKind), ("level", contract.Level)):
            table[key] = self.enum(f"features.{key}", table[key], kind)
        table["axes"] = self.mask("features.axes", table["axes"], ("x", "y", "z"))
        table["stats"] = self.mask("features.stats", table["stats"], ("rms", "peak", "crest", "kurtosis"))
        if "envelope_axes" in table:
            table["envelope_axes"] = self.mask("features.envelope_axes", table["envelope_axes"], ("x", "y", "z"))
        if "across_axes" in table:
            table["across_axes"] = self.enum("features.across_axes", table["across_axes"], contract.AcrossAxes)
        try:
            return FeatureParams(**table, channels=table["axes"].bit_count())
        except (ParamsError, TypeError, ValueError) as error:
            raise self.fail("features", str(error)) from None

    def layers(self, document: Mapping[str, Any], params: FeatureParams) -> tuple[Layer, ...]:
        tables = document.get("layer", [])
        layers = []
        for index, table in enumerate(tables):
            kind = table.get("kind")
            if kind not in LAYER_KEYS:
                raise self.fail(f"layer[{index}].kind", f"{kind!r} is not one of {', '.join(LAYER_KEYS)}")
            required, optional = LAYER_KEYS[kind]
            missing, unknown = required - table.keys(), table.keys() - required - optional - {"kind"}
            if missing or unknown:
                key = min(missing or unknown)
                raise self.fail(f"layer[{index}].{key}", f"{'is missing' if missing else 'no such key'} in a {kind} layer")
            layers.append(Layer(**table))
        if any(layer.kind != "dense" for layer in layers) and params.kind != contract.FeatureKind.RAW:
            raise self.fail("layer", 'only dense layers read bands; the others need features.kind = "raw"')
        return tuple(layers)

    def training(self, document: Mapping[str, Any], params: FeatureParams) -> Training:
        names = {field.name for field in dataclasses.fields(Training)}
        table = self.table(document, "training", names)
        for key in names - {"time_scales", "seed"}:
            self.number(f"training.{key}", table[key], 0, 1_000_000)
        for key in ("noise", "whitening", "label_smoothing"):
            self.number(f"training.{key}", table[key], 0, 1)
        scales = tuple(float(self.number("training.time_scales", scale, 0.5, 2.0)) for scale in table["time_scales"])
        if 1.0 not in scales:
            raise self.fail("training.time_scales", "must hold 1.0")
        if table["whitening"] > 0 and params.kind == contract.FeatureKind.RAW:
            raise self.fail("training.whitening", "is for bands; raw windows have no covariance worth the name")
        return Training(**{**table, "time_scales": scales})

    def decide(self, document: Mapping[str, Any]) -> Decide:
        defaults = {
            "raise_permille": contract.DECIDE_RAISE_PERMILLE_DEFAULT,
            "clear_permille": contract.DECIDE_CLEAR_PERMILLE_DEFAULT,
            "raise_count": contract.DECIDE_RAISE_COUNT_DEFAULT,
            "raise_of": contract.DECIDE_RAISE_OF_DEFAULT,
            "off_rms_counts": 0,
        }
        table = self.table(document, "decide", set(), set(defaults)) if "decide" in document else {}
        decide = Decide(**{**defaults, **table})
        if not 0 < decide.clear_permille <= decide.raise_permille <= 1000:
            raise self.fail("decide.clear_permille", "0 < clear_permille <= raise_permille <= 1000")
        if not 0 < decide.raise_count <= decide.raise_of <= contract.DECIDE_OF_MAX:
            raise self.fail("decide.raise_count", f"0 < raise_count <= raise_of <= {contract.DECIDE_OF_MAX}")
        return decide

    def text(self, key: str, value: object, max_bytes: int) -> str:
        if not isinstance(value, str) or not 0 < len(value.encode()) <= max_bytes:
            raise self.fail(key, f"{value!r} is not a text of 1 to {max_bytes} bytes")
        return value

    def number(self, key: str, value: object, low: float, high: float) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise self.fail(key, f"{value!r} is not a number from {low} to {high}")
        return value

    def enum(self, key: str, value: object, kind: Any) -> int:
        names = {member.name.lower(): int(member) for member in kind}
        if value not in names:
            raise self.fail(key, f"{value!r} is not one of {', '.join(names)}")
        return names[str(value)]

    def mask(self, key: str, value: object, names: tuple[str, ...]) -> int:
        if not isinstance(value, list) or not set(value) <= set(names) or len(set(value)) != len(value):
            raise self.fail(key, f"{value!r} is not a list out of {', '.join(names)}")
        return sum(1 << names.index(name) for name in value)
