"""Six motors with a virtual node each, in threads, replaying recordings that no model has seen."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from whir_contracts import recording
from whir_contracts.recording import Recording
from whir_node.download import Download
from whir_node.mqtt import BrokerAddress
from whir_node.node import NodeConfig, Verdict
from whir_node.replay import Replay, Segment
from whir_node.runner import NodeRunner, Observer

SITE = "plant"
TELEMETRY_MS = 5_000  # of the node's clock
CUT_OPERATIONS = 64  # the power goes within so many flash operations after the download has begun

OpenDownload = Callable[[str, int], Download]


@dataclass(frozen=True)
class Motor:
    """What is played into one node: healthy for `onset_s` of the node's clock, then `fault` where there is one."""

    name: str
    healthy: Recording
    fault: Recording | None = None
    onset_s: float = 0.0

    @property
    def truth(self) -> str:
        return self.fault.label if self.fault else self.healthy.label

    def replay(self) -> Replay:
        if self.fault is None:
            return Replay([Segment(self.healthy)])
        return Replay([Segment(self.healthy, self.onset_s), Segment(self.fault)])


def choose(held_out: tuple[Path, ...], healthy_class: str, rng: random.Random, onset_s: float) -> list[Motor]:
    """Six motors: four healthy, one with an imbalance, one with a bearing fault, drawn from the held-out recordings."""
    by_label: dict[str, list[Recording]] = {}
    for path in sorted(held_out):
        rec = recording.load(path)
        by_label.setdefault(rec.label, []).append(rec)

    def draw(label: str) -> Recording:
        return rng.choice(by_label[label])

    faults = {2: "imbalance", 4: "bearing"}
    return [
        Motor(f"motor-{i + 1}", draw(healthy_class), draw(faults[i]) if i in faults else None, onset_s) for i in range(6)
    ]


class _Watch(Observer):
    """Arms the power cut when the download has begun, and counts what the table needs."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def on_verdict(self, verdict: Verdict, label: str) -> None:
        self._unit.verdicts += 1

    def on_power(self, on: bool) -> None:
        if not on:
            self._unit.power_cuts += 1
            self._unit.cut_bytes = self._unit.runner.node.cut_bytes


@dataclass
class Unit:
    """One motor, its node and its thread."""

    motor: Motor
    runner: NodeRunner = field(init=False)
    thread: threading.Thread = field(init=False)
    verdicts: int = 0
    power_cuts: int = 0
    cut_bytes: int = 0
    error: Exception | None = None


class Plant:
    """The nodes. `start()` boots them, `stop()` shuts them down in order.

    Args:
        speed: node seconds per real second.
        first_bundle: what the factory wrote.
    """

    def __init__(
        self,
        motors: list[Motor],
        broker: BrokerAddress,
        password: str,
        *,
        public_keys: Mapping[int, ec.EllipticCurvePublicKey],
        first_bundle: bytes,
        hardware_class: str,
        speed: float,
        flash_folder: Path,
    ) -> None:
        self.units = {motor.name: Unit(motor) for motor in motors}
        self._stop = threading.Event()
        for name, unit in self.units.items():
            replay = unit.motor.replay()
            config = NodeConfig(
                site=SITE, name=name, sensor=replay.sensor, hardware_class=hardware_class, telemetry_interval_ms=TELEMETRY_MS
            )
            unit.runner = NodeRunner(
                config,
                replay,
                broker,
                password,
                public_keys=public_keys,
                flash=flash_folder / f"{name}.flash",
                first_bundle=first_bundle,
                speed=speed,
                observer=_Watch(unit),
            )
            unit.thread = threading.Thread(target=self._run, args=(unit,), name=name, daemon=True)

    def _run(self, unit: Unit) -> None:
        try:
            unit.runner.run(self._stop)
        except Exception as error:  # shown by the story, which then fails
            unit.error = error
            self._stop.set()

    def start(self) -> None:
        for unit in self.units.values():
            unit.thread.start()

    def stop(self) -> None:
        self._stop.set()
        for unit in self.units.values():
            if unit.thread.is_alive():
                unit.thread.join(10)
            unit.runner.close()

    @property
    def errors(self) -> list[str]:
        return [f"{name}: {unit.error}" for name, unit in self.units.items() if unit.error]

    # --- accidents ---

    def swallow(self, topic: str) -> None:
        """What every node publishes on `topic` gets lost on the way, and the node does not learn of it."""
        for unit in self.units.values():
            connect = unit.runner.publish
            unit.runner.publish = lambda t, p, r, send=connect: t == topic or send(t, p, r)  # type: ignore[method-assign]

    def corrupt_next_download(self, name: str, rng: random.Random) -> None:
        """One bit of the next bundle that this node fetches arrives wrong, at a byte drawn from `rng`."""
        runner = self.units[name].runner

        def corrupting(url: str, size: int) -> Download:
            runner.open_download = Download
            return CorruptedDownload(url, size, rng.randrange(size), rng.randrange(8))

        runner.open_download = corrupting

    def cut_power_in_next_download(self, name: str, rng: random.Random) -> int:
        """This node loses power while it writes the next bundle; returns the operation drawn."""
        runner = self.units[name].runner
        operation, seed = rng.randint(1, CUT_OPERATIONS), rng.randrange(2**31)

        def cutting(url: str, size: int) -> Download:
            runner.open_download = Download
            runner.node.cut_power_at(operation, seed)
            return Download(url, size)

        runner.open_download = cutting
        return operation


class CorruptedDownload(Download):
    """A download with one bit flipped on the way."""

    def __init__(self, url: str, size: int, byte: int, bit: int) -> None:
        self._at, self._mask = byte, 1 << bit
        self._given = 0
        super().__init__(url, size)

    def next(self) -> bytes | None:
        chunk = super().next()
        if chunk is None:
            return None
        place = self._at - self._given
        self._given += len(chunk)
        if 0 <= place < len(chunk):
            return chunk[:place] + bytes([chunk[place] ^ self._mask]) + chunk[place + 1 :]
        return chunk
