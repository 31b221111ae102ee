"""The registry of machines and measuring points, and which node listens at which point since when.

History and baselines belong to the point, so they stay when a node is replaced. A node without an assignment is its own
machine, named after it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from whir_fleet import machine_specs
from whir_fleet.errors import ConflictError, NotFoundError, RequestError
from whir_fleet.machine_specs import MachineSpec
from whir_fleet.models import Assignment, Machine, Node, Point
from whir_fleet.said import Said


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node sits. `point` is None for a node that is its own machine."""

    machine: str
    point: str | None


@dataclass
class Imported:
    sites: set[str]
    machines: int
    points: int
    assigned: int = 0


def find(session: Session, site: str, name: str) -> Machine:
    machine = session.scalar(select(Machine).where(Machine.site == site, Machine.name == name).with_for_update())
    if machine is None:
        raise NotFoundError(Said("no machine %(machine)s", machine=f"{site}/{name}"))
    return machine


def find_point(session: Session, site: str, machine: str, name: str) -> Point:
    found = find(session, site, machine)
    point = session.scalar(select(Point).where(Point.machine_id == found.id, Point.name == name).with_for_update())
    if point is None:
        raise NotFoundError(Said("machine %(machine)s has no point %(point)s", machine=f"{site}/{machine}", point=name))
    return point


def points_of(session: Session, machine_ids: Iterable[int]) -> list[Point]:
    return list(session.scalars(select(Point).where(Point.machine_id.in_(machine_ids)).order_by(Point.machine_id, Point.name)))


def assignments_of(session: Session, point_ids: Iterable[int]) -> list[Assignment]:
    query = select(Assignment).where(Assignment.point_id.in_(point_ids))
    return list(session.scalars(query.order_by(Assignment.point_id, Assignment.from_ms)))


def put(session: Session, site: str, name: str, spec: MachineSpec, now_ms: int) -> Machine:
    """Makes the machine, or replaces what is said about it. A point that a node was ever assigned to cannot be left out."""
    machine = session.scalar(select(Machine).where(Machine.site == site, Machine.name == name).with_for_update())
    if machine is None:
        machine = Machine(site=site, name=name)
        session.add(machine)
    _describe(machine, spec, now_ms)
    session.flush()
    kept = {point.name for point in spec.points}
    gone = [point for point in points_of(session, [machine.id]) if point.name not in kept]
    used = {assignment.point_id for assignment in assignments_of(session, [point.id for point in gone])}
    for point in gone:
        if point.id in used:
            raise ConflictError(
                Said(
                    "point %(point)s of %(machine)s has a history: it cannot be left out",
                    point=point.name,
                    machine=f"{site}/{name}",
                )
            )
        session.delete(point)
    _put_points(session, machine, spec)
    return machine


def _describe(machine: Machine, spec: MachineSpec, now_ms: int) -> None:
    for field, value in spec.model_dump(exclude={"points"}, mode="json").items():
        setattr(machine, field, value)
    machine.updated_ms = now_ms


def _put_points(session: Session, machine: Machine, spec: MachineSpec) -> dict[str, Point]:
    points = {point.name: point for point in points_of(session, [machine.id])}
    for fields in spec.points:
        point = points.get(fields.name)
        if point is None:
            points[fields.name] = point = Point(machine_id=machine.id, name=fields.name)
            session.add(point)
        point.position, point.axes = fields.position, list(fields.axes)
    session.flush()
    return points


def remove(session: Session, site: str, name: str) -> None:
    """With its points and their past; not while a node is assigned. Alerts keep the name."""
    machine = find(session, site, name)
    points = points_of(session, [machine.id])
    for assignment in assignments_of(session, [point.id for point in points]):
        if assignment.until_ms is None:
            raise ConflictError(
                Said(
                    "node %(node)s is assigned to %(machine)s: release it first", node=assignment.node, machine=f"{site}/{name}"
                )
            )
        session.delete(assignment)
    session.flush()
    for point in points:
        session.delete(point)
    session.flush()
    session.delete(machine)


