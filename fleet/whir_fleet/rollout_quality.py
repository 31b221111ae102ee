"""The model-quality gate: what canaries say since they run the new model, against nodes that do not run it yet.

The unit is the node, not the message: messages of one machine are no independent evidence. Every node is compared with itself
over the same time before, so a machine that was faulty all along says nothing against the model. What remains is a table of two
by two, (changed, as before) × (canary, control), and Fisher's exact test, one-sided, for each of `MEASURES`; the 5 % are
shared among them (Bonferroni). Where so few nodes could never reach it, more than half of the canaries changed is drift.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from whir_fleet.models import Action, Occurrence, Rollout, RolloutGroup, Telemetry
from whir_fleet.said import Number, Said

ALPHA: Final = 0.05
SHIFT: Final = 0.2  # a share of a node's messages that counts as a change
MESSAGES_MIN: Final = 3  # fewer than these, before or after, say nothing about a node
NODES_MAX: Final = 500  # of each kind
UNKNOWN: Final = "unknown"


@dataclass
class Seen:
    """What one node said in one span of time: messages by verdict, and alerts that it raised."""

    verdicts: Counter[str] = field(default_factory=Counter)
    alerts: int = 0

    def share(self, verdict: str) -> float:
        return self.verdicts[verdict] / self.verdicts.total()


def _disagrees(before: Seen, after: Seen) -> bool:
    """Total variation of the verdicts: also a model that has gone blind changes them."""
    names = before.verdicts.keys() | after.verdicts.keys()
    return sum(abs(after.share(name) - before.share(name)) for name in names) / 2 > SHIFT


def _unknown(before: Seen, after: Seen) -> bool:
    return after.share(UNKNOWN) - before.share(UNKNOWN) > SHIFT


def _alerts(before: Seen, after: Seen) -> bool:
    return after.alerts > before.alerts


MEASURES: Final = {Said("other verdicts"): _disagrees, Said("more unknown"): _unknown, Said("more alerts"): _alerts}


def judge(session: Session, rollout: Rollout, group: RolloutGroup, now_ms: int) -> str | None:
    """Why the group's verdicts are worse than before, or cannot be judged; None: they are not."""
    mine = select(Action.node_id).where(Action.rollout_id == rollout.id).order_by(Action.place).limit(NODES_MAX)
    canaries = session.scalars(mine.where(Action.number == group.number, Action.state == "succeeded", ~Action.already)).all()
    if not canaries:
        return None  # all of them ran the model before
    controls = session.scalars(mine.where(Action.state == "waiting")).all()
    since_ms, begun_ms = group.observed_ms or now_ms, group.started_ms or now_ms
    span_ms = now_ms - since_ms
    nodes = [*canaries, *controls]
    before, after = _seen(session, nodes, begun_ms - span_ms, begun_ms), _seen(session, nodes, since_ms, now_ms)
    told = {node for node in nodes if min(before[node].verdicts.total(), after[node].verdicts.total()) >= MESSAGES_MIN}
    canaries, controls = [node for node in canaries if node in told], [node for node in controls if node in told]
    if not canaries:
        return Said("no canary sent %(least)s telemetry messages before and after; watch them for longer", least=MESSAGES_MIN)
    for name, changed in MEASURES.items():
        bad = sum(changed(before[node], after[node]) for node in canaries)
        other = sum(changed(before[node], after[node]) for node in controls)
        if (why := drift(bad, len(canaries), other, len(controls))) is not None:
            return Said(
                "%(what)s on %(bad)s of %(canaries)s canaries, on %(other)s of %(controls)s controls (%(why)s)",
                what=name,
                bad=bad,
                canaries=len(canaries),
                other=other,
                controls=len(controls),
                why=why,
            )
    return None


def drift(bad: int, canaries: int, other: int, controls: int) -> str | None:
    """The test on one table: why it is drift, or None."""
    level = ALPHA / len(MEASURES)
    if fisher(canaries, canaries, 0, controls) > level:  # not even all of them would show
        return Said("more than half; too few nodes for a test") if 2 * bad > canaries else None
    p = fisher(bad, canaries, other, controls)
    found = {"p": Number(f"{p:.2g}"), "level": Number(f"{level:.2g}")}
    return Said("Fisher's exact p = %(p)s, level %(level)s", **found) if p <= level else None


def fisher(a: int, n: int, b: int, m: int) -> float:
    """P(at least `a` of `n` changed), given `a + b` of `n + m` did and it makes no difference which."""
    whole = math.comb(n + m, a + b)
    return sum(math.comb(n, k) * math.comb(m, a + b - k) for k in range(a, min(n, a + b) + 1)) / whole


def _seen(session: Session, nodes: Sequence[int], from_ms: int, until_ms: int) -> dict[int, Seen]:
    found: dict[int, Seen] = defaultdict(Seen)
    said = select(Telemetry.node_id, Telemetry.verdict, func.count()).where(Telemetry.node_id.in_(nodes))
    said = said.where(Telemetry.at_ms >= from_ms, Telemetry.at_ms < until_ms).group_by(Telemetry.node_id, Telemetry.verdict)
    for node_id, verdict, count in session.execute(said):
        found[node_id].verdicts[verdict] += count
    raised = select(Occurrence.node_id, func.count()).where(Occurrence.node_id.in_(nodes))
    raised = raised.where(Occurrence.raised_ms >= from_ms, Occurrence.raised_ms < until_ms).group_by(Occurrence.node_id)
    for node_id, count in session.execute(raised):
        found[node_id].alerts += count
    return found
