"""A test rig: signals of a motor in four conditions, a small model that tells them apart, bundles, and a node to try them on.

Everything is made from seeds in well under a second, without TensorFlow: the model is a ridge regression written as one dense
layer and a softmax.
"""

from __future__ import annotations

import json
import struct
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.asymmetric import ec
from tflite_nets import NO_ACTIVATION, OPERATORS, OPTIONS, Net, schema

from whir_contracts.capture import Chunk
from whir_contracts.contract import FeatureKind, KernelSet, Level, Profile, Scope, Unit
from whir_contracts.params import FeatureParams
from whir_contracts.recording import SensorFacts
from whir_ml import golden
from whir_node.bundle import BundleFields, build
from whir_node.engine import Engine
from whir_node.errors import CoreError
from whir_node.features import extract, quantize, shaft_mhz
from whir_node.library import ffi, lib
from whir_node.node import NodeConfig, PowerError, VirtualNode

Samples = npt.NDArray[np.int16]

RATE_HZ = 1000
RPM = 1500.0  # of the motor in every signal
GOLDEN_HEADER_BYTES = 12
FAR = 4_000_000_000  # s, an `exp` that does not pass
CLASSES = ("healthy", "imbalance", "bearing")
KEY = ec.derive_private_key(0x5EED, ec.SECP256R1())
KEYS = {1: KEY.public_key()}
SENSOR = SensorFacts(
    name="rig",
    rate_mhz=RATE_HZ * 1000,
    bandwidth_hz=400,
    range_milli=2000,
    noise_ug_rthz=100,
    lsb_nano=61_000,
    unit=Unit.G,
    channels=3,
)
PARAMS = FeatureParams(
    rate_hz=RATE_HZ,
    bandwidth_hz=400,
    range_mg=1000,
    noise_ug_rthz_max=500,
    channels=3,
    axes=0b111,
    unit=Unit.G,
    lsb_nano=61_000,
    window_samples=256,
    hop_samples=128,
    verdict_windows=8,
    kind=FeatureKind.BANDS,
    level=Level.RELATIVE,
    stats=0,
    band_edges_bins=(2, 5, 9, 17, 33, 65, 128),
)


def signal(kind: str, seconds: float, seed: int = 0) -> Samples:
    """Counts of a motor at 25 Hz: healthy, imbalance, bearing, or off; `stuck` and `clipped` are sensor faults."""
    rng = np.random.default_rng([seed, *kind.encode()])
    n = round(seconds * RATE_HZ)
    t = np.arange(n)[:, None] / RATE_HZ
    phase = rng.uniform(0, 2 * np.pi, 3)
    noise = rng.normal(0, 150, (n, 3))
    if kind == "off":
        return np.rint(noise / 50).astype(np.int16)
    if kind == "stuck":
        return np.full((n, 3), 123, np.int16)
    wave = 300 * np.sin(2 * np.pi * 25 * t + phase) + noise
    if kind == "imbalance":
        wave += np.array([3000, 2500, 300]) * np.sin(2 * np.pi * 25 * t + phase)
    if kind == "bearing":
        ring = np.sin(2 * np.pi * 310 * t) * np.exp(-((t * 87) % 1) * 4)
        wave += 2000 * ring * np.array([1.0, 0.8, 0.6])
    if kind == "clipped":
        wave *= 200
    return np.clip(np.rint(wave), -32767, 32767).astype(np.int16)


def windows(samples: Samples, params: FeatureParams = PARAMS) -> Samples:
    """(n, window, channels), hop by hop."""
    starts = range(0, len(samples) - params.window_samples + 1, params.hop_samples)
    return np.stack([samples[s : s + params.window_samples] for s in starts])


