"""Six motors with a virtual node each, in threads, replaying recordings that no model has seen."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from whir_contracts import recording
from whir_contracts.contract import FLASH_WRITE_CALL_MAX_BYTES, Profile
from whir_contracts.recording import Recording
from whir_node.download import Download
from whir_node.mqtt import BrokerAddress
from whir_node.node import SECTOR_BYTES, NodeConfig
from whir_node.replay import Replay, Segment
from whir_node.runner import NodeRunner, Observer

SITE = "plant"
TELEMETRY_MS = 5_000  # of the node's clock

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


def choose(
    held_out: tuple[Path, ...], healthy: str, faults: tuple[str, str], rng: random.Random, onset_s: float
) -> list[Motor]:
    """Six motors on held-out recordings: four stay healthy, two get the sublabels in `faults`; `rng` draws among recordings."""
    found = [recording.load(path) for path in sorted(held_out)]

    def draw(sublabel: str) -> Recording:
        return rng.choice([rec for rec in found if rec.sublabel == sublabel])

    fault_of = {2: faults[0], 4: faults[1]}
    return [Motor(f"motor-{i + 1}", draw(healthy), draw(fault_of[i]) if i in fault_of else None, onset_s) for i in range(6)]


class _Watch(Observer):
    """Notes how far a write came when the power went."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def on_power(self, on: bool) -> None:
        if not on:
            self._unit.cut_bytes = self._unit.runner.node.cut_bytes


class PlantRunner(NodeRunner):
    """A runner on whose line a topic may get lost."""

    lost_topic: str | None = None

    def publish(self, topic: str, payload: bytes, retained: bool) -> bool:
        return topic == self.lost_topic or super().publish(topic, payload, retained)


@dataclass
class Unit:
    """One motor, its node and its thread."""

    motor: Motor
    runner: PlantRunner = field(init=False)
    thread: threading.Thread = field(init=False)
    cut_operation: int = 0  # of the erases and writes of the bundle, in which the power goes
    cut_of: int = 0
    cut_bytes: int = 0  # of that operation that reached the flash
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
                site=SITE,
                name=name,
                sensor=replay.sensor,
                profile=Profile.FAST,
                hardware_class=hardware_class,
                telemetry_interval_ms=TELEMETRY_MS,
            )
            unit.runner = PlantRunner(
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
        self.begun = time.monotonic()
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
            unit.runner.lost_topic = topic

    def corrupt_next_download(self, name: str, seed: int) -> None:
        """One bit of the next bundle that this node fetches arrives wrong, at a byte drawn from `seed`."""
        runner, rng = self.units[name].runner, random.Random(seed)  # noqa: S311 (an accident, nothing secret)

        def corrupting(url: str, size: int) -> Download:
            runner.open_download = Download
            return CorruptedDownload(url, size, rng.randrange(size), rng.randrange(8))

        runner.open_download = corrupting

    def cut_power_in_next_download(self, name: str, seed: int) -> None:
        """This node loses power while it writes the next bundle, in a flash operation and at a byte drawn from `seed`."""
        unit, rng = self.units[name], random.Random(seed)  # noqa: S311 (an accident, nothing secret)

        def cutting(url: str, size: int) -> Download:
            unit.runner.open_download = Download
            unit.cut_of = -(-size // SECTOR_BYTES) + -(-size // FLASH_WRITE_CALL_MAX_BYTES)
            unit.cut_operation = rng.randint(1, unit.cut_of)
            unit.runner.node.cut_power_at(unit.cut_operation, rng.randrange(2**31))
            return Download(url, size)

        unit.runner.open_download = cutting


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
