"""What an installer may set, and how settings of the link are tried and taken back."""

from __future__ import annotations

from typing import Any

import pytest

from whir_contracts.contract import SETTINGS_TRIAL_MS, ErrorCode
from whir_node.library import ffi, lib

NONE, RUNNING, KEPT, REVERTED = range(4)


def put(key: str, value: str) -> tuple[int, str, int]:
    """The code, wifi_ssid and range_mg of settings whose range_mg was 7."""
    text = ffi.new("char[33]")
    number = ffi.new("uint32_t *")
    code = lib.host_settings_set(key.encode(), value.encode(), text, number)
    return code, ffi.string(text).decode(), number[0]


def test_keys_are_listed_and_those_of_the_link_are_tried() -> None:
    keys = []
    while (key := lib.host_settings_key(len(keys))) != ffi.NULL:
        keys.append(ffi.string(key).decode())
    link = ["wifi_ssid", "wifi_password", "broker", "ntp", "wifi_user", "ip", "gateway", "dns"]
    link += ["ca_1", "ca_1b", "ca_1c", "ca_2", "ca_2b", "ca_2c", "certificate", "private_key"]
    assert keys == [*link, "axes", "up", "range_mg", "address", "rpm", "power", "every_s"]
    assert [key for key in keys if lib.host_settings_is_link(key.encode())] == link
    assert not lib.host_settings_is_link(b"colour")


def test_text_is_taken_up_to_its_room() -> None:
    assert put("wifi_ssid", "x" * 32) == (0, "x" * 32, 7)
    assert put("wifi_ssid", "") == (0, "", 7)
    assert put("wifi_ssid", "x" * 33) == (ErrorCode.ARG, "", 7)


@pytest.mark.parametrize(("text", "number"), [("16000", 16000), ("0", 0), ("0x3e80", 16000), ("400000", 400_000)])
def test_numbers_are_decimal_or_hexadecimal(text: str, number: int) -> None:
    assert put("range_mg", text) == (0, "", number)


@pytest.mark.parametrize("text", ["", "0x", "-1", "12g", "1 2", "400001", "99999999999999999999", "0xg", "1e3"])
def test_what_is_no_number_or_too_large_changes_nothing(text: str) -> None:
    assert put("range_mg", text) == (ErrorCode.ARG, "", 7)


def test_an_address_of_its_own_needs_no_more_than_itself() -> None:
    def own(ip: str, gateway: str = "", dns: str = "") -> list[int] | int:
        found = ffi.new("uint32_t[4]")
        code = int(lib.host_ip4_settings(ip.encode(), gateway.encode(), dns.encode(), found))
        return code or list(found)

    assert own("10.0.0.5/24") == [0x0A000005, 0xFFFFFF00, 0, 0]
    assert own("10.0.0.5/24", "10.0.0.1") == [0x0A000005, 0xFFFFFF00, 0x0A000001, 0x0A000001]
    assert own("10.0.0.5/24", "10.0.0.1", "9.9.9.9")[3] == 0x09090909
    assert own("10.0.0.5/24", "10.0.0", "nine")[2:] == [0, 0]
    assert own("") == own("10.0.0") == ErrorCode.ARG


def test_an_unknown_key_is_refused() -> None:
    assert put("colour", "red")[0] == ErrorCode.ARG


class Board:
    """A store that loses power at its `cut`-th operation (0: never), and what the board makes of it at its next boot."""

    def __init__(self) -> None:
        self.sets: list[dict[str, str]] = [{}, {}]
        self.cut = 0
        self.operations = 0
        self._keep = [
            ffi.callback("int(int, const char *, char *, uint32_t)", self._get),
            ffi.callback("int(int, const char *, const char *)", self._put),
            ffi.callback("int(int)", self._clear),
        ]
        self.calls = ffi.new("host_store_t *", self._keep)

    def _powered(self) -> bool:
        self.operations += 1
        return self.cut == 0 or self.operations < self.cut

    def _get(self, which: int, key: Any, text: Any, size: int) -> int:
        value = self.sets[which].get(ffi.string(key).decode())
        if value is None or len(value) >= size:
            return int(ErrorCode.ARG)
        ffi.memmove(text, value.encode() + b"\0", len(value) + 1)
        return 0

    def _put(self, which: int, key: Any, text: Any) -> int:
        if not self._powered():
            return int(ErrorCode.FLASH)
        self.sets[which][ffi.string(key).decode()] = ffi.string(text).decode()
        return 0

    def _clear(self, which: int) -> int:
        if not self._powered():
            return int(ErrorCode.FLASH)
        self.sets[which].clear()
        return 0

    def change(self, **values: str) -> None:
        for key, value in values.items():
            assert lib.host_settings_change(self.calls, key.encode(), value.encode()) == 0

    def boot(self) -> tuple[int, str, str]:
        """What became of the trial; wifi_ssid and broker in force."""
        self.cut = 0
        ssid, broker = ffi.new("char[33]"), ffi.new("char[128]")
        trial = lib.host_settings_load(self.calls, ssid, broker)
        return trial, ffi.string(ssid).decode(), ffi.string(broker).decode()

    def judge(self, since_boot_ms: int, receipted: bool) -> int:
        return int(lib.host_settings_judge(self.calls, since_boot_ms, receipted))


