"""The simulator: its physics seen in spectra, its sensor against the data sheet, its sets by seed, split and difficulty."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import hilbert
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from whir_contracts import recording
from whir_contracts.recording import Recording
from whir_ml import synth
from whir_ml.synth import benchmark
from whir_ml.synth.machine import Mode, Surroundings
from whir_ml.synth.sensor import alias_response, measure

CONFIG = synth.default_config()
RAW = dataclasses.replace(synth.SENSORS["iis3dwb"], rate_hz=25600.0)
SPEED_HZ = 25.0


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def machine(seed: int = 1, **changes: Any) -> synth.Machine:
    """A quiet machine with its sensor straight, so that one axis shows one thing."""
    drawn = synth.draw_machine(
        rng(seed), SPEED_HZ, 0.7, synth.BEARINGS["6205"], 0.0, (0.1, 0.2), Surroundings(0.0, 0.0, 0.0, 0.0)
    )
    quiet = {"tilt_deg": (0.0, 0.0), "eccentricity_um": 0.1, "misalignment_mg": 0.1, "line_mg": 0.0, "blade_mg": 0.0}
    return dataclasses.replace(drawn, **{**quiet, **changes})


def record(
    fault: str, severity: int = 3, sensor: synth.Sensor = CONFIG.sensor, seconds: float = 4.0, **changes: Any
) -> Recording:
    return synth.simulate(machine(**changes), fault, severity, seconds, sensor, rng(2), CONFIG.levels)


def line(values: NDArray[np.float64], rate_hz: float, freq_hz: float, width: float = 0.02) -> NDArray[np.float64]:
    """RMS around a frequency, per channel, in the values' unit; speed wanders by a few tenths of a percent."""
    window = np.hanning(len(values))[:, None]
    power = np.abs(np.fft.rfft((values - values.mean(axis=0)) * window, axis=0)) ** 2
    freq = np.fft.rfftfreq(len(values), 1 / rate_hz)
    near = np.abs(freq - freq_hz) <= max(width * freq_hz, 3 / (len(values) / rate_hz))
    result: NDArray[np.float64] = np.sqrt(2 * power[near].sum(axis=0) / (window**2).sum() / len(values))
    return result


