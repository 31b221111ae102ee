"""What boots from the board's flash: identity, model and settings as written, the core itself, and its console."""

from __future__ import annotations

import ssl
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import paho.mqtt.client as mqtt
from cryptography.hazmat.primitives.asymmetric import ec
from paho.mqtt.enums import CallbackAPIVersion

from whir_contracts import recording
from whir_contracts.contract import NVS, TOPIC_PREFIX, Unit
from whir_contracts.params import FeatureParams
from whir_contracts.recording import SensorFacts
from whir_node.bundle import BundleInfo, inspect
from whir_node.errors import CoreError
from whir_node.factory import STEP_MS, Factory, private_key_der, refuses
from whir_node.identity import Identity
from whir_node.mqtt import BrokerAddress
from whir_node.node import NodeConfig, VirtualNode
from whir_node.replay import Replay, Segment
from whir_node.runner import NodeRunner
from whir_node.store import MemoryStore
from whir_tools.provision import layout, nvs
from whir_tools.provision.errors import ProvisionError
from whir_tools.provision.practice.board import Board

_TABLE_PLACES = range(0x8000, 0x10000, 0x1000)
_BROKER_S = 10.0
_TELEMETRY_MS = 5_000
_QUIET_UG, _LOUD_UG = 400, 90_000
_RNG = np.random.default_rng()


class Node:
    """What boots from the board's flash."""

    def __init__(self, board: Board) -> None:
        self._board = board
        flash = bytes(board.flash.data)
        places = [at for at in _TABLE_PLACES if flash[at : at + 2] == b"\xaa\x50"]
        if not places:
            raise ProvisionError("invalid header: no partition table")
        table = layout.decode(flash[places[0] : places[0] + layout.TABLE_BYTES])
        self._parts = {p.name: flash[p.offset : p.offset + p.size] for p in table}
        self.settings = self._nvs("nvs")
        self.identity = self._nvs("fctry")

    def _nvs(self, partition: str) -> dict[str, Any]:
        image, keys = self._parts[partition], self._parts["nvs_keys"]
        if set(keys) != {0xFF}:
            with tempfile.TemporaryDirectory() as folder:
                image = nvs.decrypt(Path(folder), image, keys)
        return dict(nvs.read(image).get(NVS[partition][0], {}))

    def bundle_keys(self) -> dict[int, ec.EllipticCurvePublicKey]:
        data = bytes(self.identity["bundle_keys"])
        rows = [data[at : at + 69] for at in range(0, len(data), 69)]
        return {
            int.from_bytes(r[:4], "little"): ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), r[4:]) for r in rows
        }

    def bundle(self) -> tuple[bytes, BundleInfo]:
        slot = self._parts["model_0"]
        data = slot[: int.from_bytes(slot[8:12], "little")]
        return data, inspect(data, self.bundle_keys(), hardware_class=str(self.identity["hardware"]))

    def refused(self) -> str | None:
        """Why no node runs from this flash."""
        if not self.identity:
            return "no identity"
        build_refuses = refuses(bool(self.identity["development"]), bytes(self.identity["bundle_keys"]))
        return build_refuses if self._board.release_build else None

    def boot(self) -> VirtualNode:
        """The core with the flashed bundle, or without one that it does not take."""
        try:
            data, info = self.bundle()
            rest, hardware = at_rest(self._board, info.params), info.hardware_class
        except CoreError:
            data, rest, hardware = None, at_rest(self._board, None), str(self.identity["hardware"])
        config = NodeConfig(
            site=str(self.identity["site"]), name=str(self.identity["node"]), sensor=rest, hardware_class=hardware,
            firmware_version="practice",
        )  # fmt: skip
        return VirtualNode(config, public_keys=self.bundle_keys(), link=_Nowhere(), first_bundle=data)

    def own(self) -> Identity:
        """The flashed certificate and key, and whom they trust."""
        own = self._board.own_key
        key = bytes(self.identity["private_key"]) if own is None else private_key_der(own)
        return Identity(bytes(self.identity["certificate"]), key, bytes(self.identity["broker_ca"]))

    def address(self) -> BrokerAddress:
        parts = urlsplit(str(self.settings["broker"]))
        return BrokerAddress(parts.hostname or "", parts.port or 8883, None)

    def broker(self) -> str:
        """A real connection with the flashed certificate: `ok`, or why not."""
        name = f"{self.identity['site']}/{self.identity['node']}"
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name)
        done: list[str] = []
        client.on_connect = lambda c, d, f, reason, p: (
            done.append(str(reason)) if reason.is_failure else c.subscribe(f"{TOPIC_PREFIX}/{name}/cmd", 1)
        )
        client.on_subscribe = lambda c, d, m, codes, p: done.append("not authorized" if codes[0].is_failure else "ok")
        try:
            client.tls_set_context(self.own().tls())
            client.connect(self.address().host, self.address().port, 10)
            until = time.monotonic() + _BROKER_S
            while not done and time.monotonic() < until and client.loop(0.1) == mqtt.MQTT_ERR_SUCCESS:
                pass
            client.disconnect()
        except (OSError, ssl.SSLError, ValueError) as error:
            return str(error)[:120]
        return done[0] if done else "the broker closes the connection"

    def run(self, hears: Path, stop: threading.Event) -> None:
        """As the firmware after its boot: the core, the flashed model, and MQTT over TLS, until `stop`."""
        data, info = self.bundle()
        replay, own = Replay([Segment(recording.load(hears))]), self.own()
        config = NodeConfig(
            site=str(self.identity["site"]), name=str(self.identity["node"]), sensor=replay.sensor,
            hardware_class=info.hardware_class, telemetry_interval_ms=_TELEMETRY_MS, certificate=own.certificate,
        )  # fmt: skip
        with NodeRunner(
            config,
            replay,
            self.address(),
            None,
            public_keys=self.bundle_keys(),
            first_bundle=data,
            tls=own.tls,
            store=MemoryStore({key: str(value) for key, value in self.settings.items()}),
        ) as runner:
            runner.run(stop)


