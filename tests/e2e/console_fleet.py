"""A plant as the console's pages shall show it: machines in every state, a day of telemetry, alerts in all parts of their life.

Everything goes in as nodes' messages and as what people do, by the fleet's own functions.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import rig
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import select
from sqlalchemy.orm import Session
from ulid import ULID

from whir_contracts.contract import ZONE_LIMITS
from whir_fleet import alerts, machines, maintenance, notify, outcomes, rollout_plans, rollout_steps, rollouts
from whir_fleet.evaluation import Evaluation
from whir_fleet.machine_specs import MachineSpec
from whir_fleet.messages import Inbound
from whir_fleet.models import Alert, Artifact, Capture, Channel, Node
from whir_fleet.rollout_plans import Plan
from whir_fleet.service import FleetService
from whir_fleet.store import store

MINUTE_MS = 60_000
MODEL = {"model": "plant", "model_version": "3", "counter": 3}
BEARING = {"bpfo": 3.07, "bpfi": 4.93, "bsf": 2.04, "ftf": 0.38}
CLASSES = ("normal", "imbalance", "misalignment", "bearing")
# (machine, kW, fault that began so many minutes ago, severity)
PLANT: tuple[tuple[str, float, str | None, int, str], ...] = (
    ("pump-1", 22, None, 0, ""),
    ("pump-2", 22, "bearing", 150, "critical"),
    ("pump-3", 22, None, 0, ""),
    ("fan-7", 11, "imbalance", 320, "warning"),
    ("fan-8", 11, None, 0, ""),
    ("conveyor-2", 7.5, "misalignment", 45, "advisory"),
    ("mixer-4", 30, None, 0, ""),
    ("compressor-1", 55, None, 0, ""),
)


SITES = {"plant-1": PLANT, "plant-2": (("pump-21", 15.5, None, 0, ""), ("fan-22", 18.5, None, 0, ""))}


def _message(topic: str, node: str, at_ms: int, seq: int, site: str, **fields: Any) -> Inbound:
    body = {"v": 1, "boot": 4, "seq": seq, "ts": at_ms, "synced": True, **fields}
    return Inbound(f"whir/v1/{site}/{node}/{topic}", json.dumps(body).encode(), at_ms)


def _velocity(um_s: float, kw: float) -> dict[str, Any]:
    """With the zone on a rigid foundation; a fan's sensor does not hear high enough."""
    said = {"velocity": round(um_s), "velocity_hz": 1000}
    if kw == 11:
        return said | {"velocity_hz": 500, "zone": None, "zone_reason": "band_not_covered"}
    limits = next(row for row in ZONE_LIMITS if row["foundation"] == "rigid" and row["over_w"] < kw * 1000 <= row["to_w"])
    edges = [limits[edge] for edge in ("ab_um_s", "bc_um_s", "cd_um_s")]
    return said | {"zone": "ABCD"[sum(um_s > edge for edge in edges)], "zone_reason": None}


def _telemetry(
    node: str, site: str, now: int, kw: float, fault: str | None, minutes: int, rng: random.Random
) -> Iterator[Inbound]:
    for seq, ago in enumerate(range(24 * 60, 0, -5)):
        grown = max(0.0, 1 - ago / minutes) if fault else 0.0
        said = fault if fault and ago < minutes * 0.9 else "normal"
        p = round(1000 * min(0.98, 0.86 + rng.random() * 0.1))
        rest = (1000 - p) // (len(CLASSES) - 1)
        yield _message(
            "telemetry", node, now - ago * MINUTE_MS, 100 + seq, site,
            verdict=said, p=p, windows=150, quality=0, novelty=round(180 + 1700 * grown + 60 * rng.random()),
            **_velocity(600 + 3300 * grown + 250 * rng.random(), kw), rms=round(60 + 240 * grown + 14 * rng.random()), unit="g",
            classes={name: p if name == said else rest for name in CLASSES}, **{k: MODEL[k] for k in ("model", "counter")},
        )  # fmt: skip


# Verdicts on held-out recordings, by the truth.
CONFUSION = {
    "2": [[37, 1, 0, 2], [3, 33, 4, 0], [0, 5, 35, 0], [4, 0, 1, 35]],
    "3": [[40, 0, 0, 0], [1, 38, 1, 0], [0, 2, 38, 0], [1, 0, 0, 39]],
}


