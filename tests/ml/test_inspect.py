"""The picture of a recording: its panels are drawn, and the numbers beside them are right."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from typer.testing import CliRunner

from whir_contracts import recording
from whir_contracts.recording import Recording, RecordingFieldError
from whir_ml import inspect
from whir_ml.bearings import BEARINGS
from whir_ml.data_cli import app
from whir_ml.errors import MlError
from whir_node.velocity import Machine


def make(rpm: float = 1500.0, channels: tuple[str, ...] = ("x", "y", "z"), rate_hz: float = 2000.0, **facts: str) -> Recording:
    time = np.arange(4000) / rate_hz
    waves = np.column_stack([np.sin(2 * np.pi * 25 * (axis + 1) * time) for axis in range(len(channels))])
    waves += np.random.default_rng(1).normal(0, 0.05, waves.shape)
    return Recording(
        name="fan",
        samples=np.rint(waves * 2000).astype(np.int16),
        scale=np.full(len(channels), 1e-4, np.float32),
        offset=np.full(len(channels), 1.0, np.float32),
        rate_hz=rate_hz,
        channels=channels,
        label="imbalance",
        sublabel="imbalance_s2",
        rpm=rpm,
        **{"unit": "g", **facts},  # type: ignore[arg-type]
    )


def shown(pixels: np.ndarray, color: str) -> np.ndarray:
    """How often a picture shows a colour, by column of pixels (width,)."""
    wanted = np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    drawn: np.ndarray = (np.abs(pixels[:, :, :3] - wanted).max(axis=2) < 0.02).sum(axis=0)
    return drawn


@pytest.mark.parametrize(("rpm", "channels"), [(1500.0, ("x", "y")), (math.nan, ("drive_end",))])
def test_the_png_has_a_column_per_channel_and_orders_where_the_speed_is_known(
    tmp_path: Path, rpm: float, channels: tuple[str, ...]
) -> None:
    inspect.draw(make(rpm, channels), tmp_path / "fan.png")
    pixels = imread(tmp_path / "fan.png")
    rows = 4 if math.isnan(rpm) else 5
    assert pixels.shape[1] == pytest.approx(max(inspect.LEAST_INCHES, inspect.COLUMN_INCHES * len(channels)) * 110, abs=2)
    assert pixels.shape[0] == pytest.approx((1.2 + inspect.ROW_INCHES * rows) * 110, abs=2)
    # waveform above, envelope below, each channel in its own column and colour
    upper, lower = pixels[: len(pixels) // rows], pixels[-len(pixels) // rows :]
    for column in range(len(channels)):
        for part in (upper, lower):
            drawn = np.array_split(shown(part, inspect.TRACES[column]), len(channels))
            assert drawn[column].sum() > 50
            assert all(other.sum() == 0 for n, other in enumerate(drawn) if n != column)


def test_bearing_tones_are_drawn_where_they_are_known(tmp_path: Path) -> None:
    rec = make(channels=("x",), rate_hz=12000.0)
    seen = inspect.draw(rec, tmp_path / "tones.png", inspect.look(rec, bearing="6205", band_hz=(1000.0, 5000.0)))
    assert [tone.name for tone in seen.tones["x"]] == ["BPFO", "BPFI", "BSF", "FTF"]
    pixels = imread(tmp_path / "tones.png")
    assert all(shown(pixels, color).sum() > 20 for color in inspect.TONES.values())


def test_named_orders_stand_before_the_bearing_and_the_user_before_the_recording() -> None:
    rec = make(bearing="6205")
    assert inspect.look(rec).orders["BPFO"] == BEARINGS["6205"].bpfo
    how = inspect.look(rec, rpm=3000.0, bearing="6203", orders={"BPFO": 3.05})
    assert (how.orders["BPFO"], how.orders["BPFI"], how.rpm) == (3.05, BEARINGS["6203"].bpfi, 3000.0)
    assert inspect.look(make(math.nan, bearing="6205")).orders == {}
    assert inspect.look(make(bearing="NU 316")).orders == {}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"bearing": "6299"}, "6299: no such bearing; there are 6203"),
        ({"orders": {"BPFO": -1.0}}, "is a positive number of cycles"),
        ({"orders": {"BPFO": math.nan}}, "is a positive number of cycles"),
        ({"band_hz": (500.0, 1200.0)}, "500 to 1200 Hz is no band of a recording at 2000 Hz"),
        ({"band_hz": (500.0, 400.0)}, "is no band"),
    ],
)
def test_what_cannot_be_drawn_is_refused(said: dict[str, object], reason: str) -> None:
    with pytest.raises(MlError, match=reason):
        inspect.look(make(), **said)  # type: ignore[arg-type]


def test_tones_without_a_speed_are_refused() -> None:
    with pytest.raises(MlError, match="the speed is unknown, so the bearing's tones cannot be placed: give --rpm"):
        inspect.look(make(math.nan), bearing="6205")


def test_a_picture_of_another_kind_or_in_no_folder_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    for name in ("fan.jpgx", "fan"):
        with pytest.raises(MlError, match=rf"{name}: the name of a picture ends in \.png, \.svg or \.pdf"):
            inspect.draw(make(), tmp_path / name)
    with pytest.raises(MlError, match=r"nowhere/fan\.png: no such folder: .*nowhere$"):
        inspect.draw(make(), tmp_path / "nowhere" / "fan.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "head"), [("fan.svg", b"<?xml"), ("fan.PDF", b"%PDF")])
def test_the_ending_chooses_the_kind_of_picture(tmp_path: Path, name: str, head: bytes) -> None:
    inspect.draw(make(channels=("x",)), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(head)


@pytest.mark.parametrize(
    ("samples", "rate_hz", "field", "reason"),
    [
        (4000, 1.0, "fs", "1 Hz is too slow to inspect: 10 Hz or more"),
        (4000, 9.99, "fs", "9.99 Hz is too slow"),
        (3, 2000.0, "x", "3 samples are too few to inspect: 64 or more"),
        (63, 2000.0, "x", "63 samples are too few"),
    ],
)
def test_a_recording_in_which_nothing_can_be_seen_is_refused(samples: int, rate_hz: float, field: str, reason: str) -> None:
    rec = make(rate_hz=rate_hz)
    with pytest.raises(RecordingFieldError, match=f"fan: {field}: {reason}"):
        inspect.look(dataclasses.replace(rec, samples=rec.samples[:samples]))


def test_a_band_narrower_than_a_line_of_its_spectrum_is_refused(tmp_path: Path) -> None:
    rec = dataclasses.replace(make(), samples=make().samples[:64])
    with pytest.raises(MlError, match=r"the band is 1 Hz wide, lines of its spectrum 31\.25 Hz apart"):
        inspect.draw(rec, tmp_path / "fan.png", inspect.look(rec, band_hz=(100.0, 101.0)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("error")  # a layout that does not fit is a warning of Matplotlib's
def test_the_slowest_and_shortest_recording_is_drawn(tmp_path: Path) -> None:
    rec = make(rate_hz=inspect.LEAST_RATE_HZ)
    inspect.draw(dataclasses.replace(rec, samples=rec.samples[: inspect.LEAST_SAMPLES]), tmp_path / "fan.png")
    assert (tmp_path / "fan.png").stat().st_size > 10_000


def test_there_is_no_zone_and_every_reason_is_said() -> None:
    missing = "power, group and foundation of the machine are not stated"
    nothing = Machine()
    assert inspect.zone_reason(make(rate_hz=2500.0), nothing) == f"1.6 s is less than 1.8 s; {missing}"
    assert inspect.zone_reason(make(), nothing) == f"2000 Hz does not cover 10 to 1000 Hz (2500 Hz would); {missing}"
    assert inspect.zone_reason(make(unit="V", rate_hz=20000.0), nothing) == (
        f"the unit is V, no calibrated acceleration; 0.2 s is less than 1.8 s; {missing}"
    )


def test_a_recording_of_a_known_machine_gets_velocity_and_zone(tmp_path: Path) -> None:
    """5 mm/s RMS at 50 Hz on a 30 kW machine on a rigid foundation: over 4.5 mm/s, zone D."""
    t = np.arange(3 * 5000) / 5000
    wave = 0.005 * np.sqrt(2) * 2 * np.pi * 50 * np.cos(2 * np.pi * 50 * t) / 9.80665
    rec = dataclasses.replace(
        make(rate_hz=5000.0, channels=("x",)),
        samples=np.rint(wave / 1e-4).astype(np.int16)[:, None],
        scale=np.array([1e-4], np.float32),
        unit="g",
    )
    machine = Machine.stated(30, "group2", "rigid", calibrated=True)
    seen = inspect.draw(rec, tmp_path / "a.png", inspect.look(rec, machine=machine))
    assert (seen.zone, seen.zone_reason, seen.velocity_hz) == ("D", None, 1000)
    assert seen.velocity_m_s == {"x": pytest.approx(0.005, rel=0.01)}
    unsure = dataclasses.replace(machine, calibrated=False)
    assert inspect.zone_of(rec, None, unsure) == (None, "the unit is not stated to be calibrated")
    assert "no standard" in str(inspect.zone_of(rec, inspect.velocities(rec), dataclasses.replace(machine, power_w=900))[1])


def test_the_command_draws_and_tells_in_json(tmp_path: Path) -> None:
    recording.save(make(math.nan, ("x",), 12000.0), tmp_path / "fan.npz")
    arguments = ["inspect", str(tmp_path / "fan.npz"), "-o", str(tmp_path / "a.png"), "--rpm", "1500", "--bpfo", "3.05"]
    told = json.loads(CliRunner().invoke(app, [*arguments, "--band", "1000-3000", "--json"]).stdout)
    assert (tmp_path / "a.png").stat().st_size > 10_000
    assert told["picture"] == str(tmp_path / "a.png")
    assert told["bands_hz"] == {"x": [1000.0, 3000.0]}
    assert [(tone["name"], tone["hertz"]) for tone in told["tones"]["x"]] == [("BPFO", pytest.approx(76.25))]
    assert told["zone"] is None
    plain = CliRunner().invoke(app, arguments).stdout.splitlines()
    assert plain[1].startswith("zone: none: 0.333 s is less than 1.8 s; power")
    assert plain[2].startswith("x: BPFO 3.050 x = 76.2 Hz: ")
    bad = CliRunner().invoke(app, [*arguments, "--band", "wide"])
    assert bad.exit_code == 1
    assert bad.stderr == "error: --band: 'wide' is not two frequencies, as 2000-4000\n"
    for wrong in ("a.jpgx", "nowhere/a.png"):
        refused = CliRunner().invoke(app, ["inspect", str(tmp_path / "fan.npz"), "-o", str(tmp_path / wrong)])
        assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
        assert refused.stderr.startswith(f"error: {tmp_path / wrong}: ")
