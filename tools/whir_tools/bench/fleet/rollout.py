"""A rollout to many nodes of which some refuse and some say nothing: the outcome that the rules give, and how long it takes."""

from __future__ import annotations

import struct
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from whir_contracts.contract import FeatureKind, KernelSet, Level, Scope, Unit
from whir_contracts.params import FeatureParams
from whir_node.bundle import BundleFields, build
from whir_tools.bench.fleet.processes import Broker, Say, Service, SwarmProcess
from whir_tools.bench.fleet.swarm import SwarmSettings
from whir_tools.bench.fleet.wait import wait_until

KEY_ID = 1
FAILING_PERCENT, SILENT_PERCENT = 3, 2
_RULES: Final = {"groups": ["10%", "50%", "100%"], "success_percent": 80, "abort_percent": 40, "abort_min": 2}
_MODEL_BYTES = 24_000
_LIMIT_S = 300.0


def measure(folder: Path, nodes: int, silence_s: int, say: Say) -> dict[str, Any]:
    """`outcome` is the rollout's state. `expected` is what the rules give: every group passes, the bad nodes have failed."""
    failing, silent = bad_places(nodes)
    data = folder / "data"
    bundle = _signed_bundle(data / "keys")
    with Broker(folder / "broker") as broker, Service(data, broker) as service:
        say(f"rollout: {nodes} nodes connect", 0, 0)
        settings = SwarmSettings(
            port=broker.port,
            user="nodes",
            password=broker.passwords["nodes"],
            site="rollout",
            nodes=nodes,
            telemetry_s=10.0,
            alert_s=0.0,
            failing=failing,
            silent=silent,
            key_file=str(data / "keys" / f"{KEY_ID}.pem"),
            key_id=KEY_ID,
        )
        with SwarmProcess(settings) as swarm:
            wait_until(lambda: len(list(service.remote.pages("/nodes"))) == nodes, "the fleet knows all nodes", 60, 0.2)
            sha256 = service.remote.call("POST", "/artifacts", content=bundle)["sha256"]
            begun = time.monotonic()
            request = {"name": "bench", "sha256": sha256, "silence_s": silence_s, "trial_s": silence_s, **_RULES}
            rollout = service.remote.call("POST", "/rollouts", json=request)

            def over() -> bool:
                nonlocal rollout
                rollout = service.remote.call("GET", f"/rollouts/{rollout['id']}")
                say(f"rollout to {nodes} nodes", sum(a["finished_ms"] is not None for a in rollout["actions"]), nodes)
                return rollout["state"] not in ("running", "aborting")

            wait_until(over, "the rollout ends", _LIMIT_S, 0.25)
            seconds = time.monotonic() - begun
            swarm.finish()
    actions = rollout["actions"]
    states = Counter(f"{action['state']}{':' + action['code'] if action['code'] else ''}" for action in actions)
    expected = {
        "succeeded": nodes - len(failing) - len(silent),
        "failed:bundle_golden": len(failing),
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
        "silence_s": silence_s,
        "bundle_bytes": len(bundle),
        **_RULES,
    }


def bad_places(nodes: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Places of failing and of silent nodes, at least one of each, spread so evenly that every group passes its gate."""
    failing, silent = (max(1, round(nodes * percent / 100)) for percent in (FAILING_PERCENT, SILENT_PERCENT))
    places = [(2 * i + 1) * nodes // (2 * (failing + silent)) for i in range(failing + silent)]
    last = {(2 * i + 1) * len(places) // (2 * silent) for i in range(silent)}
    return (
        tuple(place for i, place in enumerate(places) if i not in last),
        tuple(place for i, place in enumerate(places) if i in last),
    )


def _signed_bundle(keys: Path) -> bytes:
    """A bundle that the core accepts, of the size of a real one; its public key goes into `keys`."""
    private = ec.generate_private_key(ec.SECP256R1())
    keys.mkdir(parents=True)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (keys / f"{KEY_ID}.pem").write_bytes(public)
    params = FeatureParams(
        rate_hz=1000,
        bandwidth_hz=400,
        range_mg=2000,
        noise_ug_rthz_max=500,
        channels=1,
        axes=1,
        unit=Unit.G,
        lsb_nano=61000,
        window_samples=64,
        hop_samples=64,
        verdict_windows=7,
        kind=FeatureKind.BANDS,
        level=Level.RELATIVE,
        stats=0,
        band_edges_bins=(1, 4, 8, 16, 32),
        offset=(0, 0, 0, 0),
        gain_q16=(65536, 65536, 65536, 65536),
    )
    fields = BundleFields(
        model_name="bench",
        model_version="2",
        security_counter=2,
        hardware_class="host",
        classes=("normal", "bearing"),
        arena_bytes=96,
        kernel_sets=KernelSet.WHIR_NN | KernelSet.TFLM_REFERENCE,
        scope=Scope.ANY_MACHINE,
        raise_permille=800,
        clear_permille=500,
        raise_count=3,
        raise_of=5,
        off_rms_counts=12,
    )
    return build(
        fields,
        params=params,
        model=bytes(_MODEL_BYTES),
        golden_tensors=struct.pack("<IHH", 1, 4, 2) + bytes(6),
        golden_windows=struct.pack("<IIHH", 1, 128, 4, 2) + bytes(132) + struct.pack("<HH", 900, 100),
        private_key=private,
        key_id=KEY_ID,
    )
