"""Outcomes, and the precision that follows from them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from whir_fleet import outcomes
from whir_fleet.db import Database
from whir_fleet.errors import RequestError
from whir_fleet.messages import Inbound
from whir_fleet.models import Alert, AlertChange
from whir_fleet.outcomes import Precision
from whir_fleet.store import store

Says = Callable[..., Inbound]


def test_precision_counts_each_model_version_by_what_its_alerts_turned_out_to_be(database: Database, says: Says) -> None:
    said = ["confirmed"] * 3 + ["false_alarm", "other_fault", "sensor_loose", None]
    for counter in (1, 2):
        for i, outcome in enumerate(said[counter - 1 :]):
            node = f"n{counter}{i}"
            raised = says("alert", node=node, seq=5, occurrence=f"{node}-1-5", model="m", counter=counter)
            with database.write() as session:
                status = says("status", node=node, seq=1, model="m", model_version=f"v{counter}", counter=counter)
                store(session, [status, raised], 100)
                alert_id = session.scalars(select(Alert.alert_id).where(Alert.machine == node)).one()
                if outcome is not None:
                    fault = "looseness" if outcome == "other_fault" else None
                    outcomes.record(session, alert_id, outcome, fault, None, "anna", 77)
    with database.read() as session:
        found = outcomes.precision(session)
    assert [(p.model_version, p.alerts, p.confirmed, p.judged, p.undecided) for p in found] == [
        ("v2", 6, 2, 4, 1),
        ("v1", 7, 3, 5, 1),
    ]
    assert found[1].precision == pytest.approx(0.6)


def test_the_interval_is_wilsons() -> None:
    low, high = Precision("m", "1", 1, confirmed=9, false_alarm=1).ci95 or (0, 0)
    assert (low, high) == (pytest.approx(0.5958, abs=1e-4), pytest.approx(0.9821, abs=1e-4))
    assert Precision("m", "1", 1, undecided=3).ci95 is None


def test_an_outcome_can_be_corrected_and_the_history_keeps_both(database: Database, says: Says) -> None:
    with database.write() as session:
        store(session, [says("alert", seq=5)], 100)
        alert_id = session.scalars(select(Alert.alert_id)).one()
        outcomes.record(session, alert_id, "confirmed", None, None, "anna", 10)
        alert = outcomes.record(session, alert_id, "other_fault", "looseness", "bolts", "ben", 20)
        assert (alert.outcome, alert.outcome_fault, alert.outcome_by, alert.outcome_ms) == (
            "other_fault",
            "looseness",
            "ben",
            20,
        )
        whys = session.scalars(select(AlertChange.why).where(AlertChange.what == "outcome").order_by(AlertChange.id)).all()
    assert whys == ["confirmed", "other_fault, looseness: bolts"]


@pytest.mark.parametrize(("outcome", "fault"), [("other_fault", None), ("confirmed", "looseness"), ("false_alarm", "x")])
def test_a_fault_belongs_to_other_fault_and_to_nothing_else(
    database: Database, says: Says, outcome: str, fault: str | None
) -> None:
    with database.write() as session:
        store(session, [says("alert", seq=5)], 100)
        alert_id = session.scalars(select(Alert.alert_id)).one()
        with pytest.raises(RequestError, match="fault"):
            outcomes.record(session, alert_id, outcome, fault, None, "anna", 10)
