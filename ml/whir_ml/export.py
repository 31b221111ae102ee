"""From a float network to the one model file: full int8, per channel, int8 in and out, proven equal in every engine."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from whir_contracts.params import FeatureParams
from whir_ml import golden, networks
from whir_ml.artifact import Artifact
from whir_ml.backend import quiet, tf
from whir_ml.config import Config
from whir_ml.dataset import Examples, windows
from whir_ml.errors import EngineMismatchError, ExportError
from whir_ml.train import Scaler, Trained
from whir_node.engine import Engine, TflmEngine, permille
from whir_node.features import quantize

PROVEN_MIN: Final = 1000  # windows on which the engines must agree


@dataclass(frozen=True)
class Agreement:
    """What the engines said on the same int8 inputs. TFLite rounds otherwise than the two that run on nodes."""

    windows: int
    tflm_different_bytes: int
    tflite_different_windows: int
    tflite_lsb_max: int
    top_changes: int  # windows whose top class TFLite puts elsewhere
    top_change_margins: tuple[int, ...]  # LSB between the two best classes of those windows


@dataclass(frozen=True, eq=False)
class Exported:
    """The model file, what brings features to its int8 input, and what it takes to run it."""

    model: bytes
    params: FeatureParams  # with scaler
    float_bytes: int  # the same network as a float32 .tflite
    arena_bytes: int  # whir_nn, input and output tensors included
    output_scale: float
    output_zero_point: int
    operators: tuple[str, ...]
    agreement: Agreement

    def described(self) -> dict[str, Any]:
        """Figures without the model and its parameters, for JSON."""
        return {
            "model_bytes": len(self.model),
            "float_bytes": self.float_bytes,
            "arena_bytes": self.arena_bytes,
            "operators": list(self.operators),
            "agreement": {**asdict(self.agreement), "top_change_margins": list(self.agreement.top_change_margins)},
        }

    def permille(self, outputs: NDArray[np.int8]) -> NDArray[np.int64]:
        """Class probabilities in permille (n, classes), dequantized by the core."""
        return permille(Engine(self.model).info, outputs)

    def run(self, features: NDArray[np.int32]) -> NDArray[np.int8]:
        """Outputs int8 (n, classes) of features int32 (n, f), all by the core's code."""
        return np.asarray(Engine(self.model).run(quantize(self.params, features)))

    def artifact(self, config: Config, examples: Examples) -> Artifact:
        """Its files, with golden vectors from the windows of `examples`."""
        inputs, hop = quantize(self.params, examples.features), self.params.hop_samples
        permille = self.permille(np.asarray(Engine(self.model).run(inputs)))
        some = golden.choose(examples.target, permille, config.classes, golden.TENSORS_PER_CLASS)
        vectors = np.concatenate([inputs[some], golden.saturating(inputs.shape[1])])
        shown = golden.choose(examples.target, permille, config.classes, 1)
        place = [int(index - np.flatnonzero(examples.recording == examples.recording[index])[0]) for index in shown]
        owner = [examples.recordings[examples.recording[index]] for index in shown]
        raw = np.stack([windows(self.params, rec, hop)[at] for rec, at in zip(owner, place, strict=True)])
        return Artifact(
            model=self.model,
            params=self.params,
            golden_tensors=golden.tensors(vectors, np.asarray(Engine(self.model).run(vectors))),
            golden_windows=golden.windows(self.params, raw, permille[shown], [rec.rpm for rec in owner]),
            facts=self.described(),
        )


def export(trained: Trained, train: Examples, held_out: Examples, calibration_windows: int | None = None) -> Exported:
    """Quantize, calibrated on stratified training windows, and prove the result on windows of both sides."""
    config = trained.config
    count = config.calibration_windows if calibration_windows is None else calibration_windows
    chosen = stratified(train, count, config.training.seed)
    model = convert(trained, train.features[chosen])
    engine = Engine(model)
    params = with_scaler(config, trained.scaler, engine.info.input_scale, engine.info.input_zero_point)
    others = stratified(train, max(PROVEN_MIN, count), config.training.seed + 1)
    proof = quantize(params, np.concatenate([held_out.features, train.features[others]]))
    rng = np.random.default_rng(config.training.seed)
    short = max(0, PROVEN_MIN - len(proof))  # a small set is filled up with random inputs
    proof = np.concatenate([proof, rng.integers(-128, 128, (short, proof.shape[1])).astype(np.int8)])
    return Exported(
        model=model,
        params=params,
        float_bytes=len(convert(trained, None)),
        arena_bytes=engine.info.arena_bytes,
        output_scale=engine.info.output_scale,
        output_zero_point=engine.info.output_zero_point,
        operators=tuple(op["op_name"] for op in _interpreter(model)._get_ops_details()),
        agreement=agree(model, proof, len(held_out.features)),
    )


