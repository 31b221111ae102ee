"""What the fleet's database says of each node in service, as the adapters show it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from whir_contracts.contract import Severity
from whir_fleet import alerts, devices, machines
from whir_fleet.models import Alert, Device, Node, Telemetry

_LOOK_BACK_MS = 120_000  # at the first reading, and for what comes late


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node: `state` is its own while it is online, else its presence; `severity` and `faults` are of its machine's alerts.

    `velocity` is in mm/s, `p` from 0 to 1; both, and `verdict`, are None until its next telemetry.
    """

    site: str
    name: str
    machine: str
    point: str | None
    hardware: str | None
    online: bool
    state: str
    model: str | None
    severity: str
    faults: tuple[str, ...]
    verdict: str | None
    p: float | None
    velocity: float | None


@dataclass(frozen=True, slots=True)
class _Heard:
    boot: int
    seq: int
    verdict: str
    p: int
    velocity: int | None


class FleetView:
    """Reads all nodes at each call. The newest telemetry of each is kept between calls, which look at what is new only."""

    def __init__(self) -> None:
        self._heard: dict[int, _Heard] = {}

    def read(self, session: Session, now_ms: int) -> list[NodeView]:
        """By site and name; a node that is retired is not in service any more."""
        self._listen(session, now_ms)
        gone = session.execute(select(Device.site, Device.node).where(Device.retired_ms.is_not(None)))
        retired = {(site, node) for site, node in gone}
        rows = [n for n in session.scalars(select(Node).order_by(Node.site, Node.name)) if (n.site, n.name) not in retired]
        places = machines.places(session, rows)
        raised = _raised(session)
        return [
            self._view(node, places[node.id], raised.get((node.site, places[node.id].machine), {}), now_ms) for node in rows
        ]

    def _listen(self, session: Session, now_ms: int) -> None:
        t = Telemetry
        new = select(t.node_id, t.boot, t.seq, t.verdict, t.p, t.velocity).where(t.at_ms >= now_ms - _LOOK_BACK_MS)
        for node_id, boot, seq, verdict, p, velocity in session.execute(new):
            heard = _Heard(boot, seq, verdict, p, velocity)
            before = self._heard.get(node_id)
            if before is None or (before.boot, before.seq) < (heard.boot, heard.seq):
                self._heard[node_id] = heard

    def _view(self, node: Node, place: machines.Place, raised: dict[str, str], now_ms: int) -> NodeView:
        presence = devices.presence(node, now_ms)
        heard = self._heard.get(node.id)
        return NodeView(
            site=node.site,
            name=node.name,
            machine=place.machine,
            point=place.point,
            hardware=node.hardware,
            online=presence == "online",
            state=(node.state or presence) if presence == "online" else presence,
            model=" ".join(part for part in (node.model, node.model_version) if part) or None,
            severity=worst(raised.values()),
            faults=tuple(sorted(raised)),
            verdict=heard.verdict if heard else None,
            p=heard.p / 1000 if heard else None,
            velocity=heard.velocity / 1000 if heard and heard.velocity is not None else None,
        )


def _raised(session: Session) -> dict[tuple[str, str], dict[str, str]]:
    """Severity by fault, of what is not resolved and not muted, by (site, machine)."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    row = select(Alert.site, Alert.machine, Alert.verdict, Alert.severity)
    for site, machine, verdict, severity in session.execute(row.where(Alert.state != alerts.RESOLVED, Alert.muted.is_(False))):
        found.setdefault((site, machine), {})[verdict] = severity
    return found


def worst(severities: Iterable[str]) -> str:
    """`none` where there is none."""
    return max((Severity[name.upper()] for name in severities), default=Severity.NONE).name.lower()
