"""Recordings of our own, taken over from one data set into another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from layouts import vibration, write_csv

from whir_contracts import recording
from whir_ml.importers import DataSet, Facts, ImportFactError, find_files, import_file


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    write_csv(tmp_path / "pump.csv", vibration(400, 3), "x,y,z")
    facts = Facts(label="normal", unit="g", rate_hz=1000.0, rpm=1480.0, mounting="magnet", sensor="LIS3DH", full_scale=4.0)
    rec = import_file(tmp_path / "pump.csv", facts).recording
    return DataSet(tmp_path / "set").add(rec, "pump.csv")


def test_counts_and_facts_stay_as_they_are(npz: Path) -> None:
    first, second = recording.load(npz), import_file(npz, Facts()).recording
    assert np.array_equal(first.samples, second.samples)
    assert np.array_equal(first.scale, second.scale)
    assert np.array_equal(first.offset, second.offset)
    for name in ("label", "unit", "rate_hz", "rpm", "mounting", "sensor_name", "full_scale", "channels"):
        assert getattr(first, name) == getattr(second, name), name


def test_a_data_set_is_taken_over_under_the_same_names(npz: Path, tmp_path: Path) -> None:
    root = npz.parents[1]
    assert find_files(root).files == [npz]
    assert import_file(npz, Facts(), root=root).recording.name == "pump"


def test_facts_can_be_added_but_not_against_the_file(npz: Path) -> None:
    assert import_file(npz, Facts(label="bearing", bearing="6205")).recording.bearing == "6205"
    with pytest.raises(ImportFactError, match=r"unit: m/s\^2 is said, the file says g"):
        import_file(npz, Facts(unit="m/s^2"))
    with pytest.raises(ImportFactError, match="rate_hz: 500 Hz is said"):
        import_file(npz, Facts(rate_hz=500.0))
    with pytest.raises(ImportFactError, match="a recording is taken over whole"):
        import_file(npz, Facts(columns=("x",)))
