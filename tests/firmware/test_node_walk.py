"""Random walks: whatever happens to a node, in whatever order, its promises hold.

Each walk is drawn from its seed: signals, gaps, a link that comes and goes, receipts, commands and garbage, good and bad
bundles, restarts and power cuts inside any flash operation.
"""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import pytest
from rig import CLASSES, FAR, Rig, bundle, signal

from whir_node.library import lib
from whir_node.node import PowerError

SIGNALS = (*CLASSES, "off", "stuck", "clipped")
MODELS = {"rig", "better", "narrow"}


class Walk:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.rig = Rig(bundle(), flash_write_bytes=self.random.choice([1, 4, 16, 32]))
        self.told: dict[tuple[int, int], tuple[str, dict[str, Any]]] = {}
        self.receipted: set[tuple[int, int]] = set()
        self.commands = 0

    def bundles(self) -> bytes:
        return self.random.choice(
            [
                bundle("better", "2", 1),
                bundle("better", "3", 2),
                bundle("narrow", "2", 1, classes=("healthy", "imbalance")),
                bundle("wrong", "2", 1, golden_error=True),
                bundle("wrong", "2", 1, key=0xBAD),
                bundle("better", "2", 1)[:-5] + b"wrong",
            ]
        )

    def id(self) -> str:
        self.commands += self.random.random() < 0.8  # sometimes the same command again
        return f"c-{self.commands}"

    def step(self) -> None:
        rig, draw = self.rig, self.random
        if not rig.node.powered:
            rig.node.reboot("power_cut")
        match draw.randrange(14):
            case 0 | 1 | 2:
                rig.play(draw.choice(SIGNALS), draw.uniform(0.1, 6), draw.randrange(1000))
            case 3:
                rig.node.gap()
                rig.node.push(signal("bearing", 0.4))
            case 4:
                rig.node.wait(draw.choice([20, 500, 5000, 70_000]))
            case 5 | 6:
                rig.connect()
                rig.node.wait(200)
            case 7:
                rig.node.connected(False)
            case 8:
                rig.broker.up = not rig.broker.up
            case 9:
                self.receipt()
            case 10:
                rig.update(self.bundles(), self.id(), deadline_s=draw.choice([1, 30, 600]))
            case 11:
                rig.command(draw.choice(["rollback", "measure", "dance"]), id=self.id(), exp=FAR)
            case 12:
                rig.node.command(draw.randbytes(draw.randrange(60)))
            case 13:
                if draw.random() < 0.5:
                    rig.node.reboot()
                else:
                    rig.node.cut_power_at(draw.randrange(1, 60), draw.randrange(2**32))

    def receipt(self) -> None:
        for key, (topic, _) in self.told.items():
            if topic in ("alert", "event") and self.random.random() < 0.5:
                self.rig.command("receipt", boot=key[0], seq=[key[1]])
                if self.rig.node.powered:  # a cut inside may bring it back
                    self.receipted.add(key)

    def check(self) -> None:
        for topic, body, _ in self.rig.broker.messages:
            key = (body["boot"], body["seq"])
            assert self.told.setdefault(key, (topic, body)) == (topic, body), "one number, two messages"
            assert key not in self.receipted or topic not in ("alert", "event"), "a receipted message came again"
            assert body.get("quality", 0) == 0 or body.get("verdict") == "unknown" or topic == "alert"
        self.rig.broker.messages.clear()
        assert not lib.host_flash_is_worn(self.rig.node._flash)
        if self.rig.node.powered:
            assert self.rig.node.look().model in MODELS

    def run(self, steps: int) -> None:
        for _ in range(steps):
            with suppress(PowerError):
                self.step()
            self.check()
        self.settle()

    def settle(self) -> None:
        """The link is back for good: everything kept arrives, is receipted, and the node works."""
        rig = self.rig
        if not rig.node.powered:
            rig.node.reboot("power_cut")
        rig.node.cut_power_at(0, 0)
        rig.broker.up = True
        rig.connect()
        for _ in range(60):
            rig.node.wait(3000)
            rig.receipt_all()
            rig.broker.messages.clear()
        view = rig.node.look()
        assert (view.pending_alerts, view.pending_telemetry, view.trial) == (0, 0, False)
        assert rig.play("imbalance", 5)[-1] == 1
        assert rig.play("healthy", 5)[-1] == 0


@pytest.mark.parametrize("seed", range(30))
def test_every_promise_holds_on_a_random_walk(seed: int) -> None:
    Walk(seed).run(80)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1000, 1300))
def test_every_promise_holds_on_many_long_walks(seed: int) -> None:
    Walk(seed).run(300)
