"""Alerts by the core's decide stage: false ones are counted and bounded, and a delay counts from the stated onset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from whir_ml import alerting, synth
from whir_ml import config as configs
from whir_ml.alerting import in_service, on_recordings, upper95
from whir_ml.config import Config
from whir_ml.dataset import Examples
from whir_ml.errors import DatasetError
from whir_ml.synth import service

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
    assert found["upper95_per_week"] == pytest.approx(2.996 / 6 * 7 * 86400, rel=0.001)
    assert found["detection"]["cases"] == found["detection"]["found"] == found["detection"]["right_fault"] == 4
    assert 420 <= found["detection"]["delay_s"]["median"] <= found["detection"]["delay_s"]["max"] <= 600


def test_a_healthy_recording_taken_for_a_fault_is_a_false_alert(rig_config: Config, sides: Sides) -> None:
    healthy = next(rec.name for rec in sides[1].recordings if rec.label == "normal")
    found = on_recordings(rig_config, sides[1], sure(sides[1], **{healthy: 2}))
    assert found["alerts"] == [{"recording": healthy, "fault": "knock"}]
    assert found["false_per_week"] == pytest.approx(1 / 6 * 7 * 86400, rel=0.001)


def test_a_fault_called_healthy_is_missed_and_one_called_another_is_not_right(rig_config: Config, sides: Sides) -> None:
    found = on_recordings(rig_config, sides[1], sure(sides[1], hum0=0, hum3=2))["detection"]
    assert (found["found"], found["right_fault"], found["missed"]) == (3, 2, ["hum0"])


@pytest.fixture
def short_days(monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour of twelve looks, and two of them a day; one process, for a patch does not reach another."""
    monkeypatch.setattr(service, "HOURS", 2)
    monkeypatch.setattr(service, "LOOKS_PER_HOUR", 12)
    monkeypatch.setattr(service, "ONSET_LOOKS", 11)
    monkeypatch.setattr(alerting, "FAULTS", ("imbalance",))

    class Here:
        def __enter__(self) -> Here:
            return self

        def __exit__(self, *error: object) -> None: ...

        imap_unordered = staticmethod(map)

    monkeypatch.setattr(service.multiprocessing, "get_context", lambda kind: type("Here", (), {"Pool": lambda *_: Here()}))


def test_simulated_machines_in_service_are_judged_from_the_onset(tmp_path: Path, short_days: None) -> None:
    config = configs.load("synth12k-linear")
    imbalance = config.classes.index("imbalance")
    features: list[float] = []

    def by_level(x: np.ndarray[tuple[int, int], np.dtype[np.int32]]) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
        """Calls imbalance what is said after the two healthy hours, and keeps how strong the low orders were."""
        features.append(float(x[:, 5:14].max(axis=1).mean()))
        p = np.zeros((len(x), len(config.classes)), np.int64)
        p[:, imbalance if len(features) > 24 else 0] = 1000
        return p

    found = in_service(config, by_level, tmp_path, machines=1)
    assert (found["simulated"], found["hours"], found["machines"], found["alerts"]) == (True, 2, 1, [])
    assert found["detection"]["found"] == found["detection"]["right_fault"] == 1
    assert found["detection"]["delay_s"]["max"] == 480  # the eighth of ten minutes
    assert np.mean(features[24:]) > np.mean(features[:24])  # and the fault can be heard
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")}
    in_service(config, by_level, tmp_path, machines=1)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")} == kept


def test_a_model_of_a_real_rig_has_no_simulated_week(rig_config: Config, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="simulated week"):
        in_service(rig_config, lambda x: x, tmp_path)


def test_on_a_day_load_speed_and_temperature_drift_and_change_the_machine() -> None:
    of = service.day(synth.default_config(), 0)
    assert np.ptp(of.load) > 0.2
    assert 0.01 < np.ptp(of.speed_hz) / of.machine.speed_hz < 0.1
    assert np.ptp(of.temperature_c) > 10
    cold, warm = (service.at(of, int(look)) for look in (of.temperature_c.argmin(), of.temperature_c.argmax()))
    assert warm.modes[0][0].freq_hz < cold.modes[0][0].freq_hz
    assert warm.rumble_mg < cold.rumble_mg
    assert of.machine == service.day(synth.default_config(), 0).machine


def test_the_baseline_makes_what_it_has_not_heard_unknown(rig_config: Config, sides: Sides) -> None:
    machine = alerting._Machine(rig_config, lambda x: np.tile([1000, 0, 0], (len(x), 1)))
    healthy = np.array_split(np.tile(sides[0].features[sides[0].target == 0], (4, 1)), 11)
    strange = [x + 8000 for x in healthy]
    assert machine.hour(healthy) == []
    alerts = machine.hour(strange)
    assert [alert.name for alert in alerts] == ["unknown"]
    assert machine.nearest("unknown") == 1.0 and machine.nearest("hum") == 0.0
