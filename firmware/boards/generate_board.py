"""Writes the C header of a board after checking its pins against the chip: `generate_board.py BOARD.toml CHIP OUT.h`.

Run by the component build of ports/esp32, with whatever Python 3.9+ ESP-IDF brings.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

try:
    import tomllib
except ImportError:  # Python 3.9 and 3.10
    from pip._vendor import tomli as tomllib

CHIPS = Path(__file__).parent / "chips.toml"
SWITCHES = ("led", "relay", "buzzer", "button")
BUS_PINS = {"spi": ("sclk", "mosi", "miso", "cs"), "i2c": ("sda", "scl")}
BUS_SPEED_MAX_HZ = {"spi": 10_000_000, "i2c": 1_000_000}
INPUTS = ("miso", "interrupt", "button")
# At reset a light floats and a button is open: neither pulls a strapping pin the wrong way.
MAY_STRAP = ("led", "button")


class BoardError(Exception):
    """A board file that cannot be built; the text names file, place and reason."""


def load(path: Path) -> dict[str, Any]:
    """One TOML file as a dict. Raises BoardError with the parser's reason."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BoardError(f"{path}: {error}") from error


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _keys(table: object, wanted: tuple[str, ...], where: str) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise BoardError(f"{where}: missing, or not a table")
    if set(table) != set(wanted):
        missing, unknown = sorted(set(wanted) - set(table)), sorted(set(table) - set(wanted))
        raise BoardError(f"{where}: missing {missing}, unknown {unknown}")
    return table


def _check_pin(role: str, pin: object, chip: dict[str, list[int]]) -> None:
    if not _is_int(pin) or pin not in chip["pins"]:
        raise BoardError(f"{role}: the chip has no free pin {pin}")
    if pin in chip["console"]:
        raise BoardError(f"{role}: pin {pin} is the console's")
    if pin in chip["input_only"] and role not in INPUTS:
        raise BoardError(f"{role}: pin {pin} can only be an input")
    if pin in chip["strapping"] and role not in MAY_STRAP:
        raise BoardError(f"{role}: pin {pin} decides how the chip boots")


def check(board: dict[str, Any], chips: dict[str, Any]) -> dict[str, int]:
    """Pin number of each role of a board. Raises BoardError."""
    _keys(board, ("chip", "hardware_class", "sensor", *SWITCHES), "board")
    if board["chip"] not in chips:
        raise BoardError(f"chip: {board['chip']!r} is none of {sorted(chips)}")
    bus = board["sensor"].get("bus") if isinstance(board["sensor"], dict) else None
    if bus not in BUS_PINS:
        raise BoardError(f"sensor.bus: {bus!r} is none of {sorted(BUS_PINS)}")
    address = ("address",) if bus == "i2c" else ()
    sensor = _keys(board["sensor"], ("part", "bus", "speed_hz", *BUS_PINS[bus], "interrupt", *address), "sensor")
    if not _is_int(sensor["speed_hz"]) or not 0 < sensor["speed_hz"] <= BUS_SPEED_MAX_HZ[bus]:
        raise BoardError(f"sensor.speed_hz: {sensor['speed_hz']} is above {BUS_SPEED_MAX_HZ[bus]} or no number")
    if address and (not _is_int(sensor["address"]) or not 0x08 <= sensor["address"] <= 0x77):
        raise BoardError(f"sensor.address: {sensor['address']} is no 7-bit I2C address")
    pins = {role: sensor[role] for role in (*BUS_PINS[bus], "interrupt")}
    for role in SWITCHES:
        switch = _keys(board[role], ("pin", "active"), role)
        if switch["active"] not in ("high", "low"):
            raise BoardError(f"{role}.active: {switch['active']!r} is neither high nor low")
        pins[role] = switch["pin"]
    used: dict[int, str] = {}
    for role, pin in pins.items():
        _check_pin(role, pin, chips[board["chip"]])
        if pin in used:
            raise BoardError(f"{role}: pin {pin} is {used[pin]}'s already")
        used[pin] = role
    return pins


def header(name: str, board: dict[str, Any], chips: dict[str, Any]) -> str:
    """The C text."""
    pins = check(board, chips)
    sensor = board["sensor"]
    lines = [
        f"/* Written by generate_board.py from {name}.toml. */",
        "#ifndef WHIR_BOARD_H",
        "#define WHIR_BOARD_H",
        "",
        f'#define WHIR_BOARD_NAME "{name}"',
        f'#define WHIR_BOARD_HARDWARE_CLASS "{board["hardware_class"]}"',
        f'#define WHIR_BOARD_SENSOR "{sensor["part"]}"',
        f"#define WHIR_BOARD_BUS_{sensor['bus'].upper()} 1",
        f"#define WHIR_BOARD_BUS_SPEED_HZ {sensor['speed_hz']}",
        f"#define WHIR_BOARD_SENSOR_ADDRESS {sensor.get('address', 0)}",
        f"#define WHIR_BOARD_WAKES {int(pins['interrupt'] in chips[board['chip']]['wakes'])} /* from deep sleep */",
        f"#define WHIR_BOARD_LAST_CORE {chips[board['chip']]['cores'] - 1}",
    ]
    lines += [f"#define WHIR_BOARD_PIN_{role.upper()} {pin}" for role, pin in pins.items()]
    lines += [f"#define WHIR_BOARD_{role.upper()}_ACTIVE {int(board[role]['active'] == 'high')}" for role in SWITCHES]
    return "\n".join([*lines, "", "#endif", ""])


def main(arguments: list[str]) -> int:
    """0, or 1 with the reason on stderr."""
    if len(arguments) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    path, chip, out = Path(arguments[0]), arguments[1], Path(arguments[2])
    try:
        board = load(path)
        text = header(path.stem, board, load(CHIPS))
        if board["chip"] != chip:
            raise BoardError(f"chip: made for {board['chip']}, the build is for {chip}")
    except BoardError as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 1
    if not out.exists() or out.read_text(encoding="utf-8") != text:
        out.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
