"""An evaluation as one self-contained HTML page: figures, tables and plots, nothing to fetch."""

from __future__ import annotations

import html
import io
import re
from importlib import resources
from typing import Any, Final

import jinja2
import matplotlib
import numpy as np

matplotlib.use("svg")
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

INK: Final = "#1f2933"
BLUE: Final = "#1c6dd0"
ORANGE: Final = "#d9730d"
GREY: Final = "#9aa5b1"
# Colours of a plot → the page's, which has a light and a dark form of each.
_OF_PAGE: Final = {INK: "ink", "#000000": "ink", BLUE: "blue", ORANGE: "orange", GREY: "grey"}


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
    loader = jinja2.FunctionLoader(lambda name: resources.files(__package__).joinpath(name).read_text(encoding="utf-8"))
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["percent"] = lambda value: "–" if value != value else f"{100 * value:.1f} %"
    environment.filters["bytes"] = lambda value: f"{value:,}"
    return environment.get_template("report.html.j2").render(e=evaluation, plots=plots)


def _svg(figure: Figure, says: str) -> str:
    """The figure as inline SVG in the page's colours, without date, so that equal evaluations give equal pages.

    Args:
        figure: what was drawn.
        says: the same in words, for whoever does not see it.
    """
    out = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "whir", "svg.fonttype": "none"}):
        figure.savefig(out, format="svg", bbox_inches="tight", transparent=True, metadata={"Date": None})
    text = out.getvalue()
    text = re.sub(r'<g id="[^"]*"', "<g", text[text.index("<svg") :])  # each figure has an axes_1
    for colour, name in _OF_PAGE.items():
        text = text.replace(colour, f"var(--{name})")
    return text.replace("<svg ", f'<svg role="img" aria-label="{html.escape(says)}" ', 1)


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
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_ylim(len(names) - 0.5, -0.5)
    for row, column in np.ndindex(counts.shape):
        corner = column - 0.5, row - 0.5
        axes.add_patch(Rectangle(corner, 1, 1, facecolor=BLUE, alpha=share[row, column], linewidth=0))
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=GREY, linewidth=0.5))
        dark = share[row, column] > 0.5
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color="white" if dark else INK, fontsize=10)
    axes.set_xticks(range(len(names)), names, rotation=20, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("model says")
    axes.set_ylabel("truth")
    right = (f"{name} {counts[n, n]} of {counts[n].sum()}" for n, name in enumerate(names))
    return _svg(figure, f"Verdicts that are right, by the true class: {', '.join(right)}")


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
    recalls = (f"{name} {evaluation['int8']['verdict']['recall'][name]:.0%}" for name in names)
    return _svg(figure, f"Recall of int8 verdicts: {', '.join(recalls)}")


def _severity(evaluation: dict[str, Any]) -> str:
    """Share of faults called healthy, by severity."""
    rows = evaluation["severity"]
    figure, axes = _axes(6.4, 0.6 + 0.32 * len(rows))
    place = np.arange(len(rows))
    windows, said = ([100 * row[f"{kind}_miss_rate"] for row in rows] for kind in ("window", "verdict"))
    for shift, values, colour, label in ((-0.19, windows, GREY, "single windows"), (0.19, said, ORANGE, "verdicts")):
        bars = axes.barh(place + shift, values, 0.36, color=colour, label=label)
        axes.bar_label(bars, fmt="%.0f", fontsize=8, color=INK, padding=3)
    axes.set_yticks(place, [f"{row['label']} · {row['severity']}" for row in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, max(5.0, 1.1 * max(windows + said)))
    axes.set_xlabel("missed (called healthy), %")
    axes.legend(frameon=False, fontsize=9)
    missed = (f"{row['label']}, {row['severity']}: {row['verdict_miss_rate']:.0%}" for row in rows)
    return _svg(figure, f"Verdicts that call a fault healthy: {'; '.join(missed)}")


def _reliability(reliability: dict[str, Any]) -> str:
    """True against said share of the top class; below, how many verdicts were so sure."""
    figure = Figure(figsize=(4.4, 4.4))
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    for name, style, colour, label in (("before", "s--", ORANGE, "before"), ("int8", "o-", BLUE, "as shipped (int8)")):
        bins = reliability[name]["bins"]
        axes.plot([row["said"] for row in bins], [row["true"] for row in bins], style, color=colour, label=label)
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
    errors = reliability["before"]["ece"], reliability["int8"]["ece"]
    return _svg(
        figure, "How often a verdict is right, by its probability: off by {:.1%} before, {:.1%} as shipped".format(*errors)
    )


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
    return _svg(figure, "Loss by windows: " + ", ".join(f"{row['windows']}: {row['loss']:.3f}" for row in curve))


def _loss(evaluation: dict[str, Any]) -> str:
    """Training loss by epoch."""
    losses = evaluation["training"]["loss"]
    figure, axes = _axes(4.8, 3.2)
    axes.plot(range(1, len(losses) + 1), losses, color=BLUE)
    axes.set_ylim(0, 1.05 * max(losses))
    axes.set_xlabel("epoch")
    axes.set_ylabel("training loss")
    return _svg(figure, f"Training loss from {losses[0]:.3f} to {losses[-1]:.3f} in {len(losses)} epochs")
