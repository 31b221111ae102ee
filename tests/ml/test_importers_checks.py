"""Each check sees its own fault, at its place, and keeps quiet about sound recordings that look a little like it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from layouts import vibration, write_csv

from whir_contracts import recording
from whir_contracts.recording import DataFolderError
from whir_ml.importers import DataSet, Facts, Finding, ImportCheckError, checks, import_file
from whir_ml.importers.foreign import Foreign

RATE = 1000.0


def seen(values: np.ndarray, **facts: object) -> list[Finding]:
    names = ("x", "y", "z", "u", "v", "w")[: values.shape[1]]
    said = {"unit": "g", "rate_hz": RATE, **facts}
    return checks.run(Foreign(values, names, Facts()), Facts(**said), [])  # type: ignore[arg-type]


def names(found: list[Finding]) -> list[str]:
    return [one.check for one in found]


def counts(values: np.ndarray, step: float) -> np.ndarray:
    """As a sensor with this count would write them."""
    return np.rint(values / step) * step


@pytest.mark.parametrize("step", [0.0, 0.0005, 0.004])
def test_clipping_is_seen_on_its_axis_with_its_first_sample(step: float) -> None:
    time = np.arange(4000) / RATE
    values = vibration(4000, 3, rms=0.02)
    values[:, 1] += np.sin(2 * np.pi * 7 * time) * 2.6
    values[:, 1] = values[:, 1].clip(-2.0, 2.0)
    found = seen(counts(values, step) if step else values)
    assert names(found) == ["clipping", "clipping"]
    top = int(np.flatnonzero(values[:, 1] == 2.0)[0])
    assert found[0].place.startswith("y, sample ")
    assert abs(int(found[0].place.split()[-1]) - top) < 40  # the first plateau of three samples, not the first touch
    assert "plateaus at the top, 2" in found[0].text


@pytest.mark.parametrize("amplitude", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("frequency", [3, 25, 160])
def test_the_round_top_of_a_slow_sine_is_no_clipping(amplitude: float, frequency: int) -> None:
    time = np.arange(40000) / 20000.0
    sine = amplitude * np.sin(2 * np.pi * frequency * time + 0.3)
    assert names(seen(counts(sine[:, None], 0.000488), rate_hz=20000.0)) == []


def test_samples_at_the_full_scale_are_clipping_even_without_a_plateau() -> None:
    values = vibration(4000, 1, rms=0.7).clip(-2, 2)
    found = seen(values, full_scale=2.0)
    assert names(found) == ["clipping"]
    assert "at the full scale of 2" in found[0].text
    assert names(seen(values * 0.9, full_scale=4.0)) == []


def test_an_axis_that_sticks_is_seen_with_place_and_length() -> None:
    values = counts(vibration(4000, 3), 0.001)
    values[1000:1200, 2] = values[1000, 2]
    found = seen(values)
    assert names(found) == ["stuck_axis"]
    assert found[0].place == "z, sample 1000"
    assert found[0].text.startswith("200 samples of ")
    values[3900:, 0] = values[3900, 0]
    assert [one.place for one in seen(values)] == ["x, sample 3900", "z, sample 1000"]


def test_a_quiet_machine_in_coarse_counts_does_not_stick() -> None:
    assert names(seen(counts(vibration(20000, 3, rms=0.002), 0.004))) == []


def test_a_still_machine_that_is_knocked_now_and_then_does_not_stick() -> None:
    values = np.zeros((4000, 1))
    values[::50, 0] = counts(np.random.default_rng(3).normal(0, 0.1, 80), 0.001)
    assert names(seen(values)) == []


def test_an_axis_with_two_values_is_stuck() -> None:
    values = vibration(4000, 2)
    values[:, 0] = np.arange(4000) % 2
    assert [str(one) for one in seen(values)] == ["stuck_axis: x: only ever 0 or 1"]


@pytest.mark.parametrize(
    ("values", "check"),
    [(vibration(255, 3), "too_short"), (vibration(256, 3), None), (vibration(3, 3), "too_short")],
)
def test_less_than_a_window_is_too_short(values: np.ndarray, check: str | None) -> None:
    assert names(seen(values)) == ([check] if check else [])
    assert names(seen(values, rate_hz=20000.0)) == ["too_short"]


@pytest.mark.parametrize(
    ("gravity", "unit", "wrong"),
    [
        (1.0, "g", False),
        (9.81, "m/s^2", False),
        (9.81, "g", True),
        (1.0, "m/s^2", True),
        (0.5, "m/s^2", False),  # 0.05 g: as good as a sensor that does not hear gravity
        (1000.0, "g", True),
        (0.5, "g", True),
        (5.0, "m/s^2", True),
        (0.0, "g", False),
        (2.5, "V", False),
        (48.0, "V", True),
    ],
)
def test_gravity_must_fit_the_unit(gravity: float, unit: str, wrong: bool) -> None:
    values = vibration(4000, 3) + gravity * np.array([0.6, 0.0, -0.8])
    if unit == "V":
        values = vibration(4000, 3) + gravity
    assert names(seen(values, unit=unit)) == (["unit"] if wrong else [])


def test_values_beyond_the_range_or_any_machine_do_not_fit_the_unit() -> None:
    assert "beyond the full scale of 2 g" in seen(vibration(4000, 1) * [1] + 3.0, full_scale=2.0)[-1].text
    assert "beyond any machine" in seen(vibration(4000, 1, rms=60.0))[0].text
    assert names(seen(vibration(4000, 1, rms=60.0), unit="m/s^2")) == []


@pytest.mark.parametrize(
    ("gravity", "text"),
    [
        ((1, 0, 0), r"\+x"),
        ((0, 0, -1), r"-z"),
        ((0, 0.8, 0.6), r"\+y"),
        ((0, 0.1, 0.99), None),
    ],
)
def test_gravity_on_another_axis_than_the_mounting_s_other_recordings_is_a_swap(
    tmp_path: Path, gravity: tuple[float, float, float], text: str | None
) -> None:
    facts = Facts(label="normal", unit="m/s^2", rate_hz=RATE, mounting="magnet DE", machine="pump")
    data_set = DataSet(tmp_path / "set")
    for number in range(3):
        write_csv(tmp_path / f"{number}.csv", vibration(400, 3, seed=number) + np.array([0.0, 0.5, 9.8]), "x,y,z")
        data_set.add(import_file(tmp_path / f"{number}.csv", facts, data_set=data_set).recording, str(number))
    write_csv(tmp_path / "new.csv", vibration(400, 3) + 9.8 * np.array(gravity), "x,y,z")
    for known in (data_set, DataSet(tmp_path / "set")):  # in this run, and from what an earlier one wrote
        if text is None:
            import_file(tmp_path / "new.csv", facts, data_set=known)
            continue
        with pytest.raises(ImportCheckError, match=rf"swapped_axis: gravity on {text} .* on \+z .* in 3 other recordings"):
            import_file(tmp_path / "new.csv", facts, data_set=known)
    other = Facts(mounting="glued NDE").over(facts)
    assert import_file(tmp_path / "new.csv", other, data_set=data_set).accepted == ()


def test_all_findings_of_a_file_are_named(tmp_path: Path) -> None:
    values = vibration(100, 3) + np.array([0, 0, 9.8])
    values[:, 0] = np.arange(100) % 2
    write_csv(tmp_path / "a.csv", values)
    with pytest.raises(ImportCheckError, match=r"and 2 more: too_short, unit") as caught:
        import_file(tmp_path / "a.csv", Facts(label="normal", unit="g", rate_hz=RATE))
    assert names(list(caught.value.findings)) == ["stuck_axis", "too_short", "unit"]


@pytest.mark.parametrize("name", ["adi_cbm", "cwru_bearing_12k", "lsm6dsox_esp32c3_fan"])
def test_sound_real_recordings_raise_no_alarm(name: str) -> None:
    try:
        folder = recording.data_set(name)
    except DataFolderError as error:
        pytest.skip(f"no real recordings: {error}")
    for row in recording.read_index(folder)[::6]:
        assert import_file(folder / row.file, Facts()).accepted == ()