def go_on(board: Board) -> None:
    """The tested board stays in service, beside its console."""
    if board.hears is not None and board.stop is None:
        board.stop = threading.Event()
        threading.Thread(target=Node(board).run, args=(board.hears, board.stop), daemon=True).start()


class _Nowhere:
    """The core's link while it is tested: the connection to the broker is a test of its own."""

    def publish(self, topic: str, payload: bytes, retained: bool) -> bool:
        return True

    def fetch(self, url: str, size: int) -> bool:
        return False


def at_rest(board: Board, params: FeatureParams | None) -> SensorFacts:
    """The board's sensor, as the model asks for it."""
    rate_hz, bandwidth_hz, range_mg, lsb_nano, unit, channels = (
        (1000, 500, 2000, 61_000, Unit.G, 3)
        if params is None
        else (params.rate_hz, params.bandwidth_hz, params.range_mg, params.lsb_nano, Unit(params.unit), params.channels)
    )
    return SensorFacts(
        name=board.sensor[:23], rate_mhz=rate_hz * 1000, bandwidth_hz=bandwidth_hz, range_milli=range_mg, noise_ug_rthz=1,
        lsb_nano=lsb_nano, unit=unit, channels=channels,
    )  # fmt: skip


class Face:
    """What the core's factory sees of this board, and its serial line."""

    def __init__(self, board: Board, node: Node, say: Callable[[bytes], None]) -> None:
        self._board, self._node, self.say = board, node, say
        self.serial, self.mac = str(node.identity.get("serial", "")), board.mac
        self.part = None if board.fault == "sensor" else board.sensor
        self.secure_boot, self.flash_encryption = board.locks()
        self.refused = node.refused()
        self._broker: str | None = None

    def wifi(self) -> tuple[str, int]:
        return ("no network of this name", 0) if self._board.fault == "wifi" else ("ok", -50)

    def broker(self) -> str:
        self._broker = self._broker or self._node.broker()
        return self._broker

    def key(self) -> ec.EllipticCurvePrivateKey:
        self._board.own_key = self._board.own_key or ec.generate_private_key(ec.SECP256R1())
        return self._board.own_key


def answer(board: Board, question: str, say: Callable[[bytes], None]) -> None:
    """Boots from the flash and lets the core answer one line of the console; `say` gets each line of the answer."""
    booted = Node(board)
    face = Face(board, booted, say)
    with ExitStack() as stack:
        node = None if face.refused else stack.enter_context(booted.boot())
        factory = Factory(face, node)
        factory.ask(question)
        while factory.step(_rest(board, node)):
            pass


def _rest(board: Board, node: VirtualNode | None) -> npt.NDArray[np.int16]:
    """20 ms of a sensor that lies still: its noise, and gravity on the last axis."""
    if node is None or board.fault == "sensor":
        return np.empty((0, 3), np.int16)
    sensor = node.config.sensor
    noise_ug = _LOUD_UG if board.fault == "noise" else _QUIET_UG
    counts = _RNG.normal(0, noise_ug * 1000 / sensor.lsb_nano, (sensor.rate_mhz * STEP_MS // 1_000_000, sensor.channels))
    counts[:, -1] += min(1_000_000_000 // sensor.lsb_nano, 16_000)
    return np.round(counts).astype(np.int16)
