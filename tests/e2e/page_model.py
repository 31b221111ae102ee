"""A small model for the page's tests: a ridge regression on the Python simulator's recordings, signed, without TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import rig
from cryptography.hazmat.primitives.asymmetric import ec
from numpy.typing import NDArray

from whir_contracts.contract import KernelSet, Scope
from whir_contracts.params import FeatureParams
from whir_ml import config, golden
from whir_ml.synth import benchmark
from whir_ml.synth.faults import LABELS
from whir_ml.synth.simulate import simulate
from whir_node.bundle import BundleFields, build
from whir_node.condition import condition, windows
from whir_node.engine import Engine
from whir_node.features import extract, quantize
from whir_tools.web import facts

KEY = ec.derive_private_key(0xBEE, ec.SECP256R1())
OTHER_KEY = ec.derive_private_key(0xB0B, ec.SECP256R1())
KEY_ID = 1
CLASSES = ("normal", "imbalance", "misalignment", "bearing")
FAULTS = ("normal", "imbalance", "misalignment_parallel", "bearing_outer", "normal", "bearing_inner")
SPEEDS_HZ = (22.0, 25.0, 28.0, 33.0, 40.0)


def recording(fault: str, severity: int, seconds: float, seed: int, **machine: float) -> NDArray[np.int16]:
    """The page's motor by the Python simulator, counts of the page's sensor, (n, 3)."""
    made = replace(facts.machine(), **machine)
    levels = benchmark.default_config().levels
    return simulate(made, fault, severity, seconds, facts.SENSOR, np.random.default_rng(seed), levels).samples


@dataclass(frozen=True, eq=False)
class PageModel:
    """Parameters with their scaler, the `.tflite`, and one raw window per class."""

    params: FeatureParams
    model: bytes
    raw: NDArray[np.int16]

    def bundle(
        self, version: str = "1", counter: int = 1, key: ec.EllipticCurvePrivateKey = KEY, golden_error: bool = False
    ) -> bytes:
        """Signed; with `golden_error` one golden output byte is wrong."""
        engine = Engine(self.model)
        inputs = np.concatenate(
            [quantize(self.params, extract(self.params, self.raw)), golden.saturating(engine.info.input_bytes)]
        )
        outputs = np.asarray(engine.run(inputs))
        tensors = bytearray(golden.tensors(inputs, outputs))
        tensors[-1] ^= golden_error
        return build(
            BundleFields(
                model_name="page",
                model_version=version,
                security_counter=counter,
                hardware_class="esp32",
                classes=CLASSES,
                arena_bytes=engine.info.arena_bytes,
                kernel_sets=KernelSet.WHIR_NN,
                scope=Scope.ANY_MACHINE,
                raise_permille=800,
                clear_permille=500,
                raise_count=3,
                raise_of=5,
                off_rms_counts=0,
            ),
            params=self.params,
            model=self.model,
            golden_tensors=bytes(tensors),
            golden_windows=golden.windows(self.params, self.raw, rig.permille(outputs[: len(self.raw)])),
            private_key=key,
            key_id=KEY_ID,
        )

    def save(self, folder: Path) -> None:
        """As `whir export` leaves it."""
        folder.mkdir(parents=True)
        (folder / "model.tflite").write_bytes(self.model)
        (folder / "features.tlv").write_bytes(self.params.to_tlv())


@cache
def trained() -> PageModel:
    """Learned from the faults at several speeds, each recording with another seed and angle."""
    params = config.load("synth12k").params
    found, labels, raw = [], [], {}
    for number, (fault, speed) in enumerate((fault, speed) for fault in FAULTS for speed in SPEEDS_HZ):
        samples = recording(fault, 1 + number % 3, 4.0, 100 + number, speed_hz=speed, mount_deg=(number % 5 - 2) * 20.0)
        cut = windows(params, condition(params, facts.sensor(), samples), hop=64)
        label = CLASSES.index(LABELS[fault])
        raw.setdefault(label, cut[0])
        found.append(extract(params, cut).astype(float))
        labels.append(np.full(len(cut), label))
    features, target = np.concatenate(found), np.concatenate(labels)
    mean, std = features.mean(axis=0), features.std(axis=0) + 1
    scaled = params.with_scaler(np.rint(mean).astype(int).tolist(), np.rint(65536 * 32 / std).astype(int).tolist())
    x = np.column_stack([quantize(scaled, features.astype(np.int32)).astype(float) / 32, np.ones(len(target))])
    wanted = np.where(target[:, None] == np.arange(len(CLASSES)), 8.0, -8.0)
    solved = np.linalg.solve(x.T @ x + 30 * np.eye(x.shape[1]), x.T @ wanted).T
    top = float(np.abs(x @ solved.T).max()) * 1.2
    model = rig.dense_softmax(solved[:, :-1], solved[:, -1], 1 / 32, top)
    return PageModel(scaled, model, np.stack([raw[label] for label in range(len(CLASSES))]))
