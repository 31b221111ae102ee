"""Hardware-aware search: which window, rate, features and network tell best within a budget of flash, RAM and instructions.

A trial is a configuration: the one searched from, with other features and layers. It is judged by inner validation
(whir_ml/inner.py), so no held-out recording is touched, and measured on the target as a node would run it.
Trials are kept in a database: a search that is stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import optuna

from whir_contracts.recording import INDEX_NAME
from whir_ml import artifact, dataset
from whir_ml import config as configs
from whir_ml.config import Config
from whir_ml.dataset import Progress, Split, silent
from whir_ml.errors import DatasetError, MlError
from whir_ml.rivals import band_edges
from whir_ml.scores import verdict_scores, window_scores

WINDOWS: Final = (128, 256, 512, 1024)
SLOWER: Final = (1, 2, 4)
BANDS: Final = (12, 16, 24, 32, 48, 64)
STATS: Final = {"none": [], "rms": ["rms"], "shape": ["rms", "crest", "kurtosis"], "all": ["rms", "peak", "crest", "kurtosis"]}
NETWORKS: Final = {"one layer": [], "16": [16], "32": [32], "64": [64], "32-16": [32, 16], "48-24": [48, 24], "96-32": [96, 32]}
RATE_MIN_HZ: Final = 200
DROPOUT: Final = 0.2


class SearchError(MlError):
    """The search cannot be made from this configuration."""


@dataclass(frozen=True)
class Cost:
    """What it takes on the target: code, tables and weights; tensors, window and stack; features and inference of a window."""

    flash_bytes: int
    ram_bytes: int
    instructions: int

    def over(self, budget: Cost) -> dict[str, float]:
        """By which share of the budget each is over it; none is more than 0 when it fits."""
        most = asdict(budget)
        return {name: own / most[name] - 1 for name, own in asdict(self).items()}


Measure = Callable[[Path], Cost]  # of a folder with model.tflite and features.tlv, as `whir export` leaves it


@dataclass(frozen=True)
class Found:
    """One trial that ended."""

    number: int
    document: dict[str, Any]  # the configuration
    verdicts: float  # balanced accuracy by inner validation
    windows: float
    cost: Cost
    fits: bool
    best: bool  # nothing that fits is both better and cheaper


def open_study(base: Config, folder: Path, budget: Cost) -> optuna.Study:
    """The study of this configuration, core and budget, from the database in `folder` when it is there."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    folder.mkdir(parents=True, exist_ok=True)
    what = artifact.config_digest(base), dataset.core_digest(), json.dumps(asdict(budget))
    digest = hashlib.sha256("".join(what).encode()).hexdigest()
    study = optuna.create_study(
        storage=f"sqlite:///{(folder / 'trials.db').resolve()}",
        study_name=f"{base.name}-{digest[:12]}",
        directions=["maximize", "minimize"],
        load_if_exists=True,
    )
    # A search that goes on must not draw again what it has drawn.
    seed = base.training.seed + len(study.trials)
    study.sampler = optuna.samplers.TPESampler(seed=seed)
    return study


