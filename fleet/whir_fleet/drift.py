"""Drift of a model in service: what it says and hears of a site's machines, against healthy ones that it had never seen.

The measure is the population stability index, the sum of (a - e) ln(a / e) over shares, of two things (`MEASURES`):

* verdicts: `e` is the row of the healthy class in the confusion of the bundle's own evaluation;
* features: how far they are from the machine's own baseline, in bins of the novelty that telemetry carries. `e` is that of
  healthy recordings which were held out, against a baseline of healthy training ones. One number stands for all features: what
  moves them apart without moving them away is not seen.

`a` is the mean over the site's nodes of what each said in the last hour. Nodes with an active alert are left out: of them
something else is known. Above `RAISE` (the usual limit for "has changed") of either the site gets one alert; when both are
below `CLEAR` ("has not") it goes.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from sqlalchemy import case, func, select, text, true
from sqlalchemy.orm import Session

from whir_contracts.novelty import NOVELTY_EDGES
from whir_fleet import alerts, site_alerts
from whir_fleet.models import Alert, Artifact, Node, Occurrence, Telemetry
from whir_fleet.rollout_kinds import MODEL
from whir_fleet.said import Number, Said

MODEL_DRIFT: Final = "model_drift"
RAISE: Final = 0.25
CLEAR: Final = 0.1
SPAN_MS: Final = 3_600_000
NODES_MIN: Final = 5  # one machine of a few is no drift
MESSAGES_MIN: Final = 10  # of a node
_LEAST: Final = 0.005  # share of a verdict that was never heard
_SEVERITY: Final = "advisory"

Model = tuple[str | None, str | None, int | None]
Shares = dict[str, float]


@dataclass(frozen=True, slots=True)
class Drift:
    """Of one model on one site."""

    model: Model
    psi: float
    nodes: int
    expected: Shares
    heard: Shares

    def told(self) -> Said:
        far = sorted(self.expected.keys() | self.heard.keys(), key=lambda v: -abs(_of(self.heard, v) - _of(self.expected, v)))
        shares = [
            Said(
                "%(verdict)s %(now)s instead of %(then)s",
                verdict=v,
                now=f"{_of(self.heard, v):.0%}",
                then=f"{_of(self.expected, v):.0%}",
            )
            for v in far[:2]
        ]
        return Said(
            "%(model)s on %(nodes)s nodes: PSI %(psi)s, %(shares)s",
            model=f"{self.model[0]} {self.model[1]}",
            nodes=self.nodes,
            psi=Number(f"{self.psi:.2f}"),
            shares=Said.joined(", ", shares),
        )


def psi(expected: Shares, heard: Shares) -> float:
    """Population stability index of two distributions."""
    pairs = [(_of(expected, v), _of(heard, v)) for v in expected.keys() | heard.keys()]
    return sum((a - e) * math.log(a / e) for e, a in ((max(e, _LEAST), max(a, _LEAST)) for e, a in pairs))


def baseline(artifact: Artifact) -> Shares | None:
    """What the model said to healthy machines held out of its training; None: its bundle does not tell."""
    if artifact.evaluation is None:
        return None
    row = artifact.evaluation["int8"]["verdict"]["confusion"][0]
    total = sum(row)
    return {name: count / total for name, count in zip(artifact.evaluation["classes"], row, strict=True)} if total else None


def distances(artifact: Artifact) -> Shares | None:
    """The same of the features' distance from the machine's baseline, by bin."""
    features = (artifact.evaluation or {}).get("features")
    if features is None or not sum(features["counts"]):
        return None
    return {name: count / sum(features["counts"]) for name, count in zip(BINS, features["counts"], strict=True)}


BINS: Final = tuple(f"distance {low}-{high}" for low, high in pairwise((0, *NOVELTY_EDGES, "")))
_BIN: Final = case(*((Telemetry.novelty < edge, name) for edge, name in zip(NOVELTY_EDGES, BINS, strict=False)), else_=BINS[-1])
MEASURES: Final = ((baseline, Telemetry.verdict, true()), (distances, _BIN, Telemetry.novelty.is_not(None)))


def judge(session: Session, now_ms: int) -> dict[str, Drift]:
    """By site the model that has drifted furthest, of those that can be judged."""
    nodes: dict[int, tuple[str, Model]] = {}
    columns = (Node.id, Node.site, Node.model, Node.model_version, Node.counter)
    alarmed = select(Occurrence.node_id).where(Occurrence.state == "active", Occurrence.node_id == Node.id)
    for node_id, site, model, version, counter in session.execute(select(*columns).where(~alarmed.exists())):
        nodes[node_id] = site, (model, version, counter)
    artifacts = session.scalars(select(Artifact).where(Artifact.kind == MODEL)).all()
    found: dict[str, Drift] = {}
    for expectation, what, given in MEASURES:
        shares: dict[Model, Shares | None] = {(a.model, a.model_version, a.counter): expectation(a) for a in artifacts}
        known = {of_model: expected for of_model, expected in shares.items() if expected is not None}
        said: dict[int, Counter[str]] = defaultdict(Counter)
        if any(of_model in known for _, of_model in nodes.values()):
            lately = select(Telemetry.node_id, what.label("what"), func.count()).where(
                Telemetry.at_ms > now_ms - SPAN_MS, given
            )
            for node_id, heard, count in session.execute(lately.group_by(Telemetry.node_id, text("what"))):
                said[node_id][heard] += count
        together: dict[tuple[str, Model], list[Counter[str]]] = defaultdict(list)
        for node_id, (site, of_model) in nodes.items():
            if of_model in known and said[node_id].total() >= MESSAGES_MIN:
                together[site, of_model].append(said[node_id])
        for (site, of_model), counts in together.items():
            drift = _drift(of_model, known[of_model], counts)
            if len(counts) >= NODES_MIN and (site not in found or drift.psi > found[site].psi):
                found[site] = drift
    return found


def _drift(of_model: Model, expected: Shares, counts: list[Counter[str]]) -> Drift:
    """Each node counts the same, however much it has said."""
    heard = {v: sum(count[v] / count.total() for count in counts) / len(counts) for v in {v for count in counts for v in count}}
    return Drift(of_model, psi(expected, heard), len(counts), expected, heard)


def tell(session: Session, found: dict[str, Drift], now_ms: int) -> None:
    """Raises a site's alert, or clears it. Where nothing can be judged any more it stays as it is."""
    for site, drift in sorted(found.items()):
        alert = alerts.unresolved(session, site, alerts.SITE, MODEL_DRIFT)
        if drift.psi > RAISE and alert is None:
            alert = Alert(site=site, machine=alerts.SITE, verdict=MODEL_DRIFT, severity=_SEVERITY, opened_ms=now_ms)
            alert.updated_ms = now_ms
            alert.model, alert.model_version, alert.counter = drift.model
            last = {"node": "_fleet", "nodes": drift.nodes, "model": drift.model[0], "counter": drift.model[2]}
            alert.last = site_alerts.last(MODEL_DRIFT, _SEVERITY, now_ms) | last
            alerts.step(session, alerts.make(session, alert, now_ms), "open", now_ms, alerts.FLEET, drift.told())
        elif drift.psi < CLEAR and alert is not None:
            alerts.step(session, alert, "clear", now_ms, alerts.FLEET, drift.told())


def _of(shares: Shares, verdict: str) -> float:
    return shares.get(verdict, 0.0)
