"""Rehearsal: what a candidate says to the captures that this fleet has kept, before the first node is touched.

Each capture is played through a virtual node, the nodes' own core, with the candidate in service. What it says most is held
against the alert that the capture belongs to and against what the engineer found. A capture lasts seconds and an alert's rules
may ask for minutes, so verdicts are compared, not the timing of alerts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select
from sqlalchemy.orm import Session, undefer

from whir_contracts.contract import Unit
from whir_contracts.recording import SensorFacts
from whir_fleet.models import Alert, Capture, Node, Occurrence
from whir_node.bundle import BundleInfo, inspect
from whir_node.node import NodeConfig, VirtualNode

CAPTURES_MAX: Final = 300  # one request lasts for as long as it takes to hear them
HEALTHY: Final = ("normal", "healthy")
UNHEARD: Final = "unknown"
_REPEATS: Final = 4  # a capture is short: the candidate hears it so many times, one after the other


class _Deaf:
    """The link of a node that nobody listens to."""

    def publish(self, topic: str, payload: bytes, retained: bool) -> bool:
        return False

    def fetch(self, url: str, size: int) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Row:
    """One capture. `change`: same, appears, vanishes or other; `missed`: the engineer found a fault that it does not name."""

    capture: str
    site: str
    machine: str
    alert_id: str | None
    was: str
    now: str
    outcome: str | None
    change: str
    missed: bool


def run(session: Session, bundle: bytes, keys: Mapping[int, ec.EllipticCurvePublicKey]) -> list[Row]:
    """Whole captures: those of alerts with an outcome first, then the newest."""
    info = inspect(bundle, keys)
    query = select(Capture, Node, Alert).join(Node, Node.id == Capture.node_id).where(Capture.whole_ms.is_not(None))
    mine = (Occurrence.node_id == Capture.node_id, Occurrence.occurrence == Capture.occurrence)
    query = query.outerjoin(Occurrence, mine[0] & mine[1]).outerjoin(Alert, Alert.alert_id == Occurrence.alert_id)
    query = query.options(undefer(Capture.counts)).order_by(Alert.outcome.is_(None), Capture.at_ms.desc(), Capture.id.desc())
    found = session.execute(query.limit(CAPTURES_MAX)).all()
    return [_row(capture, node, alert, hears(capture, bundle, info, keys)) for capture, node, alert in found]


def hears(capture: Capture, bundle: bytes, info: BundleInfo, keys: Mapping[int, ec.EllipticCurvePublicKey]) -> str:
    """The candidate's most frequent verdict on one capture; unknown where it can say nothing."""
    sensor = SensorFacts(
        name="capture",
        rate_mhz=capture.rate_mhz,
        bandwidth_hz=capture.rate_mhz // 2000,
        range_milli=max(1, 32767 * capture.lsb_nano // 1_000_000),
        noise_ug_rthz=1,
        lsb_nano=capture.lsb_nano,
        unit=Unit[capture.unit.upper()],
        channels=capture.channels,
    )
    samples = np.frombuffer(capture.counts or b"", "<i2").reshape(-1, capture.channels)
    config = NodeConfig(site="rehearsal", name="node", sensor=sensor, hardware_class=info.hardware_class, capture_slots=0)
    with closing(VirtualNode(config, public_keys=keys, link=_Deaf(), first_bundle=bundle)) as node:
        said = Counter(verdict.top for verdict in node.push(np.tile(samples, (_REPEATS, 1))))
    if not said:
        return UNHEARD
    top = said.most_common(1)[0][0]
    return info.classes[top] if 0 <= top < len(info.classes) else UNHEARD


def _row(capture: Capture, node: Node, alert: Alert | None, now: str) -> Row:
    was = alert.verdict if alert is not None else "normal"
    alarmed, alarms = alert is not None, now not in (*HEALTHY, UNHEARD)
    change = {
        (False, False): "same",
        (False, True): "appears",
        (True, False): "vanishes",
        (True, True): "same" if now == was else "other",
    }[alarmed, alarms]
    outcome = alert.outcome if alert is not None else None
    found = alert.outcome_fault if alert is not None and outcome in ("confirmed", "other_fault") else None
    return Row(
        capture=capture.id,
        site=node.site,
        machine=capture.machine,
        alert_id=alert.alert_id if alert is not None else None,
        was=was,
        now=now,
        outcome=outcome,
        change=change,
        missed=found is not None and now != found,
    )
