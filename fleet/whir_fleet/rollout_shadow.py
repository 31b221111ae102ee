"""The model-quality gate before a candidate is put into service: what it said beside the old model, on the same windows.

Both judge each window of a canary, so their verdicts come in pairs and the machine itself cancels out. `MEASURES` are held at
5 % together (Bonferroni), over the sums of all canaries:

* McNemar's exact test on the pairs in which only one of the two named a fault, in either direction, and on those in which only
  the candidate said unknown; likewise on the alerts that only one would have raised. Pairs of a machine resemble each other, so
  a small difference becomes significant with time alone: it has to be more than `NET` of all pairs too.
* An exact binomial test, one-sided, of how often they differ at all. Where they do, one of them is wrong; so by their own
  evaluations on recordings that they had never seen they differ in at most the sum of both shares of wrong verdicts.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from whir_fleet.models import Action, Artifact, Node, Rollout, RolloutGroup
from whir_fleet.rollout_kinds import is_the_model
from whir_fleet.said import Number, Said

ALPHA: Final = 0.05
NET: Final = 0.05
PAIRS_MIN: Final = 30
WRONG: Final = 0.1  # share of wrong verdicts of a model without an evaluation
_PAIRED: Final = {  # what is worse: more of the first than of the second, in so many
    Said("faults that the old model does not see"): ("fault_new", "fault_old", "pairs"),
    Said("faults that only the old model sees"): ("fault_old", "fault_new", "pairs"),
    Said("more unknown"): ("unknown_new", "unknown_old", "pairs"),
    Said("more alerts"): ("alerts_new", "alerts_old", None),
}
LEVEL: Final = ALPHA / (len(_PAIRED) + 1)


def judge(session: Session, rollout: Rollout, group: RolloutGroup) -> str | None:
    """Why the candidate must not go into service on the group's nodes, with the numbers; None: nothing speaks against it."""
    query = select(Action, Node).join(Node, Node.id == Action.node_id)
    query = query.where(Action.rollout_id == rollout.id, Action.number == group.number, Action.state == "shadowed")
    rows = session.execute(query).all()
    said: Counter[str] = Counter()
    for action, _ in rows:
        said.update({name: int(count or 0) for name, count in (action.shadow or {}).items()})
    candidate = session.get_one(Artifact, rollout.sha256)
    models = session.scalars(select(Artifact).where(Artifact.kind == candidate.kind)).all()
    old = [next((m for m in models if is_the_model((n.model, n.model_version, n.counter), m)), None) for _, n in rows]
    return drift(said, wrong_share(candidate) + max(map(wrong_share, old), default=WRONG))


def wrong_share(artifact: Artifact | None) -> float:
    """Of the verdicts in the bundle's own evaluation."""
    if artifact is None or artifact.evaluation is None:
        return WRONG
    return 1.0 - float(artifact.evaluation["int8"]["verdict"]["accuracy"])


def drift(said: Counter[str], expected: float) -> str | None:
    """The tests on the sums. `expected`: the share of pairs in which the two may differ."""
    pairs = said["pairs"]
    if pairs < PAIRS_MIN:
        return Said(
            "shadow run: %(pairs)s verdicts of both models, %(least)s are needed; let it run for longer",
            pairs=pairs,
            least=PAIRS_MIN,
        )
    for what, (more, less, of) in _PAIRED.items():
        a, b = said[more], said[less]
        p = binomial(a, a + b, 0.5)
        if p <= LEVEL and (of is None or a - b > NET * said[of]):
            return Said(
                "shadow run: %(what)s, %(more)s against %(less)s; %(pairs)s verdicts"
                " (McNemar's exact p = %(p)s, level %(level)s)",
                what=what,
                more=a,
                less=b,
                pairs=pairs,
                p=_number(p),
                level=_number(LEVEL),
            )
    p = binomial(said["differ"], pairs, min(expected, 1.0))
    if p <= LEVEL:
        return Said(
            "shadow run: %(differ)s of %(pairs)s verdicts differ, by their evaluations at most %(expected)s %%"
            " (binomial p = %(p)s, level %(level)s)",
            differ=said["differ"],
            pairs=pairs,
            expected=round(100 * expected),
            p=_number(p),
            level=_number(LEVEL),
        )
    return None


def _number(value: float) -> Number:
    return Number(f"{value:.2g}")


def binomial(k: int, n: int, p: float) -> float:
    """P(at least `k` of `n`), each with probability `p`."""
    if k <= 0 or p >= 1.0:
        return 1.0
    if p <= 0.0 or k > n:
        return 0.0
    if k <= n * p:
        return 1.0 - binomial(n - k + 1, n, 1.0 - p)
    whole = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    term = math.exp(whole + k * math.log(p) + (n - k) * math.log1p(-p))
    total = 0.0
    while term > total * 1e-12 and k <= n:  # beyond the mean they only get smaller
        total += term
        term *= (n - k) / (k + 1) * p / (1 - p)
        k += 1
    return total