def import_csv(session: Session, text: str, who: str, now_ms: int) -> Imported:
    """All lines of a file, or none (BadLinesError). Machines and points that the file does not name stay as they are."""
    lines = machine_specs.parse(text)
    specs = machine_specs.machines(lines)
    known = {(m.site, m.name): m for m in session.scalars(select(Machine).with_for_update())}
    done = Imported({site for site, _ in specs}, machines=len(specs), points=len(lines))
    points: dict[tuple[str, str, str], Point] = {}
    for (site, name), spec in specs.items():
        machine = known.get((site, name))
        if machine is None:
            machine = Machine(site=site, name=name)
            session.add(machine)
        _describe(machine, spec, now_ms)
        session.flush()
        points |= {(site, name, point): row for point, row in _put_points(session, machine, spec).items()}
    for line in lines:
        if line.node is not None:
            done.assigned += assign(
                session, line.site, points[line.site, line.machine, line.point.name], line.node, now_ms, who
            )
    return done


def assign(session: Session, site: str, point: Point, node: str, from_ms: int, who: str) -> bool:
    """From `from_ms` on the node listens at this point: what it did before, and who listened here, ends then.

    The node need not have been heard yet. False: it is so already. ConflictError when an assignment that would end began later.
    """
    current = session.scalars(
        select(Assignment)
        .where(Assignment.until_ms.is_(None), or_(Assignment.point_id == point.id, _is_node(site, node)))
        .with_for_update()
    ).all()
    if any(a.point_id == point.id and a.node == node for a in current):
        return False
    for assignment in current:
        _end(assignment, from_ms)
    session.flush()
    session.add(Assignment(point_id=point.id, site=site, node=node, from_ms=from_ms, assigned_by=who))
    session.flush()
    return True


def release(session: Session, point: Point, at_ms: int) -> None:
    """Nobody listens at this point any more."""
    query = select(Assignment).where(Assignment.until_ms.is_(None), Assignment.point_id == point.id).with_for_update()
    assignment = session.scalar(query)
    if assignment is None:
        raise ConflictError(Said("no node is assigned to point %(point)s", point=point.name))
    _end(assignment, at_ms)


def _end(assignment: Assignment, at_ms: int) -> None:
    if at_ms <= assignment.from_ms:
        raise ConflictError(
            Said(
                "node %(node)s is assigned since %(ms)s ms; that cannot end before it began",
                node=assignment.node,
                ms=assignment.from_ms,
            )
        )
    assignment.until_ms = at_ms


def checked_time(from_ms: int | None, now_ms: int) -> int:
    """The time of a change that somebody enters: now, or earlier."""
    if from_ms is not None and from_ms > now_ms:
        raise RequestError(Said("from_ms: lies in the future"))
    return now_ms if from_ms is None else from_ms


def _is_node(site: str, node: str) -> ColumnElement[bool]:
    return (Assignment.site == site) & (Assignment.node == node)


def place_at(session: Session, site: str, node: str, at_ms: int) -> Place | None:
    """Where the node sat at that time; None when it was not assigned."""
    found = session.execute(
        select(Machine.name, Point.name)
        .join(Point, Point.machine_id == Machine.id)
        .join(Assignment, Assignment.point_id == Point.id)
        .where(_is_node(site, node), Assignment.from_ms <= at_ms)
        .where(or_(Assignment.until_ms.is_(None), Assignment.until_ms > at_ms))
    ).first()
    return Place(*found) if found is not None else None


def places(session: Session, nodes: list[Node]) -> dict[int, Place]:
    """Where these nodes sit at present, by node id."""
    row = (Assignment.site, Assignment.node, Machine.name, Point.name)
    found = session.execute(
        select(*row)
        .join(Point, Point.id == Assignment.point_id)
        .join(Machine, Machine.id == Point.machine_id)
        .where(Assignment.until_ms.is_(None))
        # not by pairs: a long list of those is more than PostgreSQL's parser has a stack for
        .where(Assignment.site.in_({node.site for node in nodes}), Assignment.node.in_({node.name for node in nodes}))
    )
    assigned = {(site, node): Place(machine, point) for site, node, machine, point in found}
    return {node.id: assigned.get((node.site, node.name), Place(node.name, None)) for node in nodes}
