"""An evaluation as one self-contained HTML page: figures, tables and plots, nothing to fetch."""

from __future__ import annotations

import io
from importlib import resources
from typing import Any, Final

import jinja2
import matplotlib
import numpy as np

matplotlib.use("svg")
from matplotlib.figure import Figure

INK: Final = "#1f2933"
BLUE: Final = "#1c6dd0"
ORANGE: Final = "#d9730d"
GREY: Final = "#9aa5b1"


def page(evaluation: dict[str, Any]) -> str:
    """The page for an evaluation as `whir_ml.evaluate.evaluate` returns it."""
    plots = {
        "confusion": _confusion(evaluation),
        "recall": _recall(evaluation),
        "severity": _severity(evaluation) if evaluation["severity"] else "",
        "calibration": _calibration(evaluation) if "calibration" in evaluation else "",
        "reliability": _reliability(evaluation["reliability"]),
        "loss": _loss(evaluation),
    }
    template = resources.files(__package__).joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["percent"] = lambda value: "–" if value != value else f"{100 * value:.1f} %"
    environment.filters["bytes"] = lambda value: f"{value:,}"
    return environment.from_string(template).render(e=evaluation, plots=plots)


def _svg(figure: Figure) -> str:
    """The figure as inline SVG, without date, so that equal evaluations give equal pages."""
    out = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "whir", "svg.fonttype": "none"}):
        figure.savefig(out, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def _axes(width: float, height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height))
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, labelsize=9)
    return figure, axes


def _confusion(evaluation: dict[str, Any]) -> str:
    """Counts of held-out verdicts of the int8 model; colour is the share of the true class."""
    counts = np.array(evaluation["int8"]["verdict"]["confusion"])
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = evaluation["classes"]
    figure, axes = _axes(4.4, 3.6)
    axes.spines[:].set_visible(False)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(counts.shape):
        dark = share[row, column] > 0.5
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color="white" if dark else INK, fontsize=10)
    axes.set_xticks(range(len(names)), names, rotation=20, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("model says")
    axes.set_ylabel("truth")
    return _svg(figure)


def _recall(evaluation: dict[str, Any]) -> str:
    """Recall per class: float and int8, verdicts."""
    names = evaluation["classes"]
    figure, axes = _axes(4.8, 3.4)
    place = np.arange(len(names))
    for shift, kind, colour in ((-0.2, "float", GREY), (0.2, "int8", BLUE)):
        values = [100 * evaluation[kind]["verdict"]["recall"][name] for name in names]
        bars = axes.bar(place + shift, values, 0.38, color=colour, label=kind)
        axes.bar_label(bars, fmt="%.0f", fontsize=8, color=INK)
    axes.set_xticks(place, names, rotation=15, ha="right")
    axes.set_ylim(0, 112)
    axes.set_ylabel("verdict recall, %")
    axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=9)
    return _svg(figure)


def _severity(evaluation: dict[str, Any]) -> str:
    """Share of faults called healthy, by severity."""
    rows = evaluation["severity"]
    figure, axes = _axes(6.4, 0.6 + 0.32 * len(rows))
    place = np.arange(len(rows))
    windows, said = ([100 * row[f"{kind}_miss_rate"] for row in rows] for kind in ("window", "verdict"))
    axes.barh(place - 0.19, windows, 0.36, color=GREY, label="single windows")
    axes.barh(place + 0.19, said, 0.36, color=ORANGE, label="verdicts")
    axes.set_yticks(place, [f"{row['label']} · {row['severity']}" for row in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, max(5.0, 1.1 * max(windows + said)))
    axes.set_xlabel("missed (called healthy), %")
    axes.legend(frameon=False, fontsize=9)
    return _svg(figure)


def _reliability(reliability: dict[str, Any]) -> str:
    """True against said share of the top class; below, how many verdicts were so sure."""
    figure = Figure(figsize=(4.4, 4.4))
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    for name, colour, label in (("before", ORANGE, "before"), ("int8", BLUE, "as shipped (int8)")):
        bins = reliability[name]["bins"]
        axes.plot([row["said"] for row in bins], [row["true"] for row in bins], "o-", color=colour, label=label)
    bins = reliability["int8"]["bins"]
    below.bar([row["said"] for row in bins], [row["weight"] for row in bins], 0.05, color=BLUE)
    for part in (axes, below):
        part.spines[["top", "right"]].set_visible(False)
        part.tick_params(colors=INK, labelsize=9)
    axes.set_ylim(0, 1.03)
    axes.set_ylabel("of them right")
    axes.legend(frameon=False, fontsize=9)
    below.set_xlim(0, 1.03)
    below.set_ylabel("share")
    below.set_xlabel("probability said")
    return _svg(figure)


def _calibration(evaluation: dict[str, Any]) -> str:
    """Held-out cross-entropy against the number of calibration windows."""
    curve = evaluation["calibration"]
    counts = [row["windows"] for row in curve]
    figure, axes = _axes(4.8, 3.2)
    axes.plot(counts, [row["loss"] for row in curve], "o-", color=BLUE)
    axes.set_xscale("log")
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
    axes.set_ylim(0, 1.15 * max(row["loss"] for row in curve))
    axes.set_xlabel("calibration windows")
    axes.set_ylabel("held-out loss of int8, nats")
    return _svg(figure)


def _loss(evaluation: dict[str, Any]) -> str:
    """Training loss by epoch."""
    losses = evaluation["training"]["loss"]
    figure, axes = _axes(4.8, 3.2)
    axes.plot(range(1, len(losses) + 1), losses, color=BLUE)
    axes.set_ylim(0, 1.05 * max(losses))
    axes.set_xlabel("epoch")
    axes.set_ylabel("training loss")
    return _svg(figure)
