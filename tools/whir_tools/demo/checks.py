"""What must have happened, asserted from the fleet's database alone."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from whir_fleet.models import Action, Alert, AlertChange, Artifact, BootCount, Event, Node, Rollout
from whir_tools.demo.plant import Motor


@dataclass(frozen=True)
class Check:
    """One line of the closing list."""

    text: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True)
class Expected:
    """Who was meant to meet what."""

    motors: list[Motor]
    canary: str
    corrupted: str
    power_cut: str
    first_version: str
    second: str  # sha256 of the second bundle
    refused: str  # sha256 of a bundle whose upload had to be refused


def check(session: Session, expected: Expected) -> list[Check]:
    """Every promise of the demo, in the order of the story."""
    nodes = {node.name: node for node in session.scalars(select(Node))}
    second = session.get(Artifact, expected.second)
    checks = [_registered(nodes, expected)]
    checks += [_alerted(session, motor) for motor in expected.motors if motor.fault is not None]
    checks += [
        _told(session),
        _quiet(session, expected),
        Check("a bundle with a broken signature is not in the store", session.get(Artifact, expected.refused) is None),
        _gate(session, expected),
        _refused(session, nodes, expected),
        _power_cut(session, nodes, expected),
        Check(
            "every node runs the second model, confirmed",
            second is not None
            and len(nodes) == len(expected.motors)
            and all(n.model_version == second.model_version and n.trial is False for n in nodes.values()),
            ", ".join(f"{n.name} {n.model_version}" for n in nodes.values()),
        ),
        _counted(session),
    ]
    return checks


def _registered(nodes: dict[str, Node], expected: Expected) -> Check:
    names = {motor.name for motor in expected.motors}
    return Check(f"{len(names)} nodes in the registry", set(nodes) == names, ", ".join(sorted(nodes)))


def _alerted(session: Session, motor: Motor) -> Check:
    found = session.scalars(select(Alert).where(Alert.machine == motor.name, Alert.verdict == motor.truth)).all()
    return Check(f"{motor.name}: {motor.truth} alerted", len(found) == 1, f"{len(found)} alert(s) of that kind in the database")


def _told(session: Session) -> Check:
    changes = session.scalars(select(AlertChange)).all()
    waiting = [c for c in changes if c.published_ms is None]
    return Check("every alert went out to the subscribers", bool(changes) and not waiting, f"{len(changes)} messages")


def _quiet(session: Session, expected: Expected) -> Check:
    truth = {motor.name: motor.truth for motor in expected.motors}
    wrong = [a for a in session.scalars(select(Alert)) if a.verdict != truth.get(a.machine)]
    return Check("no other alert", not wrong, ", ".join(f"{a.machine} {a.verdict}" for a in wrong))


def _gate(session: Session, expected: Expected) -> Check:
    rollout = _first_rollout(session, expected)
    if rollout is None:
        return Check("the rest waited for the first node", False, "no rollout")
    names = {node.id: node.name for node in session.scalars(select(Node))}
    actions = {names[a.node_id]: a for a in session.scalars(select(Action).where(Action.rollout_id == rollout.id))}
    canary = actions.pop(expected.canary, None)
    done = canary.finished_ms if canary is not None and canary.state == "succeeded" else None
    starts = [a.started_ms for a in actions.values() if a.started_ms is not None]
    held = done is not None and len(starts) == len(expected.motors) - 1 and all(start >= done for start in starts)
    return Check("one node first, the rest after the gate", held, f"rollout {rollout.state}")


def _refused(session: Session, nodes: dict[str, Node], expected: Expected) -> Check:
    name = expected.corrupted
    events = _events(session, nodes, name, "update_refused")
    rollout = _first_rollout(session, expected)
    action = None
    if rollout is not None and name in nodes:
        action = session.scalar(select(Action).where(Action.rollout_id == rollout.id, Action.node_id == nodes[name].id))
    ok = len(events) == 1 and events[0].model_version == expected.first_version and action is not None
    ok = ok and action.state == "failed" if action is not None else False
    detail = f"{events[0].code}, kept {events[0].model_version}" if events else "no refusal in the database"
    return Check(f"{name}: corrupted download refused, old model kept", ok, detail)


def _power_cut(session: Session, nodes: dict[str, Node], expected: Expected) -> Check:
    name = expected.power_cut
    boots = sorted({event.boot for event in _events(session, nodes, name, "boot")})
    models = {e.boot: e.model_version for e in _events(session, nodes, name, "boot")}
    ok = len(boots) == 2 and models[boots[1]] is not None
    return Check(
        f"{name}: power cut while writing, booted with a working model",
        ok,
        f"boots {boots}, then {models.get(boots[-1]) if boots else None}",
    )


def _counted(session: Session) -> Check:
    lost = sum(count.lost for count in session.scalars(select(BootCount)))
    return Check("no message lost", lost == 0, f"{lost} missing by sequence number")


def _events(session: Session, nodes: dict[str, Node], name: str, kind: str) -> list[Event]:
    if name not in nodes:
        return []
    query = select(Event).where(Event.node_id == nodes[name].id, Event.kind == kind).order_by(Event.boot, Event.seq)
    return list(session.scalars(query))


def _first_rollout(session: Session, expected: Expected) -> Rollout | None:
    return session.scalars(select(Rollout).where(Rollout.sha256 == expected.second).order_by(Rollout.created_ms)).first()
