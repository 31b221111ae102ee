"""The page's simulator against the Python one: where both draw the middle of every range, lines and bands must agree."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import welch

from whir_ml.synth import benchmark
from whir_ml.synth.machine import Surroundings
from whir_ml.synth.simulate import simulate
from whir_tools.web import build, facts

SECONDS = 10.0
QUIET = Surroundings(knocks_per_s=0.0, knock_mm_s=1.0, sways_per_s=0.0, sway_mg=1.0)
LEVELS = benchmark.default_config().levels
HEALTHY = {
    "speed_rpm": 1500, "load": 0.6, "imbalance_um": 0, "misalignment_mg": 0, "outer_mm_s": 0, "inner_mm_s": 0, "ball_mm_s": 0,
    "looseness_mg": 0, "noise_ug_rthz": facts.SENSOR.noise_ug_rthz, "mount_deg": 0,
}  # fmt: skip
# Bounds in dB: lines of the shaft, which are sines; bands, whose noise and impacts are random within 10 s.
LINE_DB = 0.5
BAND_DB = 2.5
BANDS_HZ = ((30, 48), (110, 190), (210, 290), (310, 400), (400, 500))
RUN = """
import synth from "@built/synth.json";
import { Simulator } from "%s/src/simulator";
const { controls, seconds } = JSON.parse(process.argv[2]);
const simulator = new Simulator(synth, controls, 1);
simulator.fill(new Int16Array(3 * 2 * 3332)); // until everything has settled
const out = new Int16Array(3 * Math.round(seconds * synth.sensor.rate_hz));
simulator.fill(out);
process.stdout.write(Buffer.from(out.buffer));
"""


class Middle(np.random.Generator):
    """Draws the middle of every range, and the first of every choice; noise stays noise."""

    def choice(self, a: Any, *args: Any, **kwargs: Any) -> Any:
        """The first: parallel, for the misalignment that every machine has."""
        return a[0]

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
        return (low + high) / 2


def bundled(folder: Path, synth: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "synth.json").write_text(json.dumps(synth))
    (folder / "run.ts").write_text(RUN % build.PAGE)
    build.bundle_script(folder / "run.ts", folder / "run.js", folder)
    return folder / "run.js"


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's simulator for node, without knocks and sways."""
    around = {"knocks_per_s": 0.0, "knock_mm_s": 1.0, "sways_per_s": 0.0, "sway_mg": 1.0}
    return bundled(tmp_path_factory.mktemp("simulator"), facts.synth() | {"surroundings": around})


@cache
def floor(script: Path) -> NDArray[np.int16]:
    """The healthy machine."""
    return page_counts(script, {})


def page_counts(script: Path, controls: dict[str, float], seconds: float = SECONDS) -> NDArray[np.int16]:
    asked = json.dumps({"controls": HEALTHY | controls, "seconds": seconds})
    done = subprocess.run(["node", script, asked], capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.int16).reshape(-1, 3)


