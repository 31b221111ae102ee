"""Board files: the committed ones build, and each way to wire a board wrongly is refused with its reason."""

from __future__ import annotations

import copy
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BOARDS = Path(__file__).resolve().parents[2] / "firmware" / "boards"
NAMES = sorted(p.stem for p in BOARDS.glob("*.toml") if p.stem != "chips")


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_board", BOARDS / "generate_board.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", NAMES)
def test_every_board_in_the_folder_builds(generator: ModuleType, name: str, tmp_path: Path) -> None:
    board = generator.load(BOARDS / f"{name}.toml")
    out = tmp_path / "whir_board.h"
    assert generator.main([str(BOARDS / f"{name}.toml"), board["chip"], str(out)]) == 0
    assert subprocess.run(["gcc", "-fsyntax-only", "-Wall", "-Werror", "-x", "c", str(out)], check=False).returncode == 0
    assert f"#define WHIR_BOARD_PIN_LED {board['led']['pin']}\n" in out.read_text()


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_has_the_pins_of_every_board(generator: ModuleType, name: str) -> None:
    board = generator.load(BOARDS / f"{name}.toml")
    sensor, switches = board["sensor"], ("led", "relay", "buzzer", "button")
    bus = ", ".join(f"{pin} {sensor[pin]}" for pin in ("sclk", "mosi", "miso", "cs", "sda", "scl") if pin in sensor)
    levels = " | ".join(f"{board[switch]['pin']} ({board[switch]['active']})" for switch in switches)
    row = f"| {name} | {sensor['part']} | {bus} | {sensor['interrupt']} | {levels} |"
    assert row in (BOARDS.parent / "README.md").read_text(), row


@pytest.mark.parametrize("name", NAMES)
def test_every_board_wakes_at_motion(generator: ModuleType, name: str) -> None:
    board, chips = generator.load(BOARDS / f"{name}.toml"), generator.load(BOARDS / "chips.toml")
    assert "#define WHIR_BOARD_WAKES 1 " in generator.header(name, board, chips)
    chips[board["chip"]]["wakes"].remove(board["sensor"]["interrupt"])
    assert "#define WHIR_BOARD_WAKES 0 " in generator.header(name, board, chips)


def test_the_build_asks_for_boards_that_exist() -> None:
    for chip in ("esp32", "esp32s3", "esp32c3"):
        text = (BOARDS.parent / f"sdkconfig.defaults.{chip}").read_text()
        name = text.split('CONFIG_WHIR_BOARD="')[1].split('"')[0]
        assert name in NAMES


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        (("relay", "pin"), 24, "no free pin 24"),
        (("relay", "pin"), 6, "no free pin 6"),  # the flash's
        (("relay", "pin"), 34, "can only be an input"),
        (("relay", "pin"), 12, "decides how the chip boots"),
        (("relay", "pin"), 1, "console"),
        (("relay", "pin"), 18, "sclk's already"),
        (("relay", "pin"), True, "no free pin True"),
        (("relay", "pin"), "26", "no free pin 26"),
        (("led", "active"), "on", "neither high nor low"),
        (("sensor", "speed_hz"), 40_000_000, "above 10000000"),
        (("sensor", "bus"), "uart", "none of ['i2c', 'spi']"),
        (("sensor", "adress"), 0x19, "unknown ['adress']"),
        (("chip",), "esp8266", "none of"),
        (("buzzer",), 5, "not a table"),
    ],
)
def test_a_board_wired_wrongly_is_refused(generator: ModuleType, place: tuple[str, ...], value: Any, reason: str) -> None:
    board = copy.deepcopy(generator.load(BOARDS / "esp32dev.toml"))
    table = board
    for key in place[:-1]:
        table = table[key]
    table[place[-1]] = value
    with pytest.raises(generator.BoardError) as caught:
        generator.check(board, generator.load(BOARDS / "chips.toml"))
    assert reason in str(caught.value)


def test_an_i2c_address_out_of_range_is_refused(generator: ModuleType) -> None:
    board = copy.deepcopy(generator.load(BOARDS / "esp32-c3.toml"))
    board["sensor"]["address"] = 0x80
    with pytest.raises(generator.BoardError, match="no 7-bit I2C address"):
        generator.check(board, generator.load(BOARDS / "chips.toml"))


def test_the_script_ends_with_the_reason_and_one(tmp_path: Path) -> None:
    script = [sys.executable, str(BOARDS / "generate_board.py")]
    wrong_chip = subprocess.run(
        [*script, str(BOARDS / "esp32dev.toml"), "esp32s3", str(tmp_path / "b.h")], capture_output=True, text=True, check=False
    )
    assert wrong_chip.returncode == 1
    assert "made for esp32, the build is for esp32s3" in wrong_chip.stderr
    (tmp_path / "x.toml").write_text("chip = ")
    broken = subprocess.run(
        [*script, str(tmp_path / "x.toml"), "esp32", str(tmp_path / "b.h")], capture_output=True, text=True, check=False
    )
    assert broken.returncode == 1
    assert "x.toml" in broken.stderr
    assert not (tmp_path / "b.h").exists()
