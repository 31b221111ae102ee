"""A rollout to many nodes of which some refuse and some say nothing: the outcome that the rules give, and how long it takes."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from whir_node.swarm import bad_places, raise_file_limit
from whir_tools.bench.fleet.postgres import Postgres
from whir_tools.bench.fleet.processes import Broker, Say, Service, SwarmProcess, cpu_seconds
from whir_tools.bench.fleet.wait import wait_until

FAILING_PERCENT, SILENT_PERCENT = 3, 2
REFUSAL: Final = "bundle_part_hash"  # what the core says to a spoilt download
_RULES: Final = {"groups": ["10%", "50%", "100%"], "success_percent": 80, "abort_percent": 40, "abort_min": 2}
_LIMIT_S = 1800.0


@dataclass(frozen=True, slots=True)
class Bundles:
    """The model in service and the one that follows it, and the key they are signed with."""

    first: bytes
    second: bytes
    key: ec.EllipticCurvePublicKey
    key_id: int

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Files of the first bundle and of the keys."""
        keys = folder / "keys"
        keys.mkdir(parents=True)
        (keys / f"{self.key_id}.pem").write_bytes(self.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        first = folder / "first.whir"
        first.write_bytes(self.first)
        return first, keys


def measure(folder: Path, bundles: Bundles, nodes: int, silence_s: int, say: Say) -> dict[str, Any]:
    """`outcome` is the rollout's state. `expected` is what the rules give: every group passes, the bad nodes have failed.

    `cpu_s` is of the service, `load` the machine's load average at the start and at the end, `messages` what the nodes sent.
    """
    failing, silent = bad_places(nodes, FAILING_PERCENT, SILENT_PERCENT)
    data = folder / "data"
    first, keys = bundles.write(data)
    options = ["--telemetry", "10", "--bundle", str(first), "--keys", str(keys)]
    options += ["--failing", str(FAILING_PERCENT), "--silent", str(SILENT_PERCENT)]
    raise_file_limit(nodes)  # the broker inherits it
    with Postgres() as server, Broker(folder / "broker") as broker:
        url = server.create("rollout")
        with Service(data, broker, database_url=url) as service, SwarmProcess(broker, "rollout", nodes, *options) as swarm:
            say(f"rollout: {nodes} nodes are told", 0, 0)
            wait_until(lambda: len(list(service.remote.pages("/nodes"))) == nodes, "the fleet knows all nodes", 300, 0.5)
            sha256 = service.remote.call("POST", "/artifacts", content=bundles.second)["sha256"]
            serving = psutil.Process(service.process.pid if service.process else None)
            begun, cpu_before, load_before = time.monotonic(), cpu_seconds(serving), os.getloadavg()[0]
            request = {"name": "bench", "sha256": sha256, "silence_s": silence_s, "trial_s": silence_s, **_RULES}
            started = service.remote.call("POST", "/rollouts", json=request)

            def over() -> bool:
                (listed,) = service.remote.pages("/rollouts")
                say(f"rollout to {nodes} nodes: {listed['state']}", 0, 0)
                return listed["state"] not in ("running", "aborting")

            wait_until(over, "the rollout ends", _LIMIT_S, 0.25)
            seconds, cpu_s = time.monotonic() - begun, cpu_seconds(serving) - cpu_before
            load = [round(load_before, 1), round(os.getloadavg()[0], 1)]
            rollout = service.remote.call("GET", f"/rollouts/{started['id']}")
            sent = swarm.finish()
    actions = rollout["actions"]
    states = Counter(f"{action['state']}{':' + action['code'] if action['code'] else ''}" for action in actions)
    expected = {
        "succeeded": nodes - len(failing) - len(silent),
        f"failed:{REFUSAL}": len(failing),
        "failed:silent": len(silent),
    }
    first_ms = min(action["started_ms"] for action in actions if action["started_ms"])
    confirmed = [action["finished_ms"] - first_ms for action in actions if action["state"] == "succeeded"]
    return {
        "nodes": nodes,
        "seconds": round(seconds, 1),
        "outcome": rollout["state"],
        "reason": rollout["reason"],
        "as_expected": rollout["state"] == "finished" and states == expected,
        "actions": dict(states),
        "expected": expected,
        "last_confirmed_s": round(max(confirmed, default=0) / 1000, 1),
        "cpu_s": round(cpu_s, 1),
        "load": load,
        "messages": sum(sent["by_node"].values()),
        "silence_s": silence_s,
        "bundle_bytes": len(bundles.second),
        **_RULES,
    }