def dense_softmax(weights: npt.NDArray[Any], bias: npt.NDArray[Any], input_scale: float, top: float) -> bytes:
    """One dense layer and a softmax; weights (classes, inputs) act on the dequantized input, `top` is the largest logit."""
    classes, inputs = weights.shape
    net = Net(np.random.default_rng(0), (1, inputs), input_scale, 0)
    scales = np.abs(weights).max(axis=1) / 127
    kernel = net.constant(np.rint(weights / scales[:, None]).astype(np.int8), [float(s) for s in scales])
    bias_scales = [float(s) * input_scale for s in scales]
    offset = net.constant(np.rint(bias / np.array(bias_scales)).astype(np.int32), bias_scales)
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = NO_ACTIVATION
    logits = net.activation((1, classes), top / 127, 0)
    net.add_operator(OPERATORS.FULLY_CONNECTED, [net.input, kernel, offset], logits, OPTIONS.FullyConnectedOptions, options)
    net.softmax()
    return net.build()


@cache
def trained(
    classes: tuple[str, ...] = CLASSES, seed: int = 1, order_edges_q8: tuple[int, ...] = ()
) -> tuple[FeatureParams, bytes]:
    """Parameters with their scaler, and the `.tflite`."""
    plain = replace(PARAMS, order_edges_q8=order_edges_q8)
    found = [extract(plain, windows(signal(kind, 30, seed)), RPM) for kind in classes]
    features = np.concatenate(found).astype(float)
    labels = np.repeat(np.arange(len(classes)), [len(f) for f in found])
    mean, std = features.mean(axis=0), features.std(axis=0) + 1
    params = plain.with_scaler(np.rint(mean).astype(int).tolist(), np.rint(65536 * 32 / std).astype(int).tolist())
    inputs = quantize(params, features.astype(np.int32)).astype(float) / 32
    wanted = np.where(labels[:, None] == np.arange(len(classes)), 6.0, -6.0)
    x = np.column_stack([inputs, np.ones(len(inputs))])
    solved = np.linalg.solve(x.T @ x + 0.1 * np.eye(x.shape[1]), x.T @ wanted).T
    return params, dense_softmax(solved[:, :-1], solved[:, -1], 1 / 32, float(np.abs(x @ solved.T).max()) * 1.2)