def convert(trained: Trained, calibration: NDArray[np.int32] | None) -> bytes:
    """The network as a .tflite: full int8 calibrated on features (n, f), or float32 when there are none."""
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converter = tf.lite.TFLiteConverter.from_keras_model(networks.for_inference(trained.model))
        if calibration is not None:
            inputs = trained.scaler.apply(trained.config, calibration)
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([x[None]] for x in inputs)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = tf.int8
        return _without_names(converter.convert())


def stratified(examples: Examples, count: int, seed: int) -> NDArray[np.int64]:
    """Indices of `count` windows (or all), the same number of every class as far as it goes, recordings mixed evenly."""
    order = np.random.default_rng(seed).permutation(len(examples.target))
    order = order[np.argsort(_turns(examples.recording[order]), kind="stable")]
    order = order[np.argsort(_turns(examples.target[order]), kind="stable")]
    return np.sort(order[:count])


def _turns(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many equal keys stand before each key."""
    order = np.argsort(keys, kind="stable")
    _, first, counts = np.unique(keys[order], return_index=True, return_counts=True)
    turns = np.empty(len(keys), np.int64)
    turns[order] = np.arange(len(keys)) - np.repeat(first, counts)
    return turns


def with_scaler(config: Config, scaler: Scaler, scale: float, zero_point: int) -> FeatureParams:
    """Integers by which the core's quantize gives round(x / scale) + zero_point of the scaled feature x."""
    step = scaler.std * scale
    gain = np.rint(65536.0 / step).astype(np.int64)
    if gain.max() > 0xFFFFFFFF or gain.min() < 1:
        raise ExportError(f"{config.name}: a feature's gain of {65536.0 / step.min():.3g} does not fit 32 bits")
    offset = np.rint(scaler.mean - zero_point * step).astype(np.int64)
    return config.params.with_scaler(offset.tolist(), gain.tolist())


def agree(model: bytes, inputs: NDArray[np.int8], held_out: int) -> Agreement:
    """Run all engines on inputs int8 (n, in), of which the first `held_out` count for changed top classes.

    Raises EngineMismatchError at the first byte in which whir_nn and TensorFlow Lite Micro differ.
    """
    ours, tflm = np.asarray(Engine(model).run(inputs)), np.asarray(TflmEngine(model).run(inputs))
    different = np.argwhere(ours != tflm)
    if len(different):
        window, byte = (int(v) for v in different[0])
        raise EngineMismatchError(("whir_nn", "tflite-micro"), window, byte, (int(ours[window, byte]), int(tflm[window, byte])))
    desktop = _tflite(model, inputs)
    distance = np.abs(ours.astype(np.int16) - desktop)
    ordered = np.sort(ours[:held_out].astype(np.int16), axis=1)
    changed = ours[:held_out].argmax(axis=1) != desktop[:held_out].argmax(axis=1)
    return Agreement(
        windows=len(inputs),
        tflm_different_bytes=0,
        tflite_different_windows=int((distance.max(axis=1) > 0).sum()),
        tflite_lsb_max=int(distance.max()),
        top_changes=int(changed.sum()),
        top_change_margins=tuple(int(v) for v in (ordered[:, -1] - ordered[:, -2])[changed]),
    )


def _interpreter(model: bytes) -> Any:
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        resolver = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        interpreter = tf.lite.Interpreter(model_content=model, num_threads=1, experimental_op_resolver_type=resolver)
        interpreter.allocate_tensors()
        return interpreter


def _tflite(model: bytes, inputs: NDArray[np.int8]) -> NDArray[np.int16]:
    """Outputs (n, out) of TFLite on this computer."""
    interpreter = _interpreter(model)
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    outputs = np.empty((len(inputs), int(np.prod(target["shape"]))), np.int16)
    for number, row in enumerate(inputs):
        interpreter.set_tensor(source["index"], row.reshape(source["shape"]))
        interpreter.invoke()
        outputs[number] = interpreter.get_tensor(target["index"]).ravel()
    return outputs


def _without_names(model: bytes) -> bytes:
    """Tensor names and signatures out: no engine reads them, and they make equal networks differ in bytes."""
    from tensorflow.lite.tools import flatbuffer_utils

    tree = flatbuffer_utils.convert_bytearray_to_object(bytearray(model))
    flatbuffer_utils.strip_strings(tree)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(tree))
