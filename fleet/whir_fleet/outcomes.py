"""What an alert turned out to be, as the engineer found it, and the precision of each model version that follows from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from whir_fleet import alerts
from whir_fleet.errors import RequestError
from whir_fleet.models import Alert
from whir_fleet.said import Said

# outcome → was the model right? None: not the model's doing, counts neither way
OUTCOMES: Final[dict[str, bool | None]] = {
    "confirmed": True,  # the fault that the alert names
    "other_fault": False,  # a fault, but another one
    "false_alarm": False,  # nothing was wrong
    "sensor_loose": None,
}
_SAID: Final = {
    "confirmed": Said("confirmed"),
    "other_fault": Said("other_fault"),
    "false_alarm": Said("false_alarm"),
    "sensor_loose": Said("sensor_loose"),
}
_Z95 = 1.959964


@dataclass
class Precision:
    """Alerts of one model version by outcome. `precision` = confirmed / (confirmed + other_fault + false_alarm)."""

    model: str
    model_version: str | None
    counter: int | None
    alerts: int = 0
    confirmed: int = 0
    other_fault: int = 0
    false_alarm: int = 0
    sensor_loose: int = 0
    undecided: int = 0

    @property
    def judged(self) -> int:
        return self.confirmed + self.other_fault + self.false_alarm

    @property
    def precision(self) -> float | None:
        return self.confirmed / self.judged if self.judged else None

    @property
    def ci95(self) -> tuple[float, float] | None:
        """Wilson's interval: honest with few alerts, too."""
        n = self.judged
        if n == 0:
            return None
        p, z2 = self.confirmed / n, _Z95**2
        middle, half = p + z2 / (2 * n), _Z95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
        return max(0.0, (middle - half) / (1 + z2 / n)), min(1.0, (middle + half) / (1 + z2 / n))


def record(session: Session, alert_id: str, outcome: str, fault: str | None, note: str | None, who: str, now_ms: int) -> Alert:
    """Said after a look at the machine; saying it again corrects it, and the history keeps both."""
    alert = alerts.find(session, alert_id, for_update=True)
    if outcome == "other_fault" and not fault:
        raise RequestError(Said("fault: other_fault has to say which"))
    if outcome != "other_fault" and fault:
        raise RequestError(Said("fault: goes with other_fault only, not with %(outcome)s", outcome=outcome))
    alert.outcome, alert.outcome_fault = outcome, fault or (alert.verdict if OUTCOMES[outcome] else None)
    alert.outcome_note, alert.outcome_by, alert.outcome_ms = note, who, now_ms
    text = Said("%(outcome)s, %(fault)s", outcome=_SAID[outcome], fault=fault) if fault else _SAID[outcome]
    alerts.step(session, alert, "outcome", now_ms, who, Said("%(what)s: %(why)s", what=text, why=note) if note else text)
    return alert


def precision(session: Session, sites: frozenset[str] | None = None) -> list[Precision]:
    """By model version, newest counter first; of these sites, or of all.

    What the fleet itself raised (a lost sensor) has no model and is left out.
    """
    key = (Alert.model, Alert.model_version, Alert.counter)
    query = select(*key, Alert.outcome, func.count()).where(Alert.model.is_not(None)).group_by(*key, Alert.outcome)
    if sites is not None:
        query = query.where(Alert.site.in_(sites))
    found: dict[tuple[str, str | None, int | None], Precision] = {}
    for model, version, counter, outcome, count in session.execute(query):
        assert model is not None
        of = found.setdefault((model, version, counter), Precision(model, version, counter))
        of.alerts += count
        name = outcome or "undecided"
        setattr(of, name, getattr(of, name) + count)
    return sorted(found.values(), key=lambda p: (p.model, -(p.counter or 0)))