def envelope_spectrum(
    rec: Recording, low_hz: float = 2000.0, high_hz: float = 6000.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies and amplitude spectrum of the vertical axis' envelope in the band of the housing's resonances."""
    values = rec.physical()[:, 1]
    spectrum = np.fft.rfft(values)
    freq = np.fft.rfftfreq(len(values), 1 / rec.rate_hz)
    spectrum[(freq < low_hz) | (freq > high_hz)] = 0
    envelope = np.abs(hilbert(np.fft.irfft(spectrum, len(values))))
    return freq, np.abs(np.fft.rfft((envelope - envelope.mean()) * np.hanning(len(envelope))))


def test_imbalance_is_radial_at_once_per_turn_and_grows_with_speed_squared() -> None:
    flat = tuple(tuple(dataclasses.replace(mode, gain=1e-9) for mode in modes[1:]) for modes in machine().modes)
    rigid = tuple((Mode(0.01, 0.1, 1.0), *modes) for modes in flat)
    levels = []
    for speed_hz in (20.0, 40.0):
        rec = record("imbalance", speed_hz=speed_hz, modes=rigid)
        once = line(rec.physical(), rec.rate_hz, speed_hz)
        assert once[0] > 5 * once[2]
        assert once[1] > 5 * once[2]
        assert once[0] > 10 * line(rec.physical(), rec.rate_hz, 2 * speed_hz)[0]
        levels.append(once[:2])
    assert levels[1] / levels[0] == pytest.approx(4.0, rel=0.03)


def test_imbalance_has_the_size_that_its_eccentricity_gives() -> None:
    modes = ((Mode(0.01, 0.1, 1.0),),) * 3
    rec = record("imbalance", severity=2, modes=modes)
    expected_g = CONFIG.levels.eccentricity_um[1] * 1e-6 * (2 * np.pi * SPEED_HZ) ** 2 / 9.80665 / np.sqrt(2)
    assert line(rec.physical(), rec.rate_hz, SPEED_HZ)[0] == pytest.approx(expected_g, rel=0.17)  # drawn within 15 %


@pytest.mark.parametrize(("fault", "axis"), [("misalignment_parallel", 0), ("misalignment_angular", 2)])
def test_misalignment_shows_at_once_twice_and_three_times_the_speed_with_an_axial_part(fault: str, axis: int) -> None:
    rec, healthy = record(fault), record("normal")
    lines = np.array([line(rec.physical(), rec.rate_hz, order * SPEED_HZ) for order in (1, 2, 3)])
    quiet = np.array([line(healthy.physical(), rec.rate_hz, order * SPEED_HZ) for order in (1, 2, 3)])
    assert (lines > 4 * quiet).all()
    axial = np.linalg.norm(lines[:, 2])
    assert axial > 0.25 * np.linalg.norm(lines[:, :2])
    if axis == 0:
        assert lines[1, 0] > 1.2 * lines[0, 0]  # an offset works twice a turn
    else:
        assert axial > np.linalg.norm(lines[:, 0])


def test_misalignment_grows_with_load() -> None:
    idle, rated = (line(record("misalignment_parallel", load=load).physical(), 1000.0, 2 * SPEED_HZ)[0] for load in (0.0, 1.0))
    assert rated / idle == pytest.approx(2.0, rel=0.1)


@pytest.mark.parametrize(("fault", "order"), [("bearing_outer", "bpfo"), ("bearing_inner", "bpfi"), ("bearing_ball", "bsf")])
def test_a_bearing_defect_strikes_at_its_geometrys_frequency_within_slip(fault: str, order: str) -> None:
    rec = record(fault, severity=4, sensor=RAW)
    freq, envelope = envelope_spectrum(rec)
    nominal = getattr(machine().bearing, order) * SPEED_HZ * (2 if order == "bsf" else 1)
    near = (freq > 0.93 * nominal) & (freq < 1.07 * nominal)
    peak = freq[near][envelope[near].argmax()]
    assert 0.975 * nominal < peak < 1.005 * nominal  # slip lowers it by up to 1 %, the course of speed by some tenths
    between = (freq > 1.1 * nominal) & (freq < 1.4 * nominal)
    assert envelope[near].max() > 5 * np.median(envelope[between])


@pytest.mark.parametrize(("fault", "order", "carrier"), [("bearing_inner", 1.0, "bpfi"), ("bearing_ball", 0.3983, "bsf")])
def test_the_load_zone_puts_sidebands_around_the_strikes(fault: str, order: float, carrier: str) -> None:
    """The inner race passes the load zone once a turn, a ball once per turn of the cage."""
    rec = record(fault, severity=4, sensor=RAW)
    freq, envelope = envelope_spectrum(rec)
    strikes = getattr(machine().bearing, carrier) * SPEED_HZ * (2 if carrier == "bsf" else 1)

    def height(at_hz: float) -> float:
        return float(envelope[np.abs(freq - at_hz) < 0.012 * strikes].max())

    between = float(np.median(envelope[(freq > 1.1 * strikes) & (freq < 1.4 * strikes)]))
    assert height(order * SPEED_HZ) > 5 * between  # the modulation itself
    assert height(strikes - order * SPEED_HZ) > 2.5 * between
    assert height(strikes + order * SPEED_HZ) > 2.5 * between


def test_a_bearing_rings_at_two_to_eight_kilohertz_and_is_far_quieter_below_500_hertz() -> None:
    faulty, healthy = (record(fault, 4, RAW).physical()[:, 1] for fault in ("bearing_outer", "normal"))
    freq = np.fft.rfftfreq(len(faulty), 1 / 25600.0)
    power = np.abs(np.fft.rfft(faulty - faulty.mean())) ** 2
    quiet = np.abs(np.fft.rfft(healthy - healthy.mean())) ** 2
    high, low = (freq > 2000) & (freq < 8000), (freq > 50) & (freq < 500)
    assert power[high].sum() > 0.7 * power.sum()
    assert power[high].sum() > 20 * power[low].sum()
    assert power[low].sum() > 10 * quiet[low].sum()  # yet it can be heard there


def test_looseness_has_half_orders_and_a_bent_shaft_pushes_along_the_axis() -> None:
    loose, bent = record("looseness"), record("bent_shaft")
    assert loose.label == "looseness"
    vertical = [line(loose.physical(), 1000.0, order * SPEED_HZ, 0.01)[1] for order in (0.5, 1, 1.5, 2, 2.5)]
    assert min(vertical) > 0.03 * max(vertical)
    once = line(bent.physical(), 1000.0, SPEED_HZ)
    assert once[2] > 0.5 * once[0]


def test_severity_orders_every_fault() -> None:
    for fault in (fault for fault in synth.LABELS if fault != "normal"):
        rms = [record(fault, severity, seconds=1.5).physical().std(axis=0).max() for severity in (1, 2, 3, 4)]
        assert rms == sorted(rms), fault


def test_gravity_and_the_mounting_angle_turn_together() -> None:
    for angle in (0.0, 30.0, -60.0):
        mean = record("normal", mount_deg=angle).physical().mean(axis=0)
        radians = np.deg2rad(angle)
        assert mean == pytest.approx([-np.sin(radians), -np.cos(radians), 0.0], abs=2e-3)
        assert np.linalg.norm(mean) == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize("name", list(synth.SENSORS))
def test_noise_has_the_density_of_the_data_sheet(name: str) -> None:
    sensor = synth.SENSORS[name]
    seconds, count = 10.0, 10 * 25600
    silence = np.zeros((3, count // 2 + 1), dtype=np.complex128)
    values = measure(silence, seconds, count, sensor, np.zeros(3), rng(3)) * (sensor.lsb_mg * 1e-3)
    size = 1 << int(np.log2(sensor.rate_hz))
    blocks = values[: len(values) // size * size].reshape(-1, size, 3) * np.hanning(size)[:, None]
    density = np.mean(np.abs(np.fft.rfft(blocks, axis=1)) ** 2, axis=0) * 2 / (sensor.rate_hz * (np.hanning(size) ** 2).sum())
    freq = np.fft.rfftfreq(size, 1 / sensor.rate_hz)
    flat = (freq > 5) & (freq < 0.35 * sensor.rate_hz)
    quantization = (sensor.lsb_mg * 1e-3) ** 2 / 12 / (sensor.rate_hz / 2)
    expected = (sensor.noise_ug_rthz * 1e-6) ** 2 + quantization
    assert density[flat].mean(axis=0) == pytest.approx(np.full(3, expected), rel=0.05)


def test_a_sensor_clips_at_its_range_and_says_no_more() -> None:
    sensor = dataclasses.replace(RAW, noise_ug_rthz=0.0)
    seconds, count = 1.0, 25600
    spectrum = np.zeros((3, count // 2 + 1), dtype=np.complex128)
    spectrum[0, 50] = count / 2 * 40.0  # a sine of 40 g
    spectrum[1, 50] = count / 2 * 8.0
    samples = measure(spectrum, seconds, count, sensor, np.zeros(3), rng())
    assert samples.max() == sensor.full_scale == 32767  # 15.99 g; 16 bits end a little before the element does
    assert samples.min() == -sensor.full_scale
    clipped = (np.abs(samples) == sensor.full_scale).mean(axis=0)
    assert clipped[0] == pytest.approx(1 - 2 / np.pi * np.arcsin(16 / 40), abs=0.01)
    assert clipped[1] == 0
    assert samples[:, 1].max() * 0.488e-3 == pytest.approx(8.0, rel=1e-3)


@pytest.mark.parametrize(("freq_hz", "seen_hz"), [(100, 100), (380, 380), (560, 440), (1040, 40)])
def test_what_the_anti_alias_filter_leaves_over_folds_to_where_theory_puts_it(freq_hz: int, seen_hz: int) -> None:
    sensor = dataclasses.replace(RAW, noise_ug_rthz=0.0, bandwidth_hz=1e6, rate_hz=1000.0, lsb_mg=0.05, range_g=1000.0)
    seconds, count = 2.0, 2 * 25600
    spectrum = np.zeros((3, count // 2 + 1), dtype=np.complex128)
    spectrum[:, round(freq_hz * seconds)] = count / 2 * 1.0
    got = np.abs(np.fft.rfft(measure(spectrum, seconds, count, sensor, np.zeros(3), rng())[:, 0])) / 1000 * 5e-5
    expected = alias_response(np.array([float(freq_hz)]), 1000.0)[0]
    assert got[round(seen_hz * seconds)] == pytest.approx(expected, abs=2e-5)
    assert np.delete(got, round(seen_hz * seconds)).max() < 2e-5
    if freq_hz <= 380:
        assert expected > 0.99
    if freq_hz >= 600:
        assert expected < 1e-3


def test_the_filter_passes_to_four_tenths_of_the_rate_and_stops_from_six_tenths() -> None:
    response = alias_response(np.array([0.0, 400.0, 600.0, 2000.0]), 1000.0)
    assert response[1] > 0.97
    assert 20 * np.log10(response[2]) < -59.5
    assert (np.diff(response) < 0).all()


def small(recordings_per_class: int = 4, **changes: Any) -> synth.SynthConfig:
    parts = {name: dataclasses.replace(part, recordings_per_class=recordings_per_class) for name, part in CONFIG.parts.items()}
    return dataclasses.replace(CONFIG, parts=parts, windows=4, **changes)


def test_the_same_seed_gives_the_same_bytes_whatever_the_number_of_processes(tmp_path: Path) -> None:
    for folder, jobs, seed in (("a", 1, 5), ("b", 2, 5), ("c", 1, 6)):
        synth.write(small(2), tmp_path / folder, seed, jobs)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert len(files) == 2 * 2 * 4 + 1
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file
        if file.suffix == ".npz":
            assert (tmp_path / "a" / file).read_bytes() != (tmp_path / "c" / file).read_bytes(), file


def test_the_frozen_set_has_not_moved() -> None:
    """One recording of each class. Whoever changes this digest publishes another benchmark: new name, new figures."""
    digest = hashlib.sha256()
    for rec in itertools.islice(synth.generate(CONFIG, jobs=1), 4):
        digest.update(rec.samples.tobytes())
    assert digest.hexdigest() == "ac5d81aec47947ac5484377d4f58ee97a6dbd425f5186df5d8ad54bff3c30c53"


def test_a_written_set_is_a_valid_folder_that_states_its_split(tmp_path: Path) -> None:
    assert synth.write(small(8), tmp_path, 7, 1) == 64
    recs = list(recording.load_folder(tmp_path))
    assert {rec.condition for rec in recs} == {"train", "test"}
    for part in ("train", "test"):
        counts = {label: sum(rec.label == label for rec in recs if rec.condition == part) for label in CONFIG.classes}
        assert counts == dict.fromkeys(CONFIG.classes, 8)
    assert {rec.sublabel for rec in recs if rec.label == "imbalance"} == {f"imbalance_s{severity}" for severity in (1, 2, 3, 4)}
    assert all(rec.unit == "g" and rec.rate_hz == 1000 and rec.samples.shape == (4 * 256, 3) for rec in recs)


def test_train_and_test_share_no_speed_load_mounting_or_bearing() -> None:
    train, test = CONFIG.parts["train"], CONFIG.parts["test"]
    assert not set(train.bearings) & set(test.bearings)
    orders = [{round(synth.BEARINGS[name].bpfo, 3) for name in part.bearings} for part in (train, test)]
    assert not orders[0] & orders[1]
    for field in ("speed_rpm", "load", "mount_deg"):
        ranges = sorted((low, high, part) for part in (0, 1) for low, high in getattr((train, test)[part], field))
        for (_, high, _), (low, _, _) in itertools.pairwise(ranges):
            assert high < low, field


def test_drawn_machines_stay_within_their_part() -> None:
    random = rng(9)
    for name, part in CONFIG.parts.items():
        for _ in range(50):
            drawn = synth.draw(CONFIG, name, random)
            assert drawn.bearing.name in part.bearings
            for value, ranges in (
                (drawn.speed_hz * 60, part.speed_rpm),
                (drawn.load, part.load),
                (drawn.mount_deg, part.mount_deg),
            ):
                assert any(low <= value <= high for low, high in ranges)


def test_the_published_set_has_the_size_that_it_is_known_for() -> None:
    assert CONFIG.recordings >= 400
    assert CONFIG.recordings * CONFIG.windows == 12_000
    assert CONFIG.window_samples == 256
    assert CONFIG.sensor.rate_hz == 1000
    assert tuple(CONFIG.classes) == ("normal", "imbalance", "misalignment", "bearing")
    taught = {fault for faults in CONFIG.classes.values() for fault in faults}
    assert set(synth.LABELS) - taught == {"looseness", "bent_shaft"}


def test_the_bearings_have_the_published_orders() -> None:
    for name, bpfo, bpfi, ftf, strikes in (("6205", 3.5848, 5.4152, 0.39828, 4.7135), ("6203", 3.0530, 4.9469, 0.3817, 3.9874)):
        bearing = synth.BEARINGS[name]  # Case Western Reserve University's table
        assert (bearing.bpfo, bearing.bpfi, bearing.ftf) == pytest.approx((bpfo, bpfi, ftf), abs=1e-3)
        assert 2 * bearing.bsf == pytest.approx(strikes, abs=1e-2)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('sensor = "iis3dwb"', 'sensor = "ear"', "no 'ear'"),
        ("[levels]", "[heights]", "levels: missing"),
        ('"6206"', '"9999"', "no '9999'"),
        ('["imbalance"]', '["rust"]', "no fault 'rust'"),
        ("bow_um = [", "bow_um = [1.0, ", "5 severities, not 4"),
        ("bow_um = ", "bow_mm = ", "unexpected keyword argument 'bow_mm'"),
        ("knock_mm_s = ", "knock = ", "unexpected keyword argument 'knock'"),
        ("recordings_per_class = 80", "recordings_per_class = 80\nload = 3", "Cannot overwrite a value"),
        ("load = [[0.15, 0.35], [0.5, 0.65], [0.85, 1.0]]", "load = 3", "of another kind"),
        ("seed = 2026", "seed =", "Invalid value"),
    ],
)
def test_a_wrong_configuration_is_refused_with_file_and_key(tmp_path: Path, old: str, new: str, reason: str) -> None:
    text = (Path(synth.__file__).parent / "synth12k.toml").read_text()
    assert old in text
    (tmp_path / "set.toml").write_text(text.replace(old, new))
    with pytest.raises(synth.SynthConfigError, match=f"set.toml: .*{reason}"):
        synth.load_config(tmp_path / "set.toml")


def test_what_cannot_be_simulated_is_refused() -> None:
    with pytest.raises(ValueError, match="no fault 'rust'"):
        record("rust")
    with pytest.raises(ValueError, match="severity 5"):
        record("imbalance", 5)
    with pytest.raises(ValueError, match="output rate"):
        record("normal", sensor=dataclasses.replace(RAW, rate_hz=26667.0))


def log_bands(rec: Recording) -> NDArray[np.float64]:
    """64 log bands per axis of each window, mean removed, Hann: what the real sets' reference figures use."""
    count = len(rec.samples) // 256
    windows = rec.samples[: count * 256].reshape(count, 256, 3).astype(np.float64)
    windows -= windows.mean(axis=1, keepdims=True)
    power = np.abs(np.fft.rfft(windows * np.hanning(256)[:, None], axis=1)[:, 1:]) ** 2
    bands = np.log(power.reshape(count, 64, 2, 3).mean(axis=2) + 1e-3)
    return bands.transpose(0, 2, 1).reshape(count, 192)


def window_accuracy(recs: list[Recording]) -> dict[str, float]:
    """Accuracy per window of the linear rivals on the test part."""
    features = {part: np.concatenate([log_bands(rec) for rec in recs if rec.condition == part]) for part in ("train", "test")}
    labels = {
        part: np.concatenate([[rec.label] * (len(rec.samples) // 256) for rec in recs if rec.condition == part])
        for part in ("train", "test")
    }
    rivals = {"lr": LogisticRegression(C=0.1, max_iter=1000), "lda": LinearDiscriminantAnalysis()}
    return {
        name: float(
            make_pipeline(StandardScaler(), rival)
            .fit(features["train"], labels["train"])
            .score(features["test"], labels["test"])
        )
        for name, rival in rivals.items()
    }


def test_a_small_set_is_neither_trivial_nor_noise() -> None:
    """A tenth of the set, on a seed of its own; the whole one is in the long tests."""
    parts = {
        "train": dataclasses.replace(CONFIG.parts["train"], recordings_per_class=12),
        "test": dataclasses.replace(CONFIG.parts["test"], recordings_per_class=12),
    }
    accuracy = window_accuracy(list(synth.generate(dataclasses.replace(CONFIG, parts=parts, windows=12), 31, 1)))
    for name, value in accuracy.items():
        assert 0.5 < value <= 0.97, name


def test_the_published_set_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "default_config", lambda: small(1))
    with monkeypatch.context() as cut:
        saved: list[Path] = []

        def save_three(rec: Recording, path: Path) -> None:
            if len(saved) == 3:
                raise KeyboardInterrupt
            saved.append(path)
            recording.save(rec, path)

        cut.setattr(benchmark, "save", save_three)
        with pytest.raises(KeyboardInterrupt):
            synth.synth12k(tmp_path / "set", jobs=1)
    assert list(tmp_path.iterdir()) == []
    assert synth.synth12k(tmp_path / "set", jobs=1) == tmp_path / "set"
    stamp = (tmp_path / "set" / "recordings.csv").stat().st_mtime_ns
    synth.synth12k(tmp_path / "set", jobs=1)
    assert (tmp_path / "set" / "recordings.csv").stat().st_mtime_ns == stamp
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_the_published_set_is_not_trivial_for_linear_rivals(tmp_path: Path) -> None:
    recs = list(recording.load_folder(synth.synth12k(tmp_path / "synth12k")))
    for name, value in window_accuracy(recs).items():
        assert 0.85 < value <= 0.97, name
