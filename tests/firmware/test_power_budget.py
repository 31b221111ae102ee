"""The battery's budget: the sums, what it refuses, and that the README shows what the command says."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from accel_sims import PARTS
from typer.testing import CliRunner

from whir_contracts.contract import PowerMode
from whir_node.accel import accelerometers
from whir_node.cli import app
from whir_node.power import FACTS, Budget, PowerFactsError, budgets

BOARDS = Path(__file__).resolve().parents[2] / "firmware" / "boards"
README = (Path(__file__).resolve().parents[2] / "firmware" / "README.md").read_text()


def of(mode: PowerMode, every_s: float) -> Budget:
    """ESP32 with a LIS3DH."""
    (found,) = (b for b in budgets("esp32", "lis3dh", every_s) if b.mode == mode)
    return found


def test_every_accelerometer_and_every_board_s_chip_has_its_currents() -> None:
    table = tomllib.loads(FACTS.read_text())
    assert set(table["sensor"]) == {part.info.name for part in accelerometers()}
    boards = [tomllib.loads(p.read_text()) for p in BOARDS.glob("*.toml")]
    assert {board["chip"] for board in boards if isinstance(board.get("chip"), str)} == set(table["chip"])


def test_a_mode_that_rests_more_takes_less_and_a_longer_pause_lasts_longer() -> None:
    by_mode = {b.mode: b for b in budgets("esp32", "lis3dh", 600)}
    assert (
        by_mode[PowerMode.CONTINUOUS].average_ma > by_mode[PowerMode.INTERVAL].average_ma > by_mode[PowerMode.SLEEP].average_ma
    )
    assert of(PowerMode.SLEEP, 3600).days(3000) > 2 * by_mode[PowerMode.SLEEP].days(3000)


def test_sleep_is_the_sum_of_its_parts_by_hand() -> None:
    """ESP32, 600 s: 44 mA for 3.5 s, 100 mA for 6 s, 0.185 mA for 3 s (else 0.5 µA), 10 µA for the remaining 590.5 s."""
    wanted = (44 * 3.5 + 100 * 6 + 0.185 * 3 + 0.0005 * 597 + 0.010 * 590.5) / 600
    assert of(PowerMode.SLEEP, 600).average_ma == pytest.approx(wanted)


def test_to_watch_for_motion_costs_what_the_sensor_takes_meanwhile() -> None:
    more_ma = of(PowerMode.MOTION, 600).average_ma - of(PowerMode.SLEEP, 600).average_ma
    assert more_ma == pytest.approx((0.010 - 0.0005) * 597 / 600)


def test_sensors_that_cannot_watch_have_no_such_mode() -> None:
    for part in accelerometers():
        modes = {b.mode for b in budgets("esp32", part.info.name, 600)}
        assert (PowerMode.MOTION in modes) == PARTS[part.info.name].can_watch, part.info.name


def test_every_current_says_where_it_stands() -> None:
    table = tomllib.loads(FACTS.read_text())
    assert all(row["source"] for kind in ("chip", "sensor") for row in table[kind].values())


@pytest.mark.parametrize(
    ("chip", "sensor", "every_s"), [("esp8266", "lis3dh", 600), ("esp32", "ear", 600), ("esp32", "lis3dh", 9)]
)
def test_what_it_cannot_compute_is_refused(chip: str, sensor: str, every_s: float) -> None:
    with pytest.raises(PowerFactsError):
        budgets(chip, sensor, every_s)


def test_the_readme_shows_what_the_command_says() -> None:
    for b in budgets("esp32", "lis3dh", 600):
        assert f"| {b.mode.name.lower()} | {b.average_ma:.2f} | {b.days(3000):,.1f} |" in README, b


def test_the_command_prints_json() -> None:
    result = CliRunner().invoke(app, ["power", "--chip", "esp32c3", "--sensor", "kx134", "--json"])
    body = json.loads(result.stdout)
    assert body["computed"] is True
    assert [m["mode"] for m in body["modes"]] == ["continuous", "interval", "sleep", "motion"]
    assert CliRunner().invoke(app, ["power", "--chip", "z80"]).exit_code == 1
