"""The recording format: what is saved is read back, and what cannot be right is refused with file and field."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from whir_contracts import recording
from whir_contracts.contract import Unit
from whir_contracts.recording import (
    DataFolderError,
    IndexRow,
    Recording,
    RecordingError,
    RecordingFieldError,
    RecordingFileError,
    RecordingIndexError,
)


def make(**changes: Any) -> Recording:
    rng = np.random.default_rng(1)
    rec = Recording(
        name="one",
        samples=rng.integers(-3000, 3000, (500, 3)).astype(np.int16),
        scale=np.full(3, 2.7e-5, np.float32),
        offset=np.full(3, 0.9, np.float32),
        rate_hz=20000.0,
        unit="V",
        channels=("x", "y", "z"),
        label="bearing",
        sublabel="ball_light",
        rpm=1800.0,
        condition="1800rpm_00lb",
        load="00lb",
    )
    return dataclasses.replace(rec, **changes)


def raw(rec: Recording) -> dict[str, Any]:
    """The keys of an npz, to break one of them."""
    return {
        "x": rec.samples,
        "scale": rec.scale,
        "offset": rec.offset,
        "fs": rec.rate_hz,
        "unit": rec.unit,
        "channels": np.array(rec.channels),
        "label": rec.label,
        "sublabel": rec.sublabel,
        "rpm": rec.rpm,
    }


FACTS = {
    "machine": "pump 3",
    "sensor_name": "LIS3DH",
    "mounting": "magnet, DE",
    "bearing": "6205",
    "full_scale": 16.0,
    "accepted": ("gap: line 7: 3 samples are missing", "jitter: 4 % of the intervals"),
}


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    wanted = make(**FACTS)
    recording.save(wanted, tmp_path / "one.npz")
    got = recording.load(tmp_path / "one.npz")
    for field in dataclasses.fields(Recording):
        assert np.array_equal(getattr(got, field.name), getattr(wanted, field.name)), field.name


def test_what_is_not_known_of_the_measurement_takes_no_key(tmp_path: Path) -> None:
    recording.save(make(), tmp_path / "one.npz")
    with np.load(tmp_path / "one.npz") as archive:
        assert set(archive.files) == {*raw(make()), "load", "condition"}
    assert np.isnan(recording.load(tmp_path / "one.npz").full_scale)


def test_a_range_that_cannot_be_is_refused(tmp_path: Path) -> None:
    for value in (0.0, -16.0, float("inf")):
        with pytest.raises(RecordingFieldError, match=r"full_scale: .* is not a range"):
            recording.save(make(full_scale=value), tmp_path / "bad.npz")


def test_the_same_recording_gives_the_same_bytes(tmp_path: Path) -> None:
    recording.save(make(), tmp_path / "a.npz")
    recording.save(make(), tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_load_and_condition_come_from_the_index_where_the_file_lacks_them(tmp_path: Path) -> None:
    (tmp_path / "recordings").mkdir()
    np.savez(tmp_path / "recordings" / "one.npz", **raw(make()))
    recording.write_index(tmp_path, [IndexRow.of(make(), "recordings/one.npz", "test")])
    for got in (recording.load(tmp_path / "recordings" / "one.npz"), *recording.load_folder(tmp_path)):
        assert (got.condition, got.load) == ("1800rpm_00lb", "00lb")


def test_an_unknown_speed_survives_the_index(tmp_path: Path) -> None:
    row = IndexRow.of(make(rpm=float("nan")), "recordings/one.npz", "test")
    recording.write_index(tmp_path, [row])
    got = recording.read_index(tmp_path)[0]
    assert np.isnan(got.rpm)
    assert dataclasses.replace(got, rpm=0.0) == dataclasses.replace(row, rpm=0.0)


def test_counts_leave_the_offset_out_and_refuse_to_overflow() -> None:
    rec = make()
    assert rec.lsb_nano == 27000
    assert np.array_equal(rec.counts(27000), rec.samples)
    assert np.abs(rec.counts(54000) - rec.samples / 2).max() <= 0.5
    with pytest.raises(RecordingFieldError, match=r"one: x: reaches .* over 16 bits"):
        rec.counts(2000)


def test_counts_bring_channels_of_different_scale_to_one() -> None:
    rec = make(scale=np.array([1e-5, 2e-5, 4e-5], np.float32))
    assert rec.lsb_nano == 40000
    expected = np.rint(rec.samples * np.array([0.25, 0.5, 1.0])).astype(np.int16)
    assert np.abs(rec.counts(rec.lsb_nano) - expected).max() <= 1  # float32 scales may tip a half


def test_sensor_facts_state_what_conditioning_needs() -> None:
    facts = make().sensor()
    assert (facts.rate_mhz, facts.bandwidth_hz, facts.lsb_nano, facts.unit, facts.channels) == (
        20_000_000,
        10_000,
        27000,
        Unit.VOLT,
        3,
    )
    assert facts.range_milli == 884  # 32767 counts of 27 uV


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("x", np.zeros((500, 3)), "float64, not int16"),
        ("x", np.full((500, 3), np.nan), "holds NaN"),
        ("x", np.zeros((500,), np.int16), "shape"),
        ("x", np.zeros((0, 3), np.int16), "shape"),
        ("x", np.array([[1, 5, 1], [2, 5, 3]], np.int16), "axis y is dead: every sample is 5"),
        ("scale", np.array([1.0, np.nan, 1.0], np.float32), "NaN"),
        ("scale", np.array([1.0, 0.0, 1.0], np.float32), "not positive"),
        ("scale", np.array([1.0, 1.0], np.float32), "shape"),
        ("offset", np.array([1.0, np.inf, 1.0], np.float32), "infinity"),
        ("fs", 0.0, "not a sampling rate"),
        ("fs", -20000.0, "not a sampling rate"),
        ("fs", float("nan"), "not a sampling rate"),
        ("fs", "fast", "not a number"),
        ("fs", [1.0, 2.0], "2 values"),
        ("unit", "furlong", "is not one of g"),
        ("channels", np.array(["x", "y"]), "names 2 channels, x has 3"),
        ("channels", np.array(["x", "y", "z axis"]), "must be words"),
        ("label", "", "is empty"),
        ("label", 7, "not one text"),
        ("rpm", -5.0, "not a speed"),
    ],
)
def test_a_field_that_cannot_be_is_refused_with_file_and_field(tmp_path: Path, field: str, value: Any, reason: str) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, **{**raw(make()), field: value})
    with pytest.raises(RecordingFieldError, match=reason) as caught:
        recording.load(path)
    assert caught.value.file == str(path)
    assert caught.value.field == field
    assert "\n" not in str(caught.value)


def test_nothing_wrong_is_saved(tmp_path: Path) -> None:
    with pytest.raises(RecordingFieldError, match="axis z is dead"):
        recording.save(make(samples=make().samples * np.array([1, 1, 0], np.int16)), tmp_path / "bad.npz")
    assert not (tmp_path / "bad.npz").exists()


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    for key in raw(make()):
        np.savez(tmp_path / "bad.npz", **{name: value for name, value in raw(make()).items() if name != key})
        with pytest.raises(RecordingFileError, match=f"{key}: key is missing"):
            recording.load(tmp_path / "bad.npz")


def test_a_truncated_file_is_refused_at_every_length(tmp_path: Path) -> None:
    recording.save(make(), tmp_path / "good.npz")
    whole = (tmp_path / "good.npz").read_bytes()
    for size in range(0, len(whole), 97):
        (tmp_path / "bad.npz").write_bytes(whole[:size])
        with pytest.raises(RecordingFileError, match=r"bad\.npz: not a whole npz"):
            recording.load(tmp_path / "bad.npz")


def test_a_flipped_byte_never_gives_another_recording(tmp_path: Path) -> None:
    recording.save(make(), tmp_path / "good.npz")
    whole = (tmp_path / "good.npz").read_bytes()
    for place in range(0, len(whole), 61):
        (tmp_path / "bad.npz").write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            got = recording.load(tmp_path / "bad.npz")
        except RecordingError:
            continue
        assert np.array_equal(got.samples, make().samples)  # the byte was in a time stamp or an unused header field


def test_other_files_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.zeros(3))
    np.savez(tmp_path / "pickle.npz", **{**raw(make()), "label": np.array([{"a": 1}], dtype=object)})
    (tmp_path / "text.npz").write_text("no zip")
    for name in ("array.npy", "pickle.npz", "text.npz", "absent.npz"):
        with pytest.raises(RecordingFileError, match=name):
            recording.load(tmp_path / name)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("label", {"label": "normal"}),
        ("sublabel", {"sublabel": "ball_heavy"}),
        ("fs", {"rate_hz": 10000.0}),
        ("n_samples", {"samples": 499}),
        ("channels", {"channels": ("x", "z", "y")}),
        ("unit", {"unit": "g"}),
        ("rpm", {"rpm": 1200.0}),
        ("load", {"load": "11lb"}),
        ("condition_id", {"condition": "other"}),
    ],
)
def test_an_index_that_says_something_else_is_refused(tmp_path: Path, field: str, change: dict[str, Any]) -> None:
    recording.save(make(), tmp_path / "recordings" / "one.npz")
    row = dataclasses.replace(IndexRow.of(make(), "recordings/one.npz", "test"), **change)
    recording.write_index(tmp_path, [row])
    with pytest.raises(RecordingIndexError) as caught:
        list(recording.load_folder(tmp_path))
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "column is missing"),
        ("file,label\na,b\n", "sublabel: column is missing"),
        ("{header}\n", "lists no recording"),
        ("{header}\na.npz,normal\n", "line 2 is short"),
        ("{header}\na.npz,normal,normal,fast,,,1000,5,x,g,s\n", "rpm: line 2: 'fast' is not a number"),
        ("{header}\na.npz,normal,normal,,,,1000,5.5,x,g,s\n", "n_samples: line 2: 5.5 is not a count"),
    ],
)
def test_a_broken_index_is_refused_with_line_and_column(tmp_path: Path, text: str, reason: str) -> None:
    header = "file,label,sublabel,rpm,load,condition_id,fs_hz,n_samples,channels,unit,source_path"
    (tmp_path / "recordings.csv").write_text(text.format(header=header))
    with pytest.raises(RecordingIndexError, match=reason):
        recording.read_index(tmp_path)


def test_the_data_folder_is_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHIR_DATA", str(tmp_path))
    assert recording.data_root() == tmp_path
    with pytest.raises(DataFolderError, match=r"no recordings\.csv there"):
        recording.data_set("adi_cbm")
    monkeypatch.setenv("WHIR_DATA", str(tmp_path / "absent"))
    with pytest.raises(DataFolderError, match="is not a folder"):
        recording.data_root()


@pytest.mark.parametrize(
    ("name", "count", "rate_hz"), [("adi_cbm", 91, 20000), ("cwru_bearing_12k", 53, 12000), ("lsm6dsox_esp32c3_fan", 24, 445)]
)
def test_the_real_recordings_load_without_a_change_of_count(name: str, count: int, rate_hz: int) -> None:
    try:
        folder = recording.data_set(name)
    except DataFolderError as error:
        pytest.skip(f"no real recordings: {error}")
    rows = recording.read_index(folder)
    assert len(rows) == count
    for row in rows[:: max(1, count // 8)]:
        rec = recording.load(folder / row.file)
        assert rec.rate_hz == rate_hz
        assert np.array_equal(rec.counts(rec.lsb_nano), rec.samples)
