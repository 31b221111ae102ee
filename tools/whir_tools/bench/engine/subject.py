"""What is measured: the C that goes into an image, the files built into it, and what the figures are called.

Three subjects: one model in the engine alone, the whole way from a sensor's samples to a verdict, and conditioning at a
sensor's full rate.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whir_contracts.contract import NOVELTY_WINDOWS_MIN, FeatureKind, Unit
from whir_contracts.params import FeatureParams, ParamsError
from whir_node.accel import Accelerometer
from whir_node.condition import SensorInfo, condition, windows
from whir_node.engine import Engine, permille, planned
from whir_node.features import extract, quantize, shaft_mhz
from whir_node.novelty import Baseline, learn
from whir_tools.bench.engine.errors import ModelError
from whir_tools.bench.engine.model import ROOT, Model

BENCH = ROOT / "firmware/ports/bench"
CORE = ROOT / "firmware/core"
ENGINE = "engine.c"
PIPELINE_WINDOWS = 6
CONDITION_SAMPLES = 256  # of a run
CONDITION_RUNS = 12
Samples = np.ndarray[Any, np.dtype[np.int16]]
PIPELINE_SOURCES = (
    "condition", "envelope", "window", "features", "across", "orders", "axis", "fft", "fixed", "tables", "params", "novelty",
    "permille",
)  # fmt: skip
SHAFT_HZ = 29.2  # of the rotor


@dataclass(frozen=True, eq=False)
class Subject:
    """One image's content.

    Args:
        name: `model` of its row.
        model: what the engine runs; None: there is no engine.
        source: the C file in firmware/ports/bench that drives it.
        core: sources of the core.
        files: what data.S includes: MODEL, PARAMS, INPUT, OUTPUT.
        defines: sizes that the C needs.
        notes: for the row.
    """

    name: str
    model: Model | None
    source: str
    core: Sequence[Path]
    files: dict[str, bytes]
    defines: dict[str, int] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)

    def with_plan(self) -> Subject:
        """The model's file ends with its plan."""
        return replace(self, files={**self.files, "MODEL": planned(self.files["MODEL"])})


def engine_subject(model: Model) -> Subject:
    """whir_nn with this model's operators."""
    inputs, outputs = model.vectors
    files = {"MODEL": model.data, "PARAMS": b"", "INPUT": inputs, "OUTPUT": outputs}
    return Subject(model.name, model, ENGINE, sorted((CORE / "src").glob("nn*.c")), files)


def pipeline_subject(folder: Path, sensor: SensorInfo | None = None, samples: Samples | None = None) -> Subject:
    """Condition, window, features, novelty, inference and permille, with what `whir export` left in `folder`.

    Without a sensor, it is as good as the parameters ask for, at the output rate of a common part above theirs; without
    samples (int16 (n, channels) of the sensor), they are a rotor's. Vector 0 of the output is the window after the filters
    have filled; each one is its features, the engine's outputs, their permille and the distance from a baseline.
    """
    model = Model.load(folder / "model.tflite")
    try:
        params = FeatureParams.from_tlv((folder / "features.tlv").read_bytes())
    except (OSError, ParamsError) as error:
        raise ModelError(f"{folder}/features.tlv: {error}: run `whir export {folder.name}` again") from error
    sensor = sensor or SensorInfo(
        name="bench",
        rate_hz=1667.0 if max(params.rate_hz, params.envelope_high_hz) < 1600 else 26667.0,  # LSM6DSOX, IIS3DWB
        bandwidth_hz=params.bandwidth_hz,
        range_milli=params.range_mg,
        noise_ug_rthz=params.noise_ug_rthz_max,
        lsb_nano=params.lsb_nano,
        unit=params.unit,
        channels=params.axes.bit_length(),
    )
    if samples is None:
        samples = _signal(params, sensor)
    conditioned = windows(params, condition(params, sensor, samples))[1 : 1 + PIPELINE_WINDOWS]
    features = extract(params, conditioned, 60 * SHAFT_HZ)
    inputs = quantize(params, features)
    baseline = _baseline(params, features)
    distances = baseline.distance(features) * 256 if baseline else np.zeros(len(features))
    engine = Engine(model.data)
    outputs = np.asarray(engine.run(inputs))
    said = permille(engine.info, outputs)
    expected = b"".join(
        i.tobytes() + o.tobytes() + p.astype("<u2").tobytes() + d.astype("<u2").tobytes()
        for i, o, p, d in zip(inputs, outputs, said, distances, strict=True)
    )
    entries = baseline.entries if baseline else b""
    return Subject(
        name="pipeline",
        model=model,
        source="pipeline.c",
        core=[
            *sorted((CORE / "src").glob("nn*.c")),
            *(CORE / "src" / f"{n}.c" for n in PIPELINE_SOURCES),
        ],
        files={
            "MODEL": model.data,
            "PARAMS": _head(sensor) + entries + params.to_tlv(),
            "INPUT": samples.tobytes(),
            "OUTPUT": expected,
        },
        defines={
            "BENCH_WINDOW_SAMPLES": params.window_samples,
            "BENCH_WINDOW_VALUES": params.window_samples * params.channels,
            "BENCH_FEATURES": params.feature_count,
            "BENCH_BASELINE": baseline.count if baseline else 0,
            "BENCH_CLASSES": outputs.shape[1],
        },
        notes={"config": folder.name, "sensor_rate_hz": sensor.rate_hz, "rate_hz": params.rate_hz, "hop": params.hop_samples},
    )