def run(
    path: Path,
    base: Config,
    split: Split,
    measure: Measure,
    study: optuna.Study,
    budget: Cost,
    trials: int,
    progress: Progress = silent,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Go on until the study has so many finished trials or `stop` says so; the file of the base configuration is `path`."""
    check(base)
    document = configs.read(path)

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        chosen = varied(document, trial)
        trial.set_user_attr("document", json.dumps(chosen))
        try:
            parts, cost = tried(configs.parse(chosen, path), split, measure)
        except MlError as error:  # a recording shorter than the window, for one
            trial.set_user_attr("reason", str(error))
            raise optuna.TrialPruned from error
        trial.set_user_attr("cost", asdict(cost))
        for name, share in cost.over(budget).items():
            trial.set_constraint(name, share)
        trial.set_user_attr("windows", window_scores(parts)["balanced_accuracy"])
        return verdict_scores(parts)["balanced_accuracy"], float(cost.instructions)

    while (done := ended(study)) < trials and not stop():
        progress(f"search {base.name}: trial {done + 1} of {trials}", done, trials)
        study.optimize(objective, n_trials=1)


def check(base: Config) -> None:
    """Raises SearchError for a configuration that has nothing to search."""
    if base.is_raw:
        raise SearchError(f"{base.name}: only features of kind bands are searched")


def varied(document: dict[str, Any], trial: optuna.Trial) -> dict[str, Any]:
    """The configuration as another one of the space."""
    features, training = dict(document["features"]), dict(document["training"])
    slower = trial.suggest_categorical("slower", [s for s in SLOWER if features["rate_hz"] / s >= RATE_MIN_HZ])
    window = trial.suggest_categorical("window", WINDOWS)
    bands = trial.suggest_categorical("bands", BANDS)
    stats = trial.suggest_categorical("stats", tuple(STATS))
    layers = trial.suggest_categorical("network", tuple(NETWORKS))
    features |= {
        "rate_hz": features["rate_hz"] // slower,
        "bandwidth_hz": max(10, features["bandwidth_hz"] // slower),
        "window_samples": window,
        "hop_samples": window,
        "stats": STATS[stats],
        # no more bands than every second bin: the lowest ones would have none to themselves
        "band_edges_bins": list(band_edges(window // 2, min(bands, window // 4))),
    }
    training |= {
        "noise": round(trial.suggest_float("noise", 0.0, 1.0), 2),
        "whitening": trial.suggest_categorical("whitening", (0.0, 0.1, 0.3)),
        "hop_samples": max(32, window // 4),
    }
    return {
        **document,
        "model": {**document["model"], "name": f"{document['model']['name'][:16]}-{trial.number}"},
        "features": features,
        "training": training,
        "layer": [{"kind": "dense", "units": units, "dropout": DROPOUT} for units in NETWORKS[layers]],
    }


def tried(config: Config, split: Split, measure: Measure) -> tuple[list[Any], Cost]:
    """What inner validation says, and what the network of all training recordings costs."""
    from whir_ml import inner, train
    from whir_ml.export import convert, stratified, with_scaler
    from whir_node.engine import Engine

    cache = dataset.cache_folder()
    learn = dataset.training_examples(config, split, cache=cache)
    plain = dataset.examples(config, split.train, cache=cache)
    parts = inner.validated(config, learn, plain)
    if not parts:
        raise DatasetError(f"{config.name}: too few recordings of a class for inner validation")
    trained = train.fit(config, learn)
    model = convert(trained, plain.features[stratified(plain, config.calibration_windows, config.training.seed)])
    info = Engine(model).info
    params = with_scaler(config, trained.scaler, info.input_scale, info.input_zero_point)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / config.name
        folder.mkdir()
        (folder / "model.tflite").write_bytes(model)
        (folder / "features.tlv").write_bytes(params.to_tlv())
        return parts, measure(folder)


def ended(study: optuna.Study) -> int:
    """Trials that came to an end, those that gave no network with them; one that was cut off is drawn anew."""
    return sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))


def reason(study: optuna.Study) -> str:
    """Why the last trial that gave no network gave none."""
    said = [trial.user_attrs["reason"] for trial in study.get_trials(deepcopy=False) if "reason" in trial.user_attrs]
    return said[-1] if said else "none was run"


def found(study: optuna.Study, budget: Cost) -> list[Found]:
    """All trials that ended, those that fit and of which none is better and cheaper marked, the best first."""
    ended = [t for t in study.get_trials(deepcopy=False) if t.state == optuna.trial.TrialState.COMPLETE]
    costs = [Cost(**t.user_attrs["cost"]) for t in ended]
    fits = [max(cost.over(budget).values()) <= 0 for cost in costs]
    values = [t.values or [0.0, 0.0] for t in ended]
    rows = []
    for n, trial in enumerate(ended):
        (score, work) = values[n]
        beaten = any(
            fits[m] and s >= score and w <= work and (s > score or w < work) for m, (s, w) in enumerate(values) if m != n
        )
        document = json.loads(trial.user_attrs["document"])
        windows = trial.user_attrs["windows"]
        rows.append(Found(trial.number, document, score, windows, costs[n], fits[n], fits[n] and not beaten))
    return sorted(rows, key=lambda row: (not row.fits, -row.verdicts, row.cost.instructions))


def save(row: Found, base: Config, path: Path) -> None:
    """A trial's configuration as a file that `whir train` takes."""
    document = json.loads(json.dumps(row.document))
    if (base.folder / base.data.set / INDEX_NAME).is_file():
        document["data"]["set"] = str((base.folder / base.data.set).resolve())
    if base.data.folds is not None:
        document["data"]["folds"] = str((base.folder / base.data.folds).resolve())
    path.write_text(
        f"# Found by `whir search {base.name}`: balanced accuracy {row.verdicts:.3f} by inner validation.\n" + _toml(document),
        encoding="utf-8",
    )


def plot(rows: list[Found], budget: Cost, name: str, path: Path) -> None:
    """Accuracy against instructions; what fits is filled, the front is a line, numbers are the table's trials."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    figure = Figure(figsize=(7.2, 4.8), layout="constrained")
    axes = figure.subplots()
    for fits, marker, colour in ((False, "x", "#8a97a3"), (True, "o", "#1c6dd0")):
        own = [row for row in rows if row.fits == fits]
        label = "within the budget" if fits else "over it in flash, RAM or instructions"
        axes.scatter(
            [r.cost.instructions for r in own], [100 * r.verdicts for r in own], label=label, s=28, marker=marker, c=colour
        )
        for row in own:
            place = row.cost.instructions, 100 * row.verdicts
            weight = "bold" if row.best else "normal"
            axes.annotate(
                str(row.number), place, xytext=(4, 4), textcoords="offset points", color=colour, fontsize=8, fontweight=weight
            )
    front = sorted((row for row in rows if row.best), key=lambda row: row.cost.instructions)
    work, score = [r.cost.instructions for r in front], [100 * r.verdicts for r in front]
    axes.step(work, score, where="post", color="#d9730d", label="the best for the work")
    axes.axvline(budget.instructions, color="#52606d", linestyle=":", linewidth=1, label="instructions allowed")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("instructions for a window: features and inference, measured on RV32IMC")
    axes.set_ylabel("balanced accuracy of verdicts, %\n(inner validation)")
    figure.suptitle(f"{name}, at most {budget.flash_bytes:,} B of flash and {budget.ram_bytes:,} B of RAM", fontsize=11)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    figure.savefig(path, dpi=140)


def _toml(document: dict[str, Any]) -> str:
    """Tables of plain values, and arrays of such tables: all that a configuration has."""
    lines = []
    for name, value in document.items():
        tables = [value] if isinstance(value, dict) else value
        for table in tables:
            lines.append(f"\n[{name}]" if isinstance(value, dict) else f"\n[[{name}]]")
            inner = {key: item for key, item in table.items() if isinstance(item, dict)}
            lines += [f"{key} = {json.dumps(item)}" for key, item in table.items() if key not in inner]
            for key, item in inner.items():
                lines += [f"\n[{name}.{key}]", *(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in item.items())]
    return "\n".join(lines) + "\n"
