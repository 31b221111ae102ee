"""Replay: segments as one sensor's stream."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from whir_contracts.recording import Recording, RecordingError, save
from whir_node.replay import Replay, ReplayError, Segment, parse_segment


def ramp(frames: int, label: str = "ramp", start: int = 0, scale: float = 1e-3) -> Recording:
    values = np.arange(start, start + frames, dtype=np.int16)
    return Recording(
        name=label,
        samples=np.stack([values, values[::-1]], axis=1),
        scale=np.full(2, scale, np.float32),
        offset=np.array([0.5, -0.5], np.float32),
        rate_hz=100.0,
        unit="g",
        channels=("x", "y"),
        label=label,
        sublabel="",
        rpm=float("nan"),
    )


def stream(replay: Replay, frames: int) -> np.ndarray:
    return np.concatenate([block.samples for block in replay.blocks(frames)])


def test_a_recording_is_looped_until_its_seconds_are_full() -> None:
    replay = Replay([Segment(ramp(30), 0.7)])
    out = stream(replay, 8)
    assert out[:, 0].tolist() == [*range(30), *range(30), *range(10)]
    assert replay.seconds == 0.7


def test_splices_are_marked_where_samples_do_not_follow_each_other() -> None:
    replay = Replay([Segment(ramp(10, "a"), 0.2), Segment(ramp(10, "b"), 0.1)])
    blocks = list(replay.blocks(4))
    assert [block.spliced for block in blocks] == [True, False, False] * 3
    assert [block.label for block in blocks] == ["a"] * 6 + ["b"] * 3


def test_without_seconds_the_last_goes_on_for_ever() -> None:
    replay = Replay([Segment(ramp(5), 0.05), Segment(ramp(7))])
    blocks = replay.blocks(100)
    assert sum(len(next(blocks).samples) for _ in range(1000)) == 5 + 999 * 7
    assert replay.seconds is None


def test_recordings_of_other_scale_are_brought_to_the_coarsest_count() -> None:
    fine, coarse = ramp(10, "fine", start=100, scale=1e-3), ramp(10, "coarse", scale=1e-2)
    replay = Replay([Segment(fine, 0.1), Segment(coarse, 0.1)])
    assert replay.sensor.lsb_nano == pytest.approx(1e7, rel=1e-6)
    out = stream(replay, 100)[:, 0]
    assert np.abs(out[:10] - np.arange(100, 110) / 10).max() <= 0.501
    assert out[10:].tolist() == list(range(10))


@pytest.mark.parametrize(("field", "value"), [("rate_hz", 200.0), ("unit", "V"), ("channels", ("x", "z"))])
def test_recordings_that_one_sensor_cannot_be_are_refused(field: str, value: object) -> None:
    with pytest.raises(ReplayError, match=f"other: {field}"):
        Replay([Segment(ramp(5), 1.0), Segment(replace(ramp(5), name="other", **{field: value}))])


def test_an_endless_segment_before_another_is_refused() -> None:
    with pytest.raises(ReplayError, match="only the last"):
        Replay([Segment(ramp(5)), Segment(ramp(5))])


def test_nothing_to_replay_is_refused() -> None:
    with pytest.raises(ReplayError, match="nothing"):
        Replay([])


class TestParse:
    def test_a_file_alone_and_with_seconds(self, tmp_path: Path) -> None:
        path = tmp_path / "a:b.npz"
        save(ramp(50), path)
        assert parse_segment(str(path)).seconds is None
        assert parse_segment(f"{path}:2.5").seconds == 2.5

    @pytest.mark.parametrize("seconds", ["soon", "0", "-1", "inf", "nan", ""])
    def test_seconds_that_are_none_are_refused(self, tmp_path: Path, seconds: str) -> None:
        path = tmp_path / "a.npz"
        save(ramp(50), path)
        with pytest.raises(ReplayError):
            parse_segment(f"{path}:{seconds}")

    def test_a_missing_file_is_named(self) -> None:
        with pytest.raises(RecordingError, match=r"nowhere\.npz"):
            parse_segment("nowhere.npz:3")
