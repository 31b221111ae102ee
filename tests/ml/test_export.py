"""Export: a model that every engine reads the same way, fed with the very bytes that the node makes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from whir_ml import export as stage
from whir_ml import golden
from whir_ml.config import Config
from whir_ml.dataset import Examples, windows
from whir_ml.errors import EngineMismatchError, ExportError
from whir_ml.export import Exported, agree, convert, export, stratified, with_scaler
from whir_ml.train import Scaler, Trained
from whir_node.engine import Engine, TflmEngine
from whir_node.features import extract, quantize

Sides = tuple[Examples, Examples]


def test_the_cores_bytes_are_the_quantized_network_input(exported: Exported, trained: Trained, sides: Sides) -> None:
    info = Engine(exported.model).info
    x = trained.scaler.apply(trained.config, sides[1].features)
    wanted = np.clip(np.rint(x / info.input_scale) + info.input_zero_point, -128, 127)
    got = quantize(exported.params, sides[1].features)
    # A feature has no fractions and a gain 16 bits, so a value on the edge may fall to either side.
    assert np.abs(got - wanted).max() <= 1
    assert (got == wanted).mean() > 0.95


def test_a_gain_that_does_not_fit_is_refused(rig_config: Config) -> None:
    with pytest.raises(ExportError, match="gain"):
        with_scaler(rig_config, Scaler(np.zeros(18), np.full(18, 1e-9)), 0.03, 0)


def test_both_node_engines_agree_on_at_least_a_thousand_windows(exported: Exported, sides: Sides) -> None:
    assert exported.agreement.tflm_different_bytes == 0
    assert exported.agreement.windows >= 1000
    assert exported.agreement.tflite_lsb_max <= 2
    assert all(margin <= 4 for margin in exported.agreement.top_change_margins)


def test_a_disagreement_is_refused_with_window_and_byte(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    class OneOff(TflmEngine):
        def run(self, inputs: object) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
            outputs = super().run(inputs)  # type: ignore[arg-type]
            outputs[5, 2] ^= 1
            return outputs

    monkeypatch.setattr(stage, "TflmEngine", OneOff)
    with pytest.raises(EngineMismatchError, match="output byte 2 of window 5"):
        agree(exported.model, np.zeros((10, 18), np.int8), 10)


def test_int8_says_what_float_says(exported: Exported, trained: Trained, sides: Sides) -> None:
    held_out = sides[1]
    p = exported.permille(exported.run(held_out.features))
    assert np.abs(p / 1000 - trained.predict(held_out.features)).max() < 0.12
    assert (p.argmax(axis=1) == trained.predict(held_out.features).argmax(axis=1)).mean() > 0.95


def test_permille_of_softmax_counts_256_steps(exported: Exported) -> None:
    assert exported.output_scale == 1 / 256
    assert exported.output_zero_point == -128
    outputs = np.array([[-128, 0, 127]], np.int8)
    assert exported.permille(outputs).tolist() == [[0, 500, 996]]


def test_the_same_training_gives_the_same_file(trained: Trained, sides: Sides) -> None:
    first, second = (convert(trained, sides[0].features[:20]) for _ in range(2))
    assert first == second


def test_the_float_file_is_larger(exported: Exported) -> None:
    assert exported.float_bytes > 0
    assert exported.operators == ("FULLY_CONNECTED", "FULLY_CONNECTED", "SOFTMAX")
    assert exported.arena_bytes == Engine(exported.model).info.arena_bytes


def test_names_are_stripped(exported: Exported, rig_config: Config) -> None:
    assert b"dense0" not in exported.model
    assert b"serving_default" not in exported.model


def test_a_float_model_is_refused_by_the_engine(trained: Trained) -> None:
    with pytest.raises(Exception, match="nn_type"):
        Engine(convert(trained, None))


def examples_of(target: list[int], recording: list[int], like: Examples) -> Examples:
    count = len(target)
    return dataclasses.replace(
        like, features=np.zeros((count, 1), np.int32), target=np.array(target), recording=np.array(recording)
    )


def test_calibration_takes_the_same_number_of_every_class(sides: Sides) -> None:
    skewed = examples_of([0] * 10 + [1] * 100 + [2] * 1000, [0] * 10 + [1] * 100 + [2] * 1000, sides[0])
    chosen = stratified(skewed, 30, seed=1)
    assert np.bincount(skewed.target[chosen]).tolist() == [10, 10, 10]
    assert len(set(chosen)) == 30
    # a class that has no more leaves its share to the others
    assert np.bincount(skewed.target[stratified(skewed, 60, seed=1)]).tolist() == [10, 25, 25]


def test_calibration_mixes_the_recordings_of_a_class(sides: Sides) -> None:
    long_and_short = examples_of([0] * 110, [0] * 100 + [1] * 5 + [2] * 5, sides[0])
    chosen = stratified(long_and_short, 9, seed=1)
    assert np.bincount(long_and_short.recording[chosen]).tolist() == [3, 3, 3]


def test_more_calibration_windows_than_there_are_means_all(sides: Sides) -> None:
    assert len(stratified(sides[0], 10**6, seed=0)) == len(sides[0].target)


def test_calibration_uses_training_windows_only(trained: Trained, sides: Sides) -> None:
    """Other held-out windows, same file."""
    train, held_out = sides
    other = dataclasses.replace(held_out, features=held_out.features + 4000)
    assert export(trained, train, held_out).model == export(trained, train, other).model


def test_golden_tensors_hold_several_per_class_and_saturating_ones(
    exported: Exported, rig_config: Config, sides: Sides
) -> None:
    inputs, outputs = golden.read_tensors(exported.artifact(rig_config, sides[1]).golden_tensors)
    assert len(inputs) == 3 * golden.TENSORS_PER_CLASS + 4
    assert (inputs == -128).all(axis=1).any()
    assert (inputs == 127).all(axis=1).any()
    assert np.array_equal(Engine(exported.model).run(inputs), outputs)
    assert np.array_equal(TflmEngine(exported.model).run(inputs), outputs)
    assert set(outputs[: 3 * golden.TENSORS_PER_CLASS].argmax(axis=1)) == {0, 1, 2}


def test_golden_windows_prove_the_whole_way(exported: Exported, rig_config: Config, sides: Sides) -> None:
    part = exported.artifact(rig_config, sides[1]).golden_windows
    count, window_bytes, feature_bytes, classes = np.frombuffer(part, "<u4,<u4,<u2,<u2", 1)[0].tolist()
    assert (count, window_bytes, feature_bytes, classes) == (3, 256 * 3 * 2, 18, 3)
    at = 12
    for number in range(count):
        raw = np.frombuffer(part, "<i2", 768, at).reshape(1, 256, 3).astype(np.int16)
        inputs = np.frombuffer(part, np.int8, 18, at + window_bytes)
        permille = np.frombuffer(part, "<u2", 3, at + window_bytes + feature_bytes)
        assert np.array_equal(quantize(exported.params, extract(exported.params, raw))[0], inputs)
        assert np.array_equal(exported.permille(Engine(exported.model).run(inputs[None]))[0], permille)
        assert permille.argmax() == number
        at += window_bytes + feature_bytes + 2 * classes
    assert at == len(part)


def test_golden_windows_are_held_out_windows(exported: Exported, rig_config: Config, sides: Sides) -> None:
    part = exported.artifact(rig_config, sides[1]).golden_windows
    first = np.frombuffer(part, "<i2", 768, 12).reshape(256, 3)
    seen = [raw for rec in sides[1].recordings for raw in windows(exported.params, rec, 256)]
    assert any(np.array_equal(first, raw) for raw in seen)


def test_a_class_without_a_window_has_no_golden_vector() -> None:
    with pytest.raises(ExportError, match="hum"):
        golden.choose(np.array([0, 0]), np.array([[900, 100], [800, 200]]), ("normal", "hum"), 1)
