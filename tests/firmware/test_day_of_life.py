"""A day of a node's life: 10,000 events drawn from a seed. The short form lets the machine run for seconds between them, which
makes four hours; the long form for longer, which makes a day.

Machine states, sensor faults, power cuts inside flash operations, Wi-Fi and broker that come and go, clock jumps, good and bad
bundles, commands and garbage. What a node promises is checked after each event, and the day's loose ends after the last.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from rig import CLASSES, FAR, Rig, bundle, signal

from whir_node.library import lib
from whir_node.node import PowerError

EVENTS = 10_000
DAY_S = 86_400
MODELS = {"rig", "better"}
FAULTS = ("stuck", "clipped")
# Verdicts of before a fault may still be under way for so long.
FAULT_SEEN_AFTER_MS = 600

SHORT_RUN, LONG_RUN = 4_000, 43_000  # samples, at most
LONG = {kind: signal(kind, 54) for kind in CLASSES}


class Day:
    """The node, what happens to it, and what it has said so far."""

    def __init__(self, seed: int, longest_run: int = SHORT_RUN) -> None:
        self.longest_run = longest_run
        self.random = random.Random(seed)
        self.rig = Rig(bundle(), flash_write_bytes=32)  # as the ESP32 port
        self.state_bytes = self.rig.node.look().state_bytes
        self.unix_ms = 1_760_000_000_000
        self.lived_s = 0.0
        self.version = 1
        self.happened: dict[str, int] = {}
        self.told: dict[tuple[int, int], dict[str, Any]] = {}  # alerts and events, by their number
        self.receipted: set[tuple[int, int]] = set()
        self.alarms: set[int] = set()  # boots in which the local alarm went on without a power cut
        self.digest = hashlib.sha256()
        self.events: list[tuple[int, Callable[[], None]]] = [
            (40, self.machine_runs),
            (6, self.machine_stands),
            (5, self.sensor_fault),
            (4, self.samples_lost),
            (3, self.sensor_silent),
            (8, self.power_cut),
            (2, self.restart),
            (8, self.wifi),
            (5, self.broker_restarts),
            (12, self.fleet_receipts),
            (2, self.clock_jumps),
            (1, self.good_bundle),
            (1, self.bad_bundle),
            (2, self.command),
            (1, self.garbage),
        ]

    # --- what happens ---

    def machine_runs(self) -> None:
        samples = LONG[self.random.choice(CLASSES)]
        start = self.random.randrange(10_000)
        self.rig.node.push(samples[start : start + self.random.randrange(500, self.longest_run)])

    def machine_stands(self) -> None:
        tops = self.rig.play("off", 2, self.random.randrange(20))
        assert all(top != 0 for top in tops[2:]), "a machine that stands is not healthy"

    def sensor_fault(self) -> None:
        node = self.rig.node
        since_ms = node.now_ms
        for verdict in node.push(signal(self.random.choice(FAULTS), self.random.uniform(0.7, 7))):
            if verdict.at_ms - since_ms > FAULT_SEEN_AFTER_MS:
                assert verdict.top == -1, "a verdict during a fault of the sensor"
                assert verdict.quality != 0

    def samples_lost(self) -> None:
        self.rig.node.gap()
        self.rig.play("bearing", 0.4)

    def sensor_silent(self) -> None:
        node = self.rig.node
        node.wait(2500)
        assert all(verdict.top == -1 for verdict in node.wait(2500)), "a verdict without samples"

    def power_cut(self) -> None:
        self.rig.node.cut_power_at(self.random.randrange(1, 40), self.random.randrange(2**32))
        self.rig.play("imbalance", 2)

    def restart(self) -> None:
        self.rig.node.reboot()

    def wifi(self) -> None:
        if self.random.random() < 0.3:
            self.rig.node.connected(False)
        else:
            self.rig.connect()
            self.rig.node.wait(self.random.choice([40, 400]))

    def broker_restarts(self) -> None:
        self.rig.node.connected(False)
        self.rig.broker.up = self.random.random() < 0.7
        self.rig.node.wait(200)
        self.rig.connect()

    def fleet_receipts(self) -> None:
        waiting = [key for key in self.told if key not in self.receipted][:40]
        for boot in {key[0] for key in waiting}:
            numbers = [key[1] for key in waiting if key[0] == boot]
            self.rig.command("receipt", boot=boot, seq=numbers)
            if self.rig.node.powered:
                self.receipted.update((boot, number) for number in numbers)

    def clock_jumps(self) -> None:
        self.unix_ms += self.random.choice([-3_600_000, -5_000, 5_000, 86_400_000])
        self.rig.node.set_clock(self.unix_ms)

    def good_bundle(self) -> None:
        self.version += 1
        self.rig.update(bundle("better", str(self.version % 4), 1), f"u-{self.version}")

    def bad_bundle(self) -> None:
        data = self.random.choice(
            [
                bundle("wrong", "2", 1, golden_error=True),
                bundle("wrong", "2", 1, key=0xBAD),
                bundle("better", "2")[:-5] + b"wrong",
            ]
        )
        self.version += 1
        self.rig.update(data, f"u-{self.version}")

    def command(self) -> None:
        self.version += 1
        self.rig.command(self.random.choice(["rollback", "measure"]), id=f"c-{self.version}", exp=FAR)

    def garbage(self) -> None:
        self.rig.node.command(self.random.randbytes(self.random.randrange(1025)))

    # --- what must hold ---

    def check(self) -> None:
        node = self.rig.node
        for topic, body, _ in self.rig.broker.messages:
            self.digest.update(json.dumps(body, sort_keys=True).encode())
            if topic in ("alert", "event"):
                key = (body["boot"], body["seq"])
                assert self.told.setdefault(key, body) == body, "one number, two messages"
                assert key not in self.receipted, "what was receipted came again"
        self.rig.broker.messages.clear()
        assert not lib.host_flash_is_worn(node._flash), "a unit programmed twice"
        if node.powered:
            view = node.look()
            assert view.model in MODELS, "no working model"
            assert view.state_bytes == self.state_bytes, "a buffer grew"
            assert view.dropped == 0, "something was dropped"
            if any(self.rig.outputs):
                self.alarms.add(view.boot)
        self.rig.outputs.clear()

    def live(self, events: int) -> Day:
        weights = [weight for weight, _ in self.events]
        calls = [call for _, call in self.events]
        for call in self.random.choices(calls, weights, k=events):
            self.happened[call.__name__] = self.happened.get(call.__name__, 0) + 1
            if not self.rig.node.powered:
                self.rig.node.reboot("power_cut")
            before_ms = self.rig.node.now_ms
            with suppress(PowerError):
                call()
            if self.rig.node.powered and call != self.restart:
                self.lived_s += max(0, self.rig.node.now_ms - before_ms) / 1000
            self.check()
        return self

    def settle(self) -> None:
        """The network is back for good: everything that was told is receipted, and the node works."""
        rig = self.rig
        if not rig.node.powered:
            rig.node.reboot("power_cut")
        rig.node.cut_power_at(0, 0)
        rig.broker.up = True
        rig.connect()
        for _ in range(400):
            rig.node.wait(1000)
            self.check()
            self.fleet_receipts()
            if rig.node.look().pending_alerts == 0 and self.receipted >= set(self.told):
                break
        self.check()
        assert rig.node.look().pending_alerts == 0
        assert self.receipted == set(self.told)
        assert rig.play("imbalance", 5)[-1] == 1
        assert rig.play("healthy", 5)[-1] == 0


def live_and_settle(seed: int, longest_run: int) -> Day:
    day = Day(seed, longest_run).live(EVENTS)
    day.settle()
    raised = {key[0] for key, body in day.told.items() if body.get("state") == "active"}
    assert day.alarms <= raised, "a local alarm of which the fleet never heard"
    assert len(day.happened) == len(day.events), "every kind of event happened"
    kinds = {body.get("kind") for body in day.told.values()}
    assert {"boot", "update_started", "update_trial", "update_confirmed", "update_refused", "sensor_fault"} <= kinds
    return day


def test_ten_thousand_events_break_no_promise() -> None:
    assert live_and_settle(1, SHORT_RUN).lived_s > 4 * 3600


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10, 16))
def test_a_whole_day_breaks_no_promise(seed: int) -> None:
    assert live_and_settle(seed, LONG_RUN).lived_s > 0.95 * DAY_S


def test_the_same_seed_gives_the_same_day() -> None:
    first, second, other = (Day(seed).live(300).digest.digest() for seed in (5, 5, 6))
    assert first == second != other
