"""Drift of a model in service: what it says of a site's machines against what it said to healthy ones that it had never seen.

The measure is the population stability index, the sum of (a - e) ln(a / e) over the verdicts. `e` is the row of the healthy
class in the confusion of the bundle's own evaluation, `a` the mean over the site's nodes of what each said in the last hour.
Nodes with an active alert are left out: of them something else is known. Above `RAISE` (the usual limit for "has changed") the
site gets one alert, below `CLEAR` ("has not") it goes.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from whir_fleet import alerts, site_alerts
from whir_fleet.models import Alert, Artifact, Node, Occurrence, Telemetry
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


def judge(session: Session, now_ms: int) -> dict[str, Drift]:
    """By site the model that has drifted furthest, of those that can be judged."""
    known: dict[Model, Shares] = {}
    for artifact in session.scalars(select(Artifact)):
        if (expected := baseline(artifact)) is not None:
            known[artifact.model, artifact.model_version, artifact.counter] = expected
    nodes: dict[int, tuple[str, Model]] = {}
    columns = (Node.id, Node.site, Node.model, Node.model_version, Node.counter)
    alarmed = select(Occurrence.node_id).where(Occurrence.state == "active", Occurrence.node_id == Node.id)
    for node_id, site, model, version, counter in session.execute(select(*columns).where(~alarmed.exists())):
        if (model, version, counter) in known:
            nodes[node_id] = site, (model, version, counter)
    said: dict[int, Counter[str]] = defaultdict(Counter)
    lately = select(Telemetry.node_id, Telemetry.verdict, func.count()).where(Telemetry.at_ms > now_ms - SPAN_MS)
    if nodes:
        for node_id, verdict, count in session.execute(lately.group_by(Telemetry.node_id, Telemetry.verdict)):
            said[node_id][verdict] += count
    together: dict[tuple[str, Model], list[Counter[str]]] = defaultdict(list)
    for node_id, place in nodes.items():
        if said[node_id].total() >= MESSAGES_MIN:
            together[place].append(said[node_id])
    found: dict[str, Drift] = {}
    for (site, of_model), counts in together.items():
        if len(counts) < NODES_MIN:
            continue
        verdicts = {verdict for count in counts for verdict in count}
        heard = {v: sum(count[v] / count.total() for count in counts) / len(counts) for v in verdicts}
        drift = Drift(of_model, psi(known[of_model], heard), len(counts), known[of_model], heard)
        if site not in found or drift.psi > found[site].psi:
            found[site] = drift
    return found


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