def condition_subject(part: Accelerometer) -> Subject:
    """Conditioning from the part's full rate to 1 kHz, three axes."""
    sensor = part.info
    params = FeatureParams(
        rate_hz=1000,
        bandwidth_hz=200,
        range_mg=2000,
        noise_ug_rthz_max=1000,
        channels=3,
        axes=7,
        unit=Unit.G,
        lsb_nano=61000,
        window_samples=256,
        hop_samples=256,
        verdict_windows=1,
        kind=FeatureKind.RAW,
        level=0,
        stats=0,
    )
    count = CONDITION_SAMPLES * CONDITION_RUNS
    samples = np.random.default_rng(1).integers(-400, 400, (count, 3)).astype(np.int16)
    expected = condition(params, sensor, samples)
    return Subject(
        name="condition",
        model=None,
        source="condition.c",
        core=[CORE / "src" / f"{name}.c" for name in ("condition", "envelope", "fixed", "tables", "params")],
        files={
            "MODEL": b"",
            "PARAMS": _head(sensor) + params.to_tlv(),
            "INPUT": samples.tobytes(),
            "OUTPUT": expected.tobytes(),
        },
        defines={"BENCH_SAMPLES": CONDITION_SAMPLES},
        notes={
            "sensor": sensor.name,
            "sensor_rate_hz": sensor.rate_hz,
            "rate_hz": params.rate_hz,
            "samples": CONDITION_SAMPLES,
        },
    )


def _baseline(params: FeatureParams, features: NDArray[np.int32]) -> Baseline | None:
    """A machine's, learned from these windows over and over; raw windows have none."""
    if params.kind == FeatureKind.RAW:
        return None
    return learn(np.tile(features, (-(-NOVELTY_WINDOWS_MIN // len(features)), 1)))


def _head(sensor: SensorInfo) -> bytes:
    """Sensor and shaft speed, as the C reads them in front of the parameters."""
    return struct.pack(
        "<5I2BHI", sensor.rate_mhz, sensor.bandwidth_hz, sensor.range_milli, sensor.noise_ug_rthz, sensor.lsb_nano,
        sensor.unit, sensor.channels, 0, shaft_mhz(60 * SHAFT_HZ),
    )  # fmt: skip


def _signal(params: FeatureParams, sensor: SensorInfo) -> Samples:
    """A rotor with harmonics and noise on every axis, seeded, for all windows and one before them."""
    seconds = (params.window_samples + (PIPELINE_WINDOWS + 1) * params.hop_samples) / params.rate_hz
    t = np.arange(round(seconds * sensor.rate_hz) + 64) / sensor.rate_hz
    rng = np.random.default_rng(1)
    tones = sum(800 / k * np.sin(2 * np.pi * (SHAFT_HZ * k * t[:, None] + rng.random(sensor.channels))) for k in range(1, 6))
    return np.rint(tones + 120 * rng.standard_normal((len(t), sensor.channels))).astype(np.int16)