def power(samples: NDArray[np.int16]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return welch(samples * (facts.SENSOR.lsb_mg * 1e-3), facts.SENSOR.rate_hz, nperseg=4096, axis=0)  # type: ignore[no-any-return]


def level_db(samples: NDArray[np.int16], low_hz: float, high_hz: float) -> NDArray[np.float64]:
    """dB of g² in a band, per axis."""
    freq, density = power(samples)
    return np.asarray(10 * np.log10(density[(freq >= low_hz) & (freq <= high_hz)].sum(axis=0) * freq[1]))


def line_db(samples: NDArray[np.int16], at_hz: float) -> NDArray[np.float64]:
    return level_db(samples, at_hz - 3, at_hz + 3)


@pytest.mark.parametrize(
    ("fault", "severity", "controls", "machine", "orders"),
    [
        ("imbalance", 2, {"imbalance_um": LEVELS.eccentricity_um[1]}, {}, (1,)),
        (
            "imbalance",
            4,
            {"imbalance_um": LEVELS.eccentricity_um[3], "speed_rpm": 2400, "mount_deg": 40},
            {"speed_hz": 40.0, "mount_deg": 40.0},
            (1,),
        ),
        ("misalignment_parallel", 3, {"misalignment_mg": LEVELS.misalignment_mg[2], "load": 1.0}, {"load": 1.0}, (1, 2, 3)),
        ("looseness", 3, {"looseness_mg": LEVELS.looseness_mg[2]}, {}, (0.5, 1, 1.5, 2)),
    ],
)
def test_lines_of_the_shaft_are_those_of_the_python_simulator(
    quiet: Path, fault: str, severity: int, controls: dict[str, float], machine: dict[str, float], orders: tuple[float, ...]
) -> None:
    made = replace(facts.machine(), surroundings=QUIET, **machine)
    wanted = simulate(made, fault, severity, SECONDS, facts.SENSOR, Middle(np.random.PCG64(3)), LEVELS).samples
    got = page_counts(quiet, controls)
    for order in orders:
        at = order * made.speed_hz
        clear = line_db(wanted, at) > line_db(floor(quiet), at) + 25  # an axis that a fault hardly moves shows noise
        assert clear.any()
        assert np.abs(line_db(got, at) - line_db(wanted, at))[clear].max() < LINE_DB, f"order {order}"


@pytest.mark.parametrize(
    ("fault", "controls"),
    [
        ("normal", {}),
        ("bearing_outer", {"outer_mm_s": LEVELS.impact_mm_s[1]}),
        ("bearing_inner", {"inner_mm_s": LEVELS.impact_mm_s[1]}),
        ("bearing_ball", {"ball_mm_s": LEVELS.impact_mm_s[1]}),
    ],
)
def test_bands_are_those_of_the_python_simulator(quiet: Path, fault: str, controls: dict[str, float]) -> None:
    made = replace(facts.machine(), surroundings=QUIET)
    wanted = simulate(made, fault, 2, SECONDS, facts.SENSOR, Middle(np.random.PCG64(3)), LEVELS).samples
    got = page_counts(quiet, controls)
    for low, high in BANDS_HZ:
        assert np.abs(level_db(got, low, high) - level_db(wanted, low, high)).max() < BAND_DB, (low, high)
    np.testing.assert_allclose(got.mean(axis=0), wanted.mean(axis=0), atol=3)  # gravity


def test_bearing_strikes_at_its_frequencies(quiet: Path) -> None:
    bearing = facts.synth()["bearing"]
    for control, order in (("outer_mm_s", bearing["bpfo"]), ("inner_mm_s", bearing["bpfi"]), ("ball_mm_s", 2 * bearing["bsf"])):
        samples = page_counts(quiet, {control: LEVELS.impact_mm_s[1]})
        rung = np.abs(samples[:, 1] - samples[:, 1].mean())  # impacts ring the frame; how loud it rings repeats with them
        freq, density = welch(rung - rung.mean(), facts.SENSOR.rate_hz, nperseg=8192)
        near = (freq > 0.94 * order * 25) & (freq < 1.04 * order * 25)  # between the sidebands
        loudest = float(freq[near][density[near].argmax()])
        # slip makes the order half a percent low, the load bends the speed
        assert abs(loudest / (order * 25) - 0.99) < 0.02, control


def test_surroundings_are_as_loud_as_in_python(tmp_path: Path) -> None:
    script = bundled(tmp_path / "loud", facts.synth())
    got = page_counts(script, {}, 40.0)
    seeds = range(3)
    made = facts.machine()
    wanted = [simulate(made, "normal", 1, SECONDS, facts.SENSOR, np.random.default_rng(s), LEVELS).samples for s in seeds]
    difference = level_db(got, 100, 500).mean() - level_db(np.concatenate(wanted), 100, 500).mean()
    assert abs(difference) < 3  # few knocks are many decibels: their strength is drawn from a wide range
