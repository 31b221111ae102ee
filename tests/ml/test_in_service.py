"""Simulated weeks: days that drift, what a node says of them, and what came of each machine is kept."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from whir_ml import config as configs
from whir_ml import in_service, synth
from whir_ml.config import Config
from whir_ml.dataset import Examples
from whir_ml.errors import DatasetError
from whir_ml.in_service import _between, _Look, _Machine
from whir_ml.synth import service
from whir_ml.synth.simulate import SIMULATION_HZ

Sides = tuple[Examples, Examples]
Array = np.ndarray[tuple[int, ...], np.dtype[Any]]


def test_a_machine_s_week_ends_with_a_fault_that_is_told_from_its_onset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "COMMISSIONING", 100)
    monkeypatch.setattr(service, "MINUTES", 190)
    monkeypatch.setattr(in_service, "FAULTS", ("imbalance", "looseness"))
    config = configs.load("synth12k-linear")
    imbalance, levels = config.classes.index("imbalance"), list[float]()

    def by_level(x: Array) -> Array:
        """Calls imbalance what is said after the healthy looks, and keeps how strong the low orders were."""
        levels.append(float(x[:, 5:14].max(axis=1).mean()))
        p = np.zeros((len(x), len(config.classes)), np.int64)
        p[:, imbalance if 10 < len(levels) <= 25 else 0] = 1000
        return p

    week = in_service.machine_week(config, by_level, 0)
    assert week["alerts"] == []
    learned, unseen = week["faults"]
    assert (learned["name"], learned["right"], learned["delay_s"]) == (
        "machine 0, imbalance_s1",
        True,
        480,
    )  # the eighth of ten
    assert (learned["unseen"], unseen["unseen"]) == (False, True)
    assert len(levels) == 10 + 15 + 15  # every ten minutes once it is commissioned, then a look a minute of each fault
    assert np.mean(levels[10:25]) > np.mean(levels[:10])  # and the fault can be heard


def test_what_came_of_each_machine_is_kept_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, made = configs.load("synth12k-linear"), list[int]()

    def side_by_side(make: object, numbers: list[int]) -> Any:
        for number in numbers:
            made.append(number)
            alerts = [{"hour": 3.5, "fault": "bearing"}] if number == 5 else []
            nearest = dict.fromkeys((*config.classes[1:], "unknown"), number / 100)
            case = {"name": f"fault {number}", "delay_s": 480.0 if number else None, "right": number > 1}
            faults = [case | {"unseen": False}, case | {"unseen": True, "right": False}]
            yield {"machine": number, "alerts": alerts, "nearest": nearest, "faults": faults if number < 7 else []}

    monkeypatch.setattr(in_service, "_side_by_side", side_by_side)
    node = in_service.Node(b"", config.params)
    found = in_service.in_service(config, node, tmp_path, weeks=7)
    assert (found["hours"], found["machines"], found["alerts"]) == (
        7 * 168,
        7,
        [{"machine": 5, "hour": 3.5, "fault": "bearing"}],
    )
    assert (found["false_per_week"], found["upper95_per_week"], found["nearest"]["unknown"]) == (0.1429, 0.678, 0.06)
    assert found["detection"] == {
        "cases": 7, "found": 6, "right_fault": 5, "delay_s": {"median": 480.0, "max": 480.0}, "missed": ["fault 0"],
    }  # fmt: skip
    assert found["unseen"] == found["detection"] | {"right_fault": 0}
    (kept,) = tmp_path.glob("service-*.jsonl")
    kept.write_text(kept.read_text() + json.dumps({"machine": 7})[:-3])  # a kill in the middle of a line
    again = in_service.in_service(config, node, tmp_path, weeks=14)
    assert made == list(range(14))
    assert (again["hours"], again["false_per_week"], again["upper95_per_week"]) == (14 * 168, 0.0714, 0.339)


def test_a_model_of_a_real_rig_has_no_simulated_weeks(rig_config: Config, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="simulated weeks"):
        in_service.in_service(rig_config, in_service.Node(b"", rig_config.params), tmp_path)


def test_over_a_week_load_speed_and_temperature_drift_and_change_the_machine() -> None:
    of = service.course(synth.default_config(), 0)
    assert np.ptp(of.load) > 0.2
    assert 0.01 < np.ptp(of.speed_hz) / of.machine.speed_hz < 0.1
    assert np.ptp(of.temperature_c) > 10
    cold, warm = (service.at(of, int(minute)) for minute in (of.temperature_c.argmin(), of.temperature_c.argmax()))
    assert warm.modes[0][0].freq_hz < cold.modes[0][0].freq_hz
    assert warm.rumble_mg < cold.rumble_mg
    assert of.machine == service.course(synth.default_config(), 0).machine


def test_a_healthy_machine_rolls_the_same_at_an_eighth_of_the_simulation_s_rate() -> None:
    config = synth.default_config()
    quiet = {"eccentricity_um": 0.0, "misalignment_mg": 0.0, "line_mg": 0.0, "blade_mg": 0.0}
    nobody = dataclasses.replace(config.surroundings, knocks_per_s=0.0, sways_per_s=0.0)
    machine = dataclasses.replace(service.at(service.course(config, 3), 0), surroundings=nobody, **quiet)
    levels = []
    for rate_hz in (SIMULATION_HZ, service.HEALTHY_HZ):
        rng = np.random.default_rng(1)
        rec = synth.simulate(machine, "normal", 0, 8.0, config.sensor, rng, config.levels, simulation_hz=rate_hz)
        power = np.abs(np.fft.rfft(rec.samples - rec.samples.mean(axis=0), axis=0)) ** 2
        edges = (5 * 8, 20 * 8, 60 * 8, 150 * 8, 250 * 8, 400 * 8)
        levels.append([float(10 * np.log10(power[a:b].mean())) for a, b in itertools.pairwise(edges)])
    assert levels[1] == pytest.approx(levels[0], abs=1.0)


def test_between_two_looks_windows_of_both_are_drawn_the_nearer_the_likelier() -> None:
    before, after = (_Look(np.full((8, 2), value), np.full(8, value)) for value in (0.0, 1000.0))
    rng = np.random.default_rng(1)
    means = [np.mean([_between(before, after, share, rng).said.mean() for _ in range(200)]) for share in (0.2, 0.8)]
    assert means == pytest.approx([200, 800], abs=30)


def test_the_baseline_makes_what_it_has_not_heard_unknown(rig_config: Config, sides: Sides) -> None:
    machine = _Machine(rig_config, lambda x: np.tile([1000, 0, 0], (len(x), 1)))
    healthy = np.array_split(np.tile(sides[0].features[sides[0].target == 0], (4, 1)), 11)
    machine.commission(healthy)
    assert machine.alerts == []
    machine.go_on([x + 8000 for x in healthy[:4]], np.random.default_rng(1))
    assert [alert.name for alert in machine.alerts] == ["unknown"]
    assert machine.nearest("unknown") == 1.0 and machine.nearest("hum") == 0.0