OLD, TAKEN = ("plant", "mqtts://a:8883"), ("hall", "mqtts://b:8883")


@pytest.fixture
def board() -> Board:
    board = Board()
    board.change(wifi_ssid=OLD[0], broker=OLD[1])
    assert board.boot() == (NONE, *OLD), "the first ones need no trial: there is nothing to fall back to"
    return board


def test_a_change_is_kept_after_a_receipt(board: Board) -> None:
    board.change(wifi_ssid=TAKEN[0], broker=TAKEN[1])
    assert board.boot() == (RUNNING, *TAKEN)
    assert board.judge(1000, False) == RUNNING
    assert board.judge(30_000, True) == KEPT
    assert board.boot() == (NONE, *TAKEN)


def test_without_a_receipt_in_ten_minutes_it_is_taken_back(board: Board) -> None:
    board.change(broker=TAKEN[1])
    board.boot()
    assert SETTINGS_TRIAL_MS == 600_000
    assert board.judge(599_999, False) == RUNNING
    assert board.judge(600_000, False) == REVERTED
    assert board.boot() == (REVERTED, *OLD)
    assert board.boot() == (NONE, *OLD)


def test_a_restart_during_the_trial_takes_it_back(board: Board) -> None:
    board.change(broker=TAKEN[1])
    board.boot()
    assert board.boot() == (REVERTED, *OLD)


def test_settings_that_are_not_of_the_link_need_no_trial(board: Board) -> None:
    board.change(rpm="1480")
    assert board.boot()[0] == NONE
    assert board.sets[0]["rpm"] == "1480"


def test_what_is_refused_is_not_stored(board: Board) -> None:
    assert lib.host_settings_change(board.calls, b"range_mg", b"much") == ErrorCode.ARG
    assert lib.host_settings_change(board.calls, b"colour", b"red") == ErrorCode.ARG
    assert board.boot() == (NONE, *OLD)


def test_forgetting_leaves_nothing(board: Board) -> None:
    board.change(broker=TAKEN[1])
    assert lib.host_settings_forget(board.calls) == 0
    assert board.sets == [{}, {}]
    assert board.boot() == (NONE, "", "")


@pytest.mark.parametrize("cut", range(1, 5))
def test_a_cut_at_any_operation_of_keeping_leaves_the_old_ones_or_the_new_ones(board: Board, cut: int) -> None:
    board.change(wifi_ssid=TAKEN[0], broker=TAKEN[1])
    board.boot()
    board.operations, board.cut = 0, cut
    board.judge(30_000, True)
    assert board.operations >= cut, "the cut never came"
    assert board.boot()[1:] == (OLD if cut == 1 else TAKEN)
    assert board.boot()[1:] == (OLD if cut == 1 else TAKEN)
    assert not board.sets[1]


@pytest.mark.parametrize(
    ("text", "address", "mask"),
    [("10.0.0.5/24", 0x0A000005, 0xFFFFFF00), ("192.168.1.1", 0xC0A80101, 0), ("255.255.255.255/1", 0xFFFFFFFF, 0x80000000)],
)
def test_an_address_is_read(text: str, address: int, mask: int) -> None:
    got = ffi.new("uint32_t[2]")
    assert lib.host_ip4_read(text.encode(), got, got + 1) == 0
    assert (got[0], got[1]) == (address, mask)


@pytest.mark.parametrize(
    "text", ["10.0.0", "10.0.0.256", "10.0.0.5/0", "10.0.0.5/32", "10.0.0.5/", "1.2.3.4.5", "a.b.c.d", "10..0.1", "0010.0.0.1"]
)
def test_what_is_no_address_is_refused_when_it_is_set(text: str) -> None:
    room, number = ffi.new("char[33]"), ffi.new("uint32_t *")
    assert lib.host_settings_set(b"ip", text.encode(), room, number) == ErrorCode.ARG
    assert lib.host_settings_set(b"ip", b"", room, number) == 0, "back to DHCP"