def _evaluation(confusion: list[list[int]]) -> dict[str, Any]:
    """As `whir evaluate` would say it; the float model is a little better."""

    def scores(counts: list[list[int]]) -> dict[str, Any]:
        recall = [row[place] / sum(row) for place, row in enumerate(counts)]
        mean = sum(recall) / len(recall)
        total = sum(map(sum, counts))
        right = sum(row[place] for place, row in enumerate(counts))
        return {
            "count": total, "accuracy": right / total, "balanced_accuracy": mean, "macro_f1": mean, "confusion": counts,
            "recall": dict(zip(CLASSES, recall, strict=True)),
        }  # fmt: skip

    def judged(size: int, counts: list[list[int]]) -> dict[str, Any]:
        of = scores(counts)
        ci95 = [of["balanced_accuracy"] - 0.04, min(1.0, of["balanced_accuracy"] + 0.03)]
        return {"bytes": size, "window": scores([[7 * n for n in row] for row in counts]), "verdict": of, "ci95": ci95}

    better = [[n + (1 if k == place else -1 if k == (place + 1) % 4 and n else 0) for k, n in enumerate(row)]
              for place, row in enumerate(confusion)]  # fmt: skip
    return Evaluation.model_validate(
        {
            "classes": list(CLASSES), "windows_per_verdict": 8, "verdicts_changed_by_int8": 2,
            "float": judged(24_436, better), "int8": judged(9_456, confusion),
            "data": {
                "set": "plant-2026", "split": "by_recording",
                "held_out": {name: {"recordings": 20, "windows": 280} for name in CLASSES},
                "train": {name: {"recordings": 96, "windows": 1344} for name in CLASSES},
            },
            "wrong_recordings": [
                {"recording": "fan-7_2026-03-11_b", "truth": "misalignment", "said": ["imbalance"], "wrong": 2, "verdicts": 2}
            ],
        }
    ).model_dump(by_alias=True)  # fmt: skip


def furnish(service: FleetService, now: int) -> dict[str, str]:
    """Fills the service's database; returns the ids of the alerts by machine, and of the newest capture."""
    pem = rig.KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (service.settings.keys / "1.pem").write_bytes(pem)  # what is rolled out must be signed by a key that is trusted
    rng = random.Random(7)
    with service.database.write() as session:
        for version, counter, ago_days in (("2", 2, 40), ("3", 3, 12), ("4", 4, 1)):
            session.add(
                Artifact(
                    sha256=f"{counter:064x}", bytes=24_192 + counter * 512, model="plant", model_version=version,
                    counter=counter, hardware="esp32", key_id=1, classes=list(CLASSES),
                    uploaded_ms=now - ago_days * 1440 * MINUTE_MS, uploaded_by="ci", pass_through=False,
                    evaluation=_evaluation(CONFUSION[version]) if version in CONFUSION else None,
                )
            )  # fmt: skip
        for site, plant in SITES.items():
            for number, (name, kw, *_) in enumerate(plant):
                node = f"n{number + 1}"
                spec = {
                    "rated_kw": kw, "rated_rpm": 1470, "foundation": "rigid", "iso_group": "class1" if kw <= 15 else "group2",
                    "bearings": [{"position": "DE", "designation": "6309", **BEARING}],
                    "points": [{"name": "de", "position": "DE", "axes": ["axial", "horizontal", "vertical"]}],
                }  # fmt: skip
                machines.put(session, site, name, MachineSpec.model_validate(spec), now)
                point = machines.find_point(session, site, name, "de")
                machines.assign(session, site, point, node, now - 90 * 1440 * MINUTE_MS, "anna")
        _past_alerts(session, now)
        for site, plant in SITES.items():
            for number, (name, kw, fault, minutes, severity) in enumerate(plant):
                node = f"n{number + 1}"
                lost = name == "mixer-4"
                state = "machine_off" if name == "fan-8" else "ok"
                heard = now - (95 * MINUTE_MS if lost else 20_000)
                batch = list(_telemetry(node, site, heard, kw, fault, minutes, rng))
                batch.append(
                    _message(
                        "status", node, heard, 388, site, conn=2, state=state, next_s=60, hardware="esp32", engine="whir_nn",
                        fw="0.1.0", slot="b", trial=False, sensor="iis3dwb", rate_mhz=26_667_000, dropped=0, reset="power",
                        **MODEL,
                    )
                )  # fmt: skip
                batch.append(_message("event", node, now - 1500 * MINUTE_MS, 98, site, kind="boot"))
                batch.append(_message("event", node, now - 1400 * MINUTE_MS, 99, site, kind="baseline_learned"))
                if fault:
                    raised = now - round(minutes * 0.85) * MINUTE_MS
                    said = {"occurrence": f"{node}-4-389", "state": "active", "verdict": fault, "p": 943, "novelty": 1640}
                    said |= {"zone": "C", "velocity": 5230, **{k: MODEL[k] for k in ("model", "counter")}}
                    batch.append(_message("alert", node, raised, 389, site, severity="advisory", **said))
                    if severity != "advisory":
                        worse = raised + 40 * MINUTE_MS
                        batch.append(_message("alert", node, worse, 390, site, severity=severity, **said))
                store(session, batch, 100)
        ids = {alert.machine: alert.alert_id for alert in session.scalars(select(Alert).where(Alert.state != alerts.RESOLVED))}
        ids |= {f"model-{counter}": f"{counter:064x}" for counter in (2, 3, 4)}
        ids["rollout"] = _rollout(session, now - 25 * MINUTE_MS, ids["model-4"])
        ids["capture"] = _captures(session, now, alerts.find(session, ids["pump-2"]))
        alerts.acknowledge(session, ids["fan-7"], "ben", now - 200 * MINUTE_MS)
        hour = 60 * MINUTE_MS
        maintenance.plan(session, "plant-1", "pump-3", now - hour, now + 5 * hour, "New coupling", "ben")
        on_call = {"name": "on-call", "kind": "webhook", "target": "http://127.0.0.1:9/hook", "min_severity": "warning"}
        notify.add_channel(session, Channel(id=str(ULID()), sites=None, after_s=0, created_by="anna", **on_call), now)
        alerts.comment(session, ids["fan-7"], "Balancing is booked for Thursday.", "ben", now - 190 * MINUTE_MS)
    return ids


