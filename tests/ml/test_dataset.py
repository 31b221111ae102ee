"""From recordings to features: one side per recording, the core's own numbers, and a cache that only saves time."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from whir_contracts import recording
from whir_contracts.recording import DataFolderError
from whir_ml import config as configs
from whir_ml import dataset
from whir_ml.config import Config
from whir_ml.errors import DatasetError
from whir_node.features import extract


def test_a_recording_is_on_one_side_only(rig: Path, rig_config: Config) -> None:
    split = dataset.load(rig_config, rig / "rig")
    train, held_out = ({rec.name for rec in side} for side in (split.train, split.held_out))
    assert train & held_out == set()
    assert len(train | held_out) == 18
    folds = dataset.read_folds(rig / "folds.csv")
    assert all(folds[name] == 0 for name in held_out)
    assert all(folds[name] != 0 for name in train)


def test_every_recording_is_held_out_in_one_fold(rig: Path, rig_config: Config) -> None:
    held_out = [rec.name for fold in range(3) for rec in dataset.load(rig_config, rig / "rig", fold).held_out]
    assert len(held_out) == len(set(held_out)) == 18


def test_labels_that_the_config_does_not_know_are_left_out(rig: Path, rig_config: Config) -> None:
    two = dataclasses.replace(
        rig_config,
        classes=("normal", "hum"),
        data=dataclasses.replace(rig_config.data, labels={"normal": "normal", "hum": "hum"}),
    )
    split = dataset.load(two, rig / "rig")
    assert {rec.label for rec in split.train + split.held_out} == {"normal", "hum"}


def test_several_labels_can_be_one_class(rig: Path, rig_config: Config) -> None:
    labels = {"normal": "normal", "hum": "anomaly", "knock": "anomaly"}
    binary = dataclasses.replace(
        rig_config, classes=("normal", "anomaly"), data=dataclasses.replace(rig_config.data, labels=labels)
    )
    examples = dataset.examples(binary, dataset.load(binary, rig / "rig").train)
    assert np.bincount(examples.target).tolist() == [44, 88]


def test_a_recording_without_a_fold_is_an_error_that_names_it(rig: Path, rig_config: Config, tmp_path: Path) -> None:
    lines = (rig / "folds.csv").read_text().splitlines()
    (tmp_path / "folds.csv").write_text("\n".join(line for line in lines if not line.startswith("hum3")))
    with pytest.raises(DatasetError, match="hum3"):
        dataset.load(dataclasses.replace(rig_config, folder=tmp_path), rig / "rig")


def test_a_side_without_a_class_is_an_error(rig: Path, rig_config: Config) -> None:
    with pytest.raises(DatasetError, match="no held-out recording of class"):
        dataset.load(rig_config, rig / "rig", held_out_fold=8)


def test_a_list_of_folds_with_other_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folds.csv").write_text("file,side\na,0\n")
    with pytest.raises(DatasetError, match="recording,fold"):
        dataset.read_folds(tmp_path / "folds.csv")


def test_features_are_those_of_the_core(rig: Path, rig_config: Config) -> None:
    rec = recording.load(rig / "rig/recordings/hum1.npz")
    examples = dataset.examples(rig_config, [rec])
    raw = dataset.windows(rig_config.params, rec, 256)
    assert raw.shape == (11, 256, 3)
    assert np.array_equal(raw[2], rec.samples[512:768])  # equal rates and counts pass unchanged
    assert np.array_equal(examples.features, extract(rig_config.params, raw))


def test_a_time_scale_moves_a_tone_up_by_that_factor(rig: Path, rig_config: Config) -> None:
    rec = recording.load(rig / "rig/recordings/hum1.npz")

    def peak_bin(scale: float) -> int:
        raw = dataset.windows(rig_config.params, rec, 256, scale).astype(float)
        return int((np.abs(np.fft.rfft(raw, axis=1)) ** 2).sum(axis=(0, 2))[1:].argmax() + 1)

    assert peak_bin(1.0) == round(50 * 256 / 1000)
    assert peak_bin(1.5) == round(75 * 256 / 1000)
    assert peak_bin(0.6) == round(30 * 256 / 1000)


def test_a_faster_machine_shakes_with_the_square_of_the_scale(rig: Path, rig_config: Config) -> None:
    """The same displacement in less time."""
    rec = recording.load(rig / "rig/recordings/hum1.npz")

    def rms(scale: float) -> float:
        return float(dataset.windows(rig_config.params, rec, 256, scale).astype(float).std())

    assert rms(1.2) / rms(1.0) == pytest.approx(1.2**2, rel=0.05)
    assert rms(0.8) / rms(1.0) == pytest.approx(0.8**2, rel=0.05)


def test_training_examples_hold_every_time_scale_of_every_recording(rig: Path, rig_config: Config) -> None:
    split = dataset.load(rig_config, rig / "rig")
    learned = dataset.training_examples(rig_config, split)
    plain = dataset.examples(rig_config, split.train, hop_samples=128)
    assert learned.recordings == split.train
    assert len(learned.target) > 1.8 * len(plain.target)
    assert np.array_equal(learned.features[: len(plain.features)], plain.features)
    assert set(learned.recording) == set(range(len(split.train)))


def test_the_cache_gives_what_was_computed_and_is_really_read(rig: Path, rig_config: Config, tmp_path: Path) -> None:
    recs = dataset.load(rig_config, rig / "rig").held_out[:2]
    fresh = dataset.examples(rig_config, recs, cache=tmp_path)
    again = dataset.examples(rig_config, recs, cache=tmp_path)
    assert np.array_equal(fresh.features, again.features)
    saved = sorted((tmp_path / "features").iterdir())
    assert len(saved) == 2
    np.save(saved[0], np.full_like(np.load(saved[0]), 77))
    assert (dataset.examples(rig_config, recs, cache=tmp_path).features == 77).any()


def test_other_parameters_or_hops_do_not_hit_the_same_cache_entry(rig: Path, rig_config: Config, tmp_path: Path) -> None:
    recs = dataset.load(rig_config, rig / "rig").held_out[:1]
    wider = dataclasses.replace(rig_config, params=dataclasses.replace(rig_config.params, stats=0))
    dataset.examples(rig_config, recs, cache=tmp_path)
    dataset.examples(rig_config, recs, cache=tmp_path, hop_samples=64)
    dataset.examples(rig_config, recs, cache=tmp_path, time_scales=[1.1])
    dataset.examples(wider, recs, cache=tmp_path)
    assert len(list((tmp_path / "features").iterdir())) == 4


def test_the_digest_of_a_set_sees_every_file(rig: Path, tmp_path: Path) -> None:
    before = dataset.digest(rig / "rig")
    assert before == dataset.digest(rig / "rig")
    copy = tmp_path / "rig"
    (copy / "recordings").mkdir(parents=True)
    for path in (rig / "rig").rglob("*.*"):
        (copy / path.relative_to(rig / "rig")).write_bytes(path.read_bytes())
    assert dataset.digest(copy) == before
    one = copy / "recordings/knock5.npz"
    content = bytearray(one.read_bytes())
    content[len(content) // 2] ^= 1
    one.write_bytes(content)
    assert dataset.digest(copy) != before


def test_a_recording_shorter_than_a_window_is_named(rig: Path, rig_config: Config) -> None:
    rec = recording.load(rig / "rig/recordings/hum1.npz")
    short = dataclasses.replace(rec, samples=rec.samples[:200])
    with pytest.raises(DatasetError, match="hum1"):
        dataset.examples(rig_config, [short])


def test_a_missing_data_folder_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WHIR_DATA", str(tmp_path))
    with pytest.raises(DataFolderError, match="adi_cbm"):
        dataset.folder_of(configs.load("adi4k"))


def test_a_sublabel_that_is_listed_decides_the_class(rig: Path, rig_config: Config) -> None:
    labels = {"normal": "normal", "hum": "hum", "knock": "knock", "knock_s1": "hum"}
    finer = dataclasses.replace(rig_config, data=dataclasses.replace(rig_config.data, labels=labels))
    split = dataset.load(finer, rig / "rig")
    examples = dataset.examples(finer, split.train)
    said = {rec.sublabel: finer.classes[examples.target[examples.recording == n][0]] for n, rec in enumerate(split.train)}
    assert said == {"normal": "normal", "hum_s1": "hum", "hum_s2": "hum", "knock_s1": "hum", "knock_s2": "knock"}


class TestOrderBands:
    def with_orders(self, config: Config) -> Config:
        return dataclasses.replace(config, params=dataclasses.replace(config.params, order_edges_q8=(128, 384, 640)))

    def test_a_machine_that_runs_faster_takes_its_order_bands_along(self, rig: Path, rig_config: Config) -> None:
        params = self.with_orders(rig_config).params
        rec = recording.load(rig / "rig/recordings/hum1.npz")
        raw = dataset.windows(params, rec, 256, 1.1)
        assert np.array_equal(dataset.features(params, rec, 256, 1.1), extract(params, raw, 1.1 * rec.rpm))

    def test_a_recording_without_a_speed_is_refused_by_name(self, rig: Path, rig_config: Config) -> None:
        rec = recording.load(rig / "rig/recordings/hum1.npz")
        for rpm, reason in ((np.nan, "does not state its rpm"), (60.0, r"not defined at 60 r/min")):
            with pytest.raises(DatasetError, match=f"{rec.name}.*{reason}"):
                dataset.features(self.with_orders(rig_config).params, dataclasses.replace(rec, rpm=rpm), 256)

    def test_another_speed_is_another_cache_entry_where_it_matters_only(
        self, rig: Path, rig_config: Config, tmp_path: Path
    ) -> None:
        rec = recording.load(rig / "rig/recordings/hum1.npz")
        for params in (rig_config.params, self.with_orders(rig_config).params):
            for rpm in (rec.rpm, 1234.0):
                dataset.features(params, dataclasses.replace(rec, rpm=rpm), 256, cache=tmp_path)
        assert len(list((tmp_path / "features").iterdir())) == 3
