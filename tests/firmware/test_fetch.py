"""A download over connections that break off: what arrives, what is asked for, when it gives up."""

from __future__ import annotations

from typing import Any

import pytest

from whir_contracts.contract import MESSAGE_URL_MAX_BYTES, ErrorCode
from whir_node.library import ffi, lib

DATA = bytes(i * 7 % 251 for i in range(5000))
URL = "https://fleet/b"


class Server:
    """Answers each request with the next of `answers`: a status, and after how many bytes it breaks off (None: not at all)."""

    def __init__(self, *answers: tuple[int, int | None], ranges: bool = True, refuses_at: int | None = None) -> None:
        self.answers = list(answers)
        self.ranges = ranges
        self.refuses_at = refuses_at
        self.asked: list[int] = []
        self.got = bytearray()
        self.open = 0
        self._body = b""
        self._keep = [
            ffi.callback("int(const char *, uint32_t)", self._open),
            ffi.callback("int(void *, uint32_t)", self._read),
            ffi.callback("void()", self._close),
            ffi.callback("int(const void *, uint32_t)", self._take),
        ]
        self.calls = ffi.new("host_http_t *", self._keep)

    def _open(self, url: Any, at: int) -> int:
        assert ffi.string(url).decode() == URL
        self.open += 1
        self.asked.append(at)
        status, cut = self.answers.pop(0) if self.answers else (-1, 0)
        whole = DATA[at:] if status == 206 or self.ranges else DATA
        self._body = whole if cut is None else whole[:cut]
        return status

    def _read(self, buffer: Any, most: int) -> int:
        part, self._body = self._body[:most], self._body[most:]
        ffi.buffer(buffer, most)[: len(part)] = part
        return len(part)

    def _close(self) -> None:
        self.open -= 1

    def _take(self, data: Any, size: int) -> int:
        self.got += ffi.buffer(data, size)
        return int(ErrorCode.CRC) if self.refuses_at is not None and len(self.got) >= self.refuses_at else 0

    def fetch(self, size: int = len(DATA)) -> tuple[int, int, int]:
        """What became of it, how many pauses, and their milliseconds."""
        pauses, paused = ffi.new("uint32_t *"), ffi.new("uint32_t *")
        result = lib.host_fetch(URL.encode(), size, self.calls, pauses, paused)
        assert self.open == 0, "every connection is closed"
        return int(result), pauses[0], paused[0]


def test_it_comes_in_one_go() -> None:
    server = Server((200, None))
    assert server.fetch() == (0, 0, 0)
    assert server.got == DATA and server.asked == [0]


@pytest.mark.parametrize("cut", [1, 1023, 1024, 1025, 4999])
def test_it_goes_on_where_it_broke_off(cut: int) -> None:
    server = Server((200, cut), (206, None))
    assert server.fetch()[:2] == (0, 1)
    assert server.got == DATA and server.asked == [0, cut]


def test_a_server_that_gives_all_of_it_again_is_passed_over_what_is_here() -> None:
    server = Server((200, 3000), (200, 2000), (200, None), ranges=False)
    assert server.fetch()[0] == 0
    assert server.got == DATA and server.asked == [0, 3000, 3000]


def test_each_byte_gives_it_eight_more_attempts_and_pauses_grow() -> None:
    nothing = [(-1, 0)] * 7
    server = Server((200, 10), *nothing[1:], (206, 10), *nothing[1:], (206, None))
    assert server.fetch()[0] == 0
    assert server.got == DATA
    server = Server(*nothing, (200, None))
    result, pauses, paused_ms = server.fetch()
    assert (result, pauses) == (0, 7)
    assert paused_ms == sum(1000 * 2**i // 2 for i in range(7))


def test_without_a_byte_in_eight_attempts_it_gives_up() -> None:
    server = Server()
    assert server.fetch()[0] == ErrorCode.DOWNLOAD
    assert len(server.asked) == 8 and not server.got


@pytest.mark.parametrize("status", [301, 404, 403, 416])
def test_what_will_not_get_better_is_not_tried_again(status: int) -> None:
    server = Server((status, 0), (200, None))
    assert server.fetch() == (ErrorCode.DOWNLOAD, 0, 0)


def test_a_server_in_trouble_is_tried_again() -> None:
    server = Server((503, 0), (500, 0), (200, None))
    assert server.fetch()[:2] == (0, 2)


def test_nobody_who_wants_no_more_is_given_more() -> None:
    server = Server((200, None), refuses_at=2000)
    assert server.fetch()[0] == ErrorCode.CRC
    assert len(server.got) == 2048 and len(server.asked) == 1


def test_an_address_that_is_too_long_is_refused() -> None:
    count = ffi.new("uint32_t *")
    assert lib.host_fetch(b"x" * (MESSAGE_URL_MAX_BYTES + 1), 1, Server().calls, count, count) == ErrorCode.ARG
