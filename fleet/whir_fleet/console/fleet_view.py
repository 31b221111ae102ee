"""Machines and their states as overview and list show them. The database does the counting: there may be ten thousand nodes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Subquery, and_, case, func, literal, select, union_all
from sqlalchemy.orm import Session

from whir_fleet import alerts, devices
from whir_fleet.auth import Identity
from whir_fleet.console import words
from whir_fleet.models import Alert, Assignment, Machine, Node, Point

STATES: Final = tuple(words.machine_state)  # worst first
_RANK: Final = {state: place for place, state in enumerate(STATES)}
_SILENT: Final = len(STATES)  # said by nobody: a machine where nobody listens
_OF_NODE: Final = {
    "ok": "quiet",
    "machine_off": "off",
    "stopped": "off",
    "no_model": "no_verdict",
    "sensor_fault": "no_verdict",
    "no_speed": "no_verdict",
}
_OF_PRESENCE: Final = {"lost": "offline", "silent": "offline", "unknown": "no_verdict", "stopped": "off"}
Rows = Select[*tuple[Any, ...]]
_MACHINE: Final = func.coalesce(Machine.name, Node.name)  # a node without an assignment is its own machine


def _with_place(query: Rows) -> Rows:
    """Of nodes: with the machine and the point where each listens now."""
    here = and_(Assignment.site == Node.site, Assignment.node == Node.name, Assignment.until_ms.is_(None))
    query = query.select_from(Node).outerjoin(Assignment, here)
    return query.outerjoin(Point, Point.id == Assignment.point_id).outerjoin(Machine, Machine.id == Point.machine_id)


def _node_rank(now_ms: int) -> ColumnElement[int]:
    of_node = case({state: _RANK[of] for state, of in _OF_NODE.items()}, value=Node.state, else_=_RANK["no_verdict"])
    of_presence = {presence: _RANK[of] for presence, of in _OF_PRESENCE.items()}
    return case(of_presence, value=devices.presence_column(now_ms), else_=of_node)


_ALERT_RANK: Final = case({s: _RANK[s] for s in words.severity if s in _RANK}, value=Alert.severity, else_=_SILENT)


def _ranked(who: Identity, now_ms: int, site: str | None = None, name: str | None = None) -> Subquery:
    """(site, name, rank) of every machine that the caller may see: the worst of what its alerts and its nodes say."""
    unresolved = (Alert.state != alerts.RESOLVED, Alert.machine != alerts.SITE)
    parts: list[tuple[Rows, Any, Any]] = [
        (_with_place(select(Node.site, _MACHINE, _node_rank(now_ms))), Node.site, _MACHINE),
        (select(Alert.site, Alert.machine, _ALERT_RANK).where(*unresolved), Alert.site, Alert.machine),
        (select(Machine.site, Machine.name, literal(_SILENT)), Machine.site, Machine.name),
    ]
    asked = []
    for query, of_site, of_name in parts:
        query = who.only(query, of_site)
        query = query if site is None else query.where(of_site == site)
        asked.append(query if name is None else query.where(of_name == name))
    said = union_all(*asked).subquery().columns
    at, called, rank = said.values()
    highest = func.min(rank)
    worst = case((highest == _SILENT, _RANK["unwatched"]), else_=highest)
    query = select(at.label("site"), called.label("name"), worst.label("rank"))
    return query.group_by(at, called).subquery()


@dataclass(frozen=True, slots=True)
class Summary:
    """How many machines of a site are in which state."""

    sites: dict[str, Counter[str]]

    @property
    def states(self) -> dict[str, int]:
        total = sum(self.sites.values(), Counter[str]())
        return {state: total[state] for state in STATES}

    @property
    def machines(self) -> int:
        return sum(found.total() for found in self.sites.values())


def summary(session: Session, who: Identity, now_ms: int) -> Summary:
    found = _ranked(who, now_ms).c
    query = select(found.site, found.rank, func.count()).group_by(found.site, found.rank).order_by(found.site)
    sites: dict[str, Counter[str]] = {}
    for site, rank, count in session.execute(query):
        sites.setdefault(site, Counter())[STATES[rank]] = count
    return Summary(sites)


def state_of(session: Session, who: Identity, site: str, name: str, now_ms: int) -> str:
    rank = session.scalar(select(_ranked(who, now_ms, site, name).c.rank))
    return "unwatched" if rank is None else STATES[rank]


# Overview -----------------------------------------------------------------------------------------------------------------


def models(session: Session, who: Identity) -> list[tuple[tuple[str | None, str | None, int | None], int]]:
    """(model, version, counter) in service and on how many nodes, the most first."""
    query = select(Node.model, Node.model_version, Node.counter, func.count())
    found = session.execute(who.only(query, Node.site).group_by(Node.model, Node.model_version, Node.counter))
    return sorted((((model, version, counter), count) for model, version, counter, count in found), key=lambda row: -row[1])


def offline(session: Session, who: Identity, now_ms: int, limit: int) -> tuple[int, list[Any]]:
    """How many nodes are, and those that were heard last, with `site`, `name`, `machine` and `last_seen_ms`."""
    is_offline = devices.presence_column(now_ms).in_(("lost", "silent"))
    count = session.scalar(who.only(select(func.count()).select_from(Node).where(is_offline), Node.site)) or 0
    query = _with_place(select(Node.site, Node.name, _MACHINE.label("machine"), Node.last_seen_ms)).where(is_offline)
    newest = who.only(query, Node.site).order_by(Node.last_seen_ms.desc(), Node.id).limit(limit)
    return count, list(session.execute(newest)) if count else []


def unresolved(session: Session, who: Identity) -> dict[tuple[str, str], int]:
    """How many alerts by (state, severity)."""
    query = select(Alert.state, Alert.severity, func.count()).where(Alert.state != alerts.RESOLVED)
    found = session.execute(who.only(query, Alert.site).group_by(Alert.state, Alert.severity))
    return {(state, severity): count for state, severity, count in found}


def worst(session: Session, who: Identity, state: str, limit: int) -> list[Alert]:
    """The worst alerts in that state, of equal ones the newest first."""
    query = who.only(select(Alert).where(Alert.state == state), Alert.site)
    return list(session.scalars(query.order_by(_ALERT_RANK, Alert.opened_ms.desc()).limit(limit)))


# List ---------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class MachineLine:
    """`nodes`: rows with name, point, model, model_version and last_seen_ms."""

    site: str
    name: str
    state: str
    nodes: list[Any] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)


def page(
    session: Session, who: Identity, now_ms: int, *, state: str, site: str, name: str, start: int, limit: int
) -> tuple[int, list[MachineLine]]:
    """How many machines there are like that, and some of them: worst first, then by site and name. Empty: any."""
    found = _ranked(who, now_ms, site or None)
    query = select(found, func.count().over()).order_by(found.c.rank, found.c.site, found.c.name)
    if state:
        query = query.where(found.c.rank == _RANK.get(state, _SILENT))
    if name:
        query = query.where(found.c.name.contains(name.lower(), autoescape=True))
    rows = session.execute(query.offset(start).limit(limit)).all()
    lines = {(at, called): MachineLine(at, called, STATES[rank]) for at, called, rank, _ in rows}
    sites, names = {at for at, _ in lines}, {called for _, called in lines}  # of more than are shown, and left out here
    columns = (Node.site, _MACHINE.label("machine"), Node.name, Node.model, Node.model_version, Node.last_seen_ms)
    nodes = _with_place(select(*columns, Point.name.label("point"))).where(Node.site.in_(sites), _MACHINE.in_(names))
    for row in session.execute(nodes.order_by(Node.name)):
        if (row.site, row.machine) in lines:
            lines[row.site, row.machine].nodes.append(row)
    raised = select(Alert).where(Alert.state != alerts.RESOLVED, Alert.site.in_(sites), Alert.machine.in_(names))
    for alert in session.scalars(raised.order_by(_ALERT_RANK, Alert.opened_ms.desc())):
        if (alert.site, alert.machine) in lines:
            lines[alert.site, alert.machine].alerts.append(alert)
    return rows[0][-1] if rows else 0, list(lines.values())