def _rollout(session: Session, began: int, sha256: str) -> str:
    """The first node confirmed, two of the next refused: halted."""
    plan = Plan("plant 4", sha256, groups=("1", "50%", "100%"), where=("site=plant-1",), abort_percent=40, abort_min=2)
    rollout = rollout_plans.create(session, plan, "anna", began)
    rollouts.start(session, rollout.id, began)
    confirmed = {"kind": "update_confirmed", "model": "plant", "model_version": "4", "counter": 4}
    refused = {"kind": "update_refused", "code": "bundle_part_hash"}
    for step, said in enumerate((confirmed, refused, refused)):
        at = began + (3 + 2 * step) * MINUTE_MS
        rollout_steps.advance(session, at - MINUTE_MS)
        told = [a for a in rollouts.actions_of(session, rollout.id) if a.state == "started"]
        node = session.get_one(Node, told[0].node_id).name
        store(session, [_message("event", node, at, 391 + step, "plant-1", action=told[0].command_id, **said)], 100)
    rollout_steps.advance(session, began + 10 * MINUTE_MS)
    return rollout.id


def _captures(session: Session, now: int, alert: Alert) -> str:
    """A daily one for eleven days on pump-2, then the one at its alert: the outer race has grown."""
    node_id = session.scalars(select(Node.id).where(Node.site == "plant-1", Node.name == "n2")).one()
    rng, rate, samples = np.random.default_rng(5), 6664.0, 8192
    t = np.arange(samples)[:, None] / rate
    id = ""
    for day in range(11, -1, -1):
        id = str(ULID())
        grown = 0.02 if day > 3 else 0.45 - 0.1 * day
        wave = 0.05 * np.sin(2 * np.pi * 24.4 * t) + 0.02 * np.sin(2 * np.pi * 48.8 * t) + rng.normal(0, 0.02, (samples, 3))
        wave += 0.3 * grown * sum(np.sin(2 * np.pi * n * 75.1 * t) / n for n in (1, 2, 3))
        wave += grown * 0.4 * np.sin(2 * np.pi * 2150 * t) * np.exp(-((t * 75.1) % 1) * 12) * [1.0, 0.6, 0.8]
        at = now - 127 * MINUTE_MS if day == 0 else now - day * 1440 * MINUTE_MS
        session.add(
            Capture(
                id=id, node_id=node_id, capture_boot=4, number=12 - day, machine="pump-2", point="de", at_ms=at,
                received_ms=at, whole_ms=at + 4000, trigger="alert" if day == 0 else "daily",
                occurrence=alert.last["occurrence"] if day == 0 else None, action=None, unit="g", rate_mhz=round(rate * 1000),
                lsb_nano=488_000, channels=3, samples=samples, pre=2700 if day == 0 else 0,
                counts=np.rint(wave / 488e-6).astype("<i2").tobytes(),
            )
        )  # fmt: skip
    return id


def _past_alerts(session: Session, now: int) -> None:
    """What engineers found in the weeks before, with either model."""
    found = {2: {"confirmed": 9, "false_alarm": 4, "other_fault": 1}, 3: {"confirmed": 8, "false_alarm": 1}}
    seq = 0
    for counter, outcomes_of in found.items():
        for outcome, count in outcomes_of.items():
            for number in range(count):
                seq += 1
                at, node = now - (70 - 15 * counter - number) * 1440 * MINUTE_MS, f"n{number % 8 + 1}"
                said = {"occurrence": f"{node}-3-{seq}", "verdict": "bearing", "p": 900, "severity": "warning", "boot": 3}
                said |= {"model": "plant", "counter": counter, "state": "active"}
                store(session, [_message("alert", node, at, seq, "plant-1", **said)], 100)
                alert = session.scalars(select(Alert).where(Alert.state == alerts.OPEN, Alert.severity == "warning")).one()
                fault = "looseness" if outcome == "other_fault" else None
                outcomes.record(session, alert.alert_id, outcome, fault, None, "anna", at)
                alerts.resolve(session, alert.alert_id, "anna", at)
