"""The rows of the closing table, from the fleet's database."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from whir_fleet.models import Alert, Node, Telemetry
from whir_tools.demo.plant import TELEMETRY_MS, Motor


def rows(session: Session, motors: list[Motor], latency: dict[str, tuple[float, float]]) -> list[tuple[str, ...]]:
    """Node, truth, alert, latency on the node's clock, real latency, model in service, verdicts right."""
    found: list[tuple[str, ...]] = []
    for motor in motors:
        node = session.scalar(select(Node).where(Node.name == motor.name))
        alerts = session.scalars(select(Alert).where(Alert.machine == motor.name))
        right, total = verdicts_right(session, motor)
        node_s, real_s = latency.get(motor.name, (None, None))
        found.append(
            (
                motor.name,
                motor.truth,
                ", ".join(f"{a.verdict} ({a.severity})" for a in alerts) or "none",
                "" if node_s is None else f"{node_s:.1f} s",
                "" if real_s is None else f"{real_s:.1f} s",
                node.model_version or "none" if node is not None else "never seen",
                f"{right} of {total}",
            )
        )
    return found


def verdicts_right(session: Session, motor: Motor) -> tuple[int, int]:
    """Verdicts that named what was playing, of all in telemetry; the one interval in which the fault set in is left out."""
    right = total = 0
    query = select(Telemetry).join(Node, Node.id == Telemetry.node_id).where(Node.name == motor.name)
    for row in session.scalars(query):
        onset_ms = motor.onset_s * 1000 if motor.fault else float("inf")
        if onset_ms <= row.ts < onset_ms + 2 * TELEMETRY_MS:
            continue
        truth = motor.healthy.label if row.ts < onset_ms else motor.truth
        right += (row.verdicts or {}).get(truth, 0)
        total += sum((row.verdicts or {}).values())
    return right, total
