"""What may be typed at a board's serial console."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from test_factory import MAC, SoftBoard

from whir_contracts.contract import ErrorCode
from whir_node.factory import Factory
from whir_node.library import ffi, lib


@dataclass
class Talker(SoftBoard):
    """What it says is kept as it is: not all of it is JSON."""

    said: list[str] = field(default_factory=list)

    def say(self, line: bytes) -> None:
        self.said.append(line.decode())


class Console:
    """A board that runs no node: its console serves all the same."""

    def __init__(self, health: bool = True) -> None:
        self.board = Talker(refused="no identity")
        self.factory = Factory(self.board, None)
        self.sets: list[dict[str, str]] = [{}, {}]
        self.restarts: list[int] = []
        self.fails = False
        self._keep: list[Any] = [
            ffi.callback("int(int, const char *, char *, uint32_t)", self._get),
            ffi.callback("int(int, const char *, const char *)", self._put),
            ffi.callback("int(int)", self._clear),
        ]
        self._store = ffi.new("host_store_t *", self._keep)
        task = ffi.new("char[]", b"fetch")
        restart = ffi.callback("void(int)", self.restarts.append)
        self._keep += [task, restart]
        self._control = ffi.new("host_control_t *", [restart, int(health), 91234, 512, task])

    def _get(self, which: int, key: Any, text: Any, size: int) -> int:
        value = self.sets[which].get(ffi.string(key).decode())
        if value is None:
            return int(ErrorCode.ARG)
        ffi.memmove(text, value.encode() + b"\0", len(value) + 1)
        return 0

    def _put(self, which: int, key: Any, text: Any) -> int:
        self.sets[which][ffi.string(key).decode()] = ffi.string(text).decode()
        return int(ErrorCode.FLASH) if self.fails else 0

    def _clear(self, which: int) -> int:
        self.sets[which].clear()
        return 0

    def __call__(self, *words: str) -> tuple[int, str]:
        """The code, and the last line that was said."""
        texts = [ffi.new("char[]", word.encode()) for word in words]
        code = lib.host_console(self.factory._core, self._store, self._control, len(words), ffi.new("char *[]", texts), 0)
        return int(code), self.board.said[-1] if self.board.said else ""


@pytest.fixture
def console() -> Console:
    return Console()


def test_the_help_of_set_names_every_setting_that_a_person_sets() -> None:
    index, keys = 0, []
    while (key := lib.host_settings_key(len(keys))) != ffi.NULL:
        keys.append(ffi.string(key).decode())
    keys = [key for key in keys if key not in ("certificate", "private_key")]
    while ffi.string(lib.host_console_word(index)) != b"set":
        index += 1
    assert ffi.string(lib.host_console_help(index)).decode() == "|".join(keys) + " VALUE"


def test_a_setting_is_stored_with_its_spaces(console: Console) -> None:
    assert console("set", "wifi_ssid", "hall 4 west") == (0, "stored: reboot")
    assert console.sets[0] == {"wifi_ssid": "hall 4 west"}


@pytest.mark.parametrize(
    "words",
    [("set",), ("set", "rpm"), ("set", "colour", "red"), ("set", "rpm", "fast"), ("set", "rpm", "1", "2"), ("factory-reset",)],
)
def test_what_is_wrong_is_refused_and_changes_nothing(console: Console, words: tuple[str, ...]) -> None:
    code, said = console(*words)
    assert code == ErrorCode.ARG and said.startswith("refused")
    assert console.sets == [{}, {}]


def test_a_store_that_fails_is_told(console: Console) -> None:
    console.fails = True
    assert console("set", "rpm", "1480")[0] == ErrorCode.FLASH


def test_factory_reset_wants_a_yes(console: Console) -> None:
    console("set", "rpm", "1480")
    assert console("factory-reset", "no")[0] == ErrorCode.ARG
    assert console.sets[0]
    assert console("factory-reset", "yes") == (0, "settings forgotten: reboot")
    assert console.sets == [{}, {}]


def test_reboot_restarts_and_forgets_nothing(console: Console) -> None:
    assert console("reboot")[0] == 0
    assert console.restarts == [0]


def test_memory_tells_heap_and_the_tightest_stack(console: Console) -> None:
    code, said = console("memory")
    assert code == 0
    assert json.loads(said) == {"t": "memory", "heap_min": 91234, "stack_min": 512, "stack_task": "fetch"}
    assert Console(health=False)("memory")[0] == ErrorCode.STATE


def test_the_factory_s_questions_go_to_the_factory(console: Console) -> None:
    code, said = console("who", "9f2c")
    assert code == 0 and json.loads(said) == {"t": "who", "nonce": "9f2c", "mac": MAC}
    assert console("selftest")[0] == 0
    assert console("csr", "1" * 33)[0] == ErrorCode.ARG


@pytest.mark.parametrize("words", [(), ("",), ("format",), ("se",)])
def test_what_is_no_command_is_said(console: Console, words: tuple[str, ...]) -> None:
    assert console(*words) == (ErrorCode.COMMAND, "no such command")