def permille(outputs: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
    """Dequantized softmax outputs (scale 1/256, zero point -128), by the core's own formula."""
    table = ffi.new("uint16_t[256]")
    lib.host_permille_all(int(np.float32(1 / 256).view(np.uint32)), -128, table)
    return np.array(list(table), np.int64)[outputs.astype(int) + 128]


@cache
def bundle(
    name: str = "rig",
    version: str = "1",
    counter: int = 1,
    classes: tuple[str, ...] = CLASSES,
    golden_error: bool = False,
    key: int = 0x5EED,
    order_edges_q8: tuple[int, ...] = (),
    golden_rpm: float = RPM,
    **changes: Any,
) -> bytes:
    """A signed bundle of the trained model.

    Args:
        golden_error: one golden output byte is wrong.
        golden_rpm: speed that stands beside the first golden window of a model with order bands, which was made at RPM.
        key: private number of the signing key; the node knows KEY only.
        changes: fields of BundleFields or FeatureParams.
    """
    params, model = trained(classes, order_edges_q8=order_edges_q8)
    params = replace(params, **{k: v for k, v in changes.items() if hasattr(params, k)})
    engine = Engine(model)
    raw = np.concatenate([windows(signal(kind, 1, 99))[:1] for kind in classes])
    inputs = np.concatenate([quantize(params, extract(params, raw, RPM)), golden.saturating(engine.info.input_bytes)])
    outputs = engine.run(inputs)
    tensors = bytearray(golden.tensors(inputs, outputs))
    if golden_error:
        tensors[-1] ^= 1
    shown = bytearray(golden.windows(params, raw, permille(outputs[: len(raw)]), [RPM] * len(raw)))
    if order_edges_q8:
        struct.pack_into("<I", shown, GOLDEN_HEADER_BYTES + raw[0].nbytes, shaft_mhz(golden_rpm))
    fields = BundleFields(
        model_name=name,
        model_version=version,
        security_counter=counter,
        hardware_class="host",
        classes=classes,
        arena_bytes=engine.info.arena_bytes,
        kernel_sets=KernelSet.WHIR_NN | KernelSet.TFLM_REFERENCE,
        scope=Scope.TRAINING_RIG,
        raise_permille=800,
        clear_permille=500,
        raise_count=3,
        raise_of=5,
        off_rms_counts=20,
    )
    return build(
        replace(fields, **{k: v for k, v in changes.items() if hasattr(fields, k)}),
        params=params,
        model=model,
        golden_tensors=bytes(tensors),
        golden_windows=bytes(shown),
        private_key=ec.derive_private_key(key, ec.SECP256R1()),
        key_id=1,
    )


class Broker:
    """The node's link, in memory: what it published, and bundles to fetch. `up` False makes every publish fail."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, dict[str, Any], bool]] = []
        self.chunks: list[Chunk] = []
        self.fetches: list[tuple[str, int]] = []
        self.up = True

    def publish(self, topic: str, payload: bytes, retained: bool) -> bool:
        if self.up and topic == "capture":
            self.chunks.append(Chunk.read(payload))
        elif self.up:
            self.messages.append((topic, json.loads(payload), retained))
        return self.up

    def fetch(self, url: str, size: int) -> bool:
        self.fetches.append((url, size))
        return True

    def of(self, topic: str, **fields: Any) -> list[dict[str, Any]]:
        """Messages of a topic, in order, whose fields have these values; resent ones once."""
        seen: dict[tuple[int, int], dict[str, Any]] = {}
        for name, body, _ in self.messages:
            if name == topic and all(body.get(k) == v for k, v in fields.items()):
                seen.setdefault((body["boot"], body["seq"]), body)
        return list(seen.values())

    def kinds(self) -> list[str]:
        """Kinds of the events, in order."""
        return [event["kind"] for event in self.of("event")]


class Rig:
    """A node on a link in memory."""

    def __init__(self, first: bytes | None = None, keys: Any = None, **config: Any) -> None:
        self.broker = Broker()
        self.outputs: list[int] = []
        flash = config.pop("flash", None)
        identify = config.pop("identify", None)
        store = config.pop("store", None)
        self.node = VirtualNode(
            NodeConfig(**{"site": "plant", "name": "m1", "sensor": SENSOR, "profile": Profile.FAST, **config}),
            public_keys=keys or KEYS,
            link=self.broker,
            flash=flash,
            first_bundle=first,
            output=lambda severity: self.outputs.append(int(severity)),
            identify=identify,
            store=store,
        )

    def connect(self) -> Rig:
        self.node.will()
        self.node.connected(True)
        return self

    def play(self, kind: str, seconds: float, seed: int = 7) -> list[int]:
        """Feeds a signal; the verdicts' classes."""
        return [v.top for v in self.node.push(signal(kind, seconds, seed))]

    def command(self, c: str, **fields: Any) -> int:
        return self.node.command({"v": 1, "c": c, **fields})

    def receipt_all(self) -> None:
        """What the fleet does: everything that came in so far is receipted."""
        for topic in ("alert", "event"):
            for body in self.broker.of(topic):
                self.command("receipt", boot=body["boot"], seq=[body["seq"]])

    def deliver(self, data: bytes, chunk: int = 1000, failed: bool = False, pause_ms: int = 0) -> None:
        """The download: pieces as the node takes them, then the end. Errors of the node end it."""
        at = 0
        with suppress(PowerError, CoreError):
            while at < len(data):
                if self.node.bundle_data(data[at : at + chunk]):
                    at += chunk
                    if pause_ms:
                        self.node.wait(pause_ms)
                else:
                    self.node.wait(20)
        if self.node.powered:
            self.node.bundle_end(failed)
        if self.node.powered:
            self.node.wait(40)

    def update(self, data: bytes, id: str = "u-1", **fields: Any) -> int:
        """The whole update up to the trial, or to whatever refuses it."""
        answer = self.command("update", id=id, exp=FAR, url="http://fleet/b", bytes=len(data), **fields)
        if answer == 0:
            self.deliver(data)
        return answer
