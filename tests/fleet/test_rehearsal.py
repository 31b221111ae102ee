"""Rehearsals: captures of real signals through the nodes' own core, and the start that a missed fault blocks."""

from __future__ import annotations

from typing import Any

import pytest
import rig
from rollout_fleet import T0

from whir_fleet import rehearsal, rollout_plans, rollouts
from whir_fleet.db import Database
from whir_fleet.errors import ConflictError
from whir_fleet.models import Alert, Artifact, Capture, Node, Occurrence, Rehearsal
from whir_fleet.rollout_plans import Plan

SECONDS = 4


def keep(
    database: Database, number: int, kind: str, said: str | None, outcome: str | None = None, fault: str | None = None
) -> None:
    """A capture of that signal on machine m<number>; with the alert that the old model raised, and what came of it."""
    counts = rig.signal(kind, SECONDS)
    with database.write() as session:
        seen: dict[str, Any] = {"first_seen_ms": T0, "last_seen_ms": T0, "hardware": "host"}
        node = Node(site="lab", name=f"m{number}", **seen)
        session.add(node)
        session.flush()
        occurrence = f"m{number}-1-5"
        if said is not None:
            alert = Alert(
                alert_id=f"{number:026d}", site="lab", machine=node.name, verdict=said, severity="warning", state="open"
            )
            alert.occurrences, alert.opened_ms, alert.open_ms, alert.updated_ms = 1, T0, T0, T0
            alert.muted, alert.escalations, alert.last, alert.outcome, alert.outcome_fault = False, 0, {}, outcome, fault
            session.add(alert)
            session.flush()
            raised = {"boot": 1, "seq": 5, "state": "active", "raised_ms": T0}
            session.add(Occurrence(node_id=node.id, occurrence=occurrence, alert_id=alert.alert_id, **raised))
        session.add(
            Capture(
                id=f"{number:026d}",
                node_id=node.id,
                capture_boot=1,
                number=1,
                machine=node.name,
                at_ms=T0 + number,
                received_ms=T0,
                whole_ms=T0,
                trigger="alert",
                occurrence=occurrence if said is not None else None,
                unit="g",
                rate_mhz=rig.SENSOR.rate_mhz,
                lsb_nano=rig.SENSOR.lsb_nano,
                channels=3,
                samples=len(counts),
                pre=0,
                counts=counts.astype("<i2").tobytes(),
            )
        )


def test_each_capture_is_held_against_its_alert_and_its_outcome(database: Database) -> None:
    keep(database, 1, "bearing", "bearing", "confirmed", "bearing")
    keep(database, 2, "healthy", "bearing", "confirmed", "bearing")  # it hears nothing there: missed
    keep(database, 3, "healthy", "imbalance", "false_alarm")
    keep(database, 4, "imbalance", None)
    keep(database, 5, "healthy", None)
    keep(database, 6, "imbalance", "bearing", "other_fault", "imbalance")
    with database.read() as session:
        rows = {row.machine: row for row in rehearsal.run(session, rig.bundle(), rig.KEYS)}
    assert {name: (row.now, row.change, row.missed) for name, row in rows.items()} == {
        "m1": ("bearing", "same", False),
        "m2": ("healthy", "vanishes", True),
        "m3": ("healthy", "vanishes", False),
        "m4": ("imbalance", "appears", False),
        "m5": ("healthy", "same", False),
        "m6": ("imbalance", "other", False),
    }


@pytest.mark.parametrize(("missed", "signed_by", "starts"), [(0, None, True), (1, None, False), (1, "admin", True)])
def test_a_missed_confirmed_fault_blocks_the_start_until_an_admin_signs(
    database: Database, artifact: str, missed: int, signed_by: str | None, starts: bool
) -> None:
    with database.write() as session:
        new = session.get_one(Artifact, artifact)
        session.add(Node(site="lab", name="n1", first_seen_ms=T0, last_seen_ms=T0, hardware=new.hardware))
        session.add(Rehearsal(sha256=artifact, at_ms=T0, by="anna", missed=missed, rows=[], signed_by=signed_by))
        session.flush()
        made = rollout_plans.create(session, Plan(name="test", sha256=artifact), "anna", T0)
        if starts:
            assert rollouts.start(session, made.id, T0).state == "running"
        else:
            with pytest.raises(ConflictError, match="missed 1 confirmed faults"):
                rollouts.start(session, made.id, T0)
