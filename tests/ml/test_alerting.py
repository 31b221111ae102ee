"""Alerts by the core's decide stage: false ones are counted and bounded, and a delay counts from the stated onset."""

from __future__ import annotations

import numpy as np
import pytest

from whir_ml.alerting import on_recordings, upper95
from whir_ml.config import Config
from whir_ml.dataset import Examples

Sides = tuple[Examples, Examples]


def sure(examples: Examples, **instead: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Permille of a model that is right about every window, but for the recordings named."""
    said = examples.target.copy()
    for number, rec in enumerate(examples.recordings):
        if rec.name in instead:
            said[examples.recording == number] = instead[rec.name]
    return 1000 * np.eye(3, dtype=np.int64)[said]


def test_the_bound_of_nothing_seen_is_three() -> None:
    assert upper95(0) == pytest.approx(2.996, abs=0.001)
    assert upper95(3) == pytest.approx(7.754, abs=0.001)


def test_a_model_that_is_right_tells_every_fault_after_the_profiles_ten_minutes(rig_config: Config, sides: Sides) -> None:
    found = on_recordings(rig_config, sides[1], sure(sides[1]))
    assert (found["simulated"], found["healthy_recordings"], found["healthy_seconds"]) == (False, 2, 6.0)
    assert found["alerts"] == [] and found["false_per_week"] == 0
    assert found["upper95_per_week"] == pytest.approx(2.996 / 6 * 7 * 86400, rel=0.01)
    assert found["detection"]["cases"] == found["detection"]["found"] == found["detection"]["right_fault"] == 4
    assert 420 <= found["detection"]["delay_s"]["median"] <= found["detection"]["delay_s"]["max"] <= 600


def test_a_healthy_recording_taken_for_a_fault_is_a_false_alert(rig_config: Config, sides: Sides) -> None:
    healthy = next(rec.name for rec in sides[1].recordings if rec.label == "normal")
    found = on_recordings(rig_config, sides[1], sure(sides[1], **{healthy: 2}))
    assert found["alerts"] == [{"recording": healthy, "fault": "knock"}]
    assert found["false_per_week"] == pytest.approx(1 / 6 * 7 * 86400, rel=0.01)


def test_a_fault_called_healthy_is_missed_and_one_called_another_is_not_right(rig_config: Config, sides: Sides) -> None:
    found = on_recordings(rig_config, sides[1], sure(sides[1], hum0=0, hum3=2))["detection"]
    assert (found["found"], found["right_fault"], found["missed"]) == (3, 2, ["hum0"])
