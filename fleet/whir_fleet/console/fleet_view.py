"""Every machine with its nodes and its state, in three queries: what overview and list show, also of ten thousand nodes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from whir_fleet import alerts, devices
from whir_fleet.auth import Identity
from whir_fleet.console import words
from whir_fleet.models import Alert, Assignment, Machine, Node, Point

STATES: Final = tuple(words.machine_state)  # worst first
_NODE: Final = (
    "id", "site", "name", "state", "boot", "conn", "lost_boot", "lost_conn", "last_seen_ms", "next_s", "model",
    "model_version", "counter", "fw", "hardware", "trial",
)  # fmt: skip
_OF_NODE: Final = {
    "ok": "quiet",
    "machine_off": "off",
    "stopped": "off",
    "no_model": "no_verdict",
    "sensor_fault": "no_verdict",
    "no_speed": "no_verdict",
}
_OF_PRESENCE: Final = {"lost": "offline", "silent": "offline", "unknown": "no_verdict", "stopped": "off"}


@dataclass(slots=True)
class NodeLine:
    """`row` has the columns of `_NODE`."""

    row: Any
    point: str | None
    presence: str

    @property
    def offline(self) -> bool:
        return self.presence in ("lost", "silent")


@dataclass(slots=True)
class MachineLine:
    site: str
    name: str
    nodes: list[NodeLine] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    state: str = "unwatched"

    def judge(self) -> None:
        """The worst of what its alerts and its nodes say."""
        said = [alert.severity for alert in self.alerts]
        said += [_OF_PRESENCE.get(n.presence) or _OF_NODE.get(n.row.state or "", "no_verdict") for n in self.nodes]
        self.state = min((name for name in said if name in STATES), key=STATES.index, default="unwatched")


@dataclass(frozen=True, slots=True)
class Fleet:
    machines: list[MachineLine]  # worst first, then by site and name
    nodes: list[NodeLine]
    alerts: list[Alert]  # unresolved ones, worst first, then the newest

    @property
    def states(self) -> dict[str, int]:
        found = Counter(machine.state for machine in self.machines)
        return {state: found[state] for state in STATES}

    @property
    def severities(self) -> dict[str, int]:
        found = Counter(alert.severity for alert in self.alerts if alert.state == alerts.OPEN)
        return {name: found[name] for name in words.severity if name != "none"}

    @property
    def offline(self) -> list[NodeLine]:
        return sorted((node for node in self.nodes if node.offline), key=lambda node: -node.row.last_seen_ms)

    @property
    def models(self) -> list[tuple[tuple[str | None, str | None, int | None], int]]:
        """(model, version, counter) in service and on how many nodes, the most first."""
        return Counter((n.row.model, n.row.model_version, n.row.counter) for n in self.nodes).most_common()

    @property
    def sites(self) -> dict[str, Counter[str]]:
        found: dict[str, Counter[str]] = {}
        for machine in sorted(self.machines, key=lambda m: m.site):
            found.setdefault(machine.site, Counter())[machine.state] += 1
        return found


def of_machine(session: Session, who: Identity, site: str, name: str, now_ms: int) -> MachineLine:
    found = (machine for machine in load(session, who, now_ms, site).machines if machine.name == name)
    return next(found, MachineLine(site, name))


def load(session: Session, who: Identity, now_ms: int, site: str | None = None) -> Fleet:
    """What the caller may see of it; of one site, or of all."""
    lines: dict[tuple[str, str], MachineLine] = {}

    def line(site: str, name: str) -> MachineLine:
        return lines.setdefault((site, name), MachineLine(site, name))

    def of(query: Any, column: Any) -> Any:
        return who.only(query if site is None else query.where(column == site), column)

    for place, name in session.execute(of(select(Machine.site, Machine.name), Machine.site)):
        line(place, name)
    here = and_(Assignment.site == Node.site, Assignment.node == Node.name, Assignment.until_ms.is_(None))
    query = (
        select(*(getattr(Node, name) for name in _NODE), Machine.name.label("machine"), Point.name.label("point"))
        .outerjoin(Assignment, here)
        .outerjoin(Point, Point.id == Assignment.point_id)
        .outerjoin(Machine, Machine.id == Point.machine_id)
    )
    nodes = []
    row: Any
    for row in session.execute(of(query, Node.site)):
        nodes.append(NodeLine(row, row.point, devices.presence(row, now_ms)))
        line(row.site, row.machine or row.name).nodes.append(nodes[-1])
    unresolved = list(session.scalars(of(select(Alert).where(Alert.state != alerts.RESOLVED), Alert.site)))
    unresolved.sort(key=lambda a: (STATES.index(a.severity) if a.severity in STATES else len(STATES), -a.opened_ms))
    for alert in unresolved:
        if alert.machine != alerts.SITE:
            line(alert.site, alert.machine).alerts.append(alert)
    for machine in lines.values():
        machine.judge()
    ordered = sorted(lines.values(), key=lambda m: (STATES.index(m.state), m.site, m.name))
    return Fleet(ordered, nodes, unresolved)
