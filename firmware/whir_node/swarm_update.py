"""One update of a node of the swarm, on the real core: booted with the bundle in service, given the fleet's command, and ended
when it has said how it went. Its flash takes 860 KB, so ten thousand nodes do not keep theirs.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx
from cryptography.hazmat.primitives.asymmetric import ec

from whir_contracts import contract
from whir_contracts.contract import Unit
from whir_contracts.recording import SensorFacts
from whir_node.bundle import BundleInfo
from whir_node.errors import CoreError
from whir_node.node import NodeConfig, VirtualNode

STEP_MS: Final = 50
PIECE_BYTES: Final = 4096
_ENDS: Final = ("update_confirmed", "update_refused", "update_reverted", "update_shadow")


@dataclass(frozen=True, slots=True)
class Factory:
    """What every node of the swarm left the factory with: `first` is the bundle, `info` what it says of itself."""

    first: bytes
    info: BundleInfo
    keys: Mapping[int, ec.EllipticCurvePublicKey]

    @property
    def model(self) -> dict[str, Any]:
        """As status and telemetry name it."""
        info = self.info
        return {"model": info.model_name, "model_version": info.model_version, "counter": info.security_counter}

    @property
    def hardware(self) -> str:
        """The class that the bundle is for; a computer's own where it is for any."""
        return "host" if self.info.hardware_class == "any" else self.info.hardware_class

    @property
    def sensor(self) -> SensorFacts:
        """One that hears just what the bundle asks for."""
        p = self.info.params
        return SensorFacts(
            "swarm", p.rate_hz * 1000, p.bandwidth_hz, p.range_mg, p.noise_ug_rthz_max, p.lsb_nano, Unit(p.unit), p.channels
        )


class CoreUpdate:
    """`say(topic, body)` sends what the core publishes about the update and returns the number under which it went out, `kept`
    whether that number still waits for its receipt, `fetch(url)` brings the bundle."""

    def __init__(
        self, say: Callable[[str, dict[str, Any]], int], kept: Callable[[int], bool], fetch: Callable[[str], Awaitable[bytes]]
    ) -> None:
        self._say = say
        self._kept = kept
        self._fetch = fetch
        self._published: list[tuple[str, dict[str, Any]]] = []
        self._relayed: dict[int, tuple[int, int]] = {}  # number in the swarm -> (boot, seq) of the core
        self._url: str | None = None

    # --- the core's link ---

    def publish(self, topic: str, payload: bytes, retained: bool) -> bool:
        self._published.append((topic, json.loads(payload)))  # no capture: nothing is ever sampled
        return True

    def fetch(self, url: str, size: int) -> bool:
        self._url = url
        return True

    async def run(self, site: str, name: str, factory: Factory, command: bytes) -> dict[str, Any] | None:
        """The model in service after it, None = as before."""
        config = NodeConfig(site=site, name=name, sensor=factory.sensor, hardware_class=factory.hardware, capture_slots=0)
        with VirtualNode(config, public_keys=factory.keys, link=self, first_bundle=factory.first) as node:
            node.set_clock(time.time_ns() // 1_000_000)
            node.connected(True)
            node.wait(STEP_MS)
            self._relay(node)
            node.command(command)
            while not self._relay(node):
                if self._url is not None:
                    url, self._url = self._url, None
                    try:
                        self._feed(node, await self._fetch(url))
                    except httpx.HTTPError:
                        node.bundle_end(failed=True)
                node.wait(STEP_MS)
                await asyncio.sleep(STEP_MS / 1000)
            view = node.look()
        after = {"model": view.model, "model_version": view.model_version, "counter": view.security_counter}
        return None if after == factory.model else after

    def _feed(self, node: VirtualNode, bundle: bytes) -> None:
        at = 0
        try:
            while at < len(bundle):
                if node.bundle_data(bundle[at : at + PIECE_BYTES]):
                    at += PIECE_BYTES
                else:
                    node.wait(STEP_MS)
            node.bundle_end()
        except CoreError:
            pass  # refused, and an event says why

    def _relay(self, node: VirtualNode) -> bool:
        """What the core said goes out, receipts that came go in. Whether it has come to an end."""
        ended = False
        published, self._published = self._published, []
        for topic, body in published:
            if topic == "ack" or (topic == "event" and body["kind"].startswith("update_")):
                number = self._say(topic, body)
                if topic == "event":
                    self._relayed[number] = body["boot"], body["seq"]
                ended = ended or body.get("kind") in _ENDS or body.get("result") in ("refused", "expired")
            elif topic == "event":
                self._receipt(node, body["boot"], body["seq"])  # of its boot: the node of the swarm had none
        for number in [number for number in self._relayed if not self._kept(number)]:
            self._receipt(node, *self._relayed.pop(number))
        return ended

    def _receipt(self, node: VirtualNode, boot: int, seq: int) -> None:
        node.command({"v": contract.MESSAGE_VERSION, "c": "receipt", "boot": boot, "seq": [seq]})
