"""Fetching a bundle: real HTTP on a loopback port."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from whir_node.download import CHUNK_BYTES, CHUNKS_AHEAD, Download

DATA = bytes(range(256)) * 300
WAIT_S = 10


class Handler(BaseHTTPRequestHandler):
    """`/short` breaks off always; `/ranges` and `/whole` once, and go on from where they were asked to or from the beginning;
    `/trouble` begins with an error of the server."""

    asked: list[str]

    def do_GET(self) -> None:
        again = self.path in self.asked
        self.asked.append(self.path)
        wanted = self.headers["Range"] if self.path == "/ranges" else None
        begin = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        troubled = self.path == "/trouble" and not again
        self.send_response(404 if self.path == "/missing" else 503 if troubled else 206 if wanted else 200)
        self.send_header("Content-Length", str(len(DATA) - begin))
        self.end_headers()
        broken = self.path == "/short" or (self.path in ("/ranges", "/whole") and not again)
        self.wfile.write(DATA[:5000] if broken else DATA[begin:])

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Fresh", (Handler,), {"asked": []}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def drain(download: Download) -> bytes:
    """Everything that comes, until it is done."""
    got, deadline = b"", time.monotonic() + WAIT_S
    while not download.done:
        assert time.monotonic() < deadline
        got += download.next() or b""
    return got


def test_it_comes_whole_and_in_order(url: str) -> None:
    download = Download(url + "/bundle", len(DATA))
    assert drain(download) == DATA
    assert download.error is None
    assert download.next() is None


@pytest.mark.parametrize("path", ["/missing", "/short"])
def test_an_answer_that_is_an_error_or_breaks_off_is_one(url: str, path: str) -> None:
    download = Download(url + path, len(DATA), attempts=2)
    drain(download)
    assert download.error is not None


@pytest.mark.parametrize("path", ["/ranges", "/whole", "/trouble"])
def test_what_breaks_off_goes_on_where_it_was(url: str, path: str) -> None:
    download = Download(url + path, len(DATA))
    assert drain(download) == DATA
    assert download.error is None


def test_more_than_was_announced_is_an_error(url: str) -> None:
    download = Download(url + "/bundle", len(DATA) - 1)
    drain(download)
    assert download.error is not None
    assert "announced" in download.error


@pytest.mark.parametrize("wrong", ["", "nonsense", "ftp://127.0.0.1/x", "http://127.0.0.1:1/x", "http://[::1/x", "http://a b/"])
def test_what_cannot_be_fetched_is_an_error_and_no_exception(wrong: str) -> None:
    download = Download(wrong, 100, attempts=2)
    assert drain(download) == b""
    assert download.error is not None


def test_no_more_is_fetched_ahead_than_stated_and_nothing_after_a_stop(url: str) -> None:
    download = Download(url + "/bundle", len(DATA))
    first = None
    while first is None:
        first = download.next()
    download.stop()
    rest = b""
    while chunk := download.next():
        rest += chunk
    assert len(rest) <= (CHUNKS_AHEAD + 2) * CHUNK_BYTES < len(DATA) - len(first)
    assert "bundle" not in [thread.name for thread in threading.enumerate() if not _ends(thread)]


def _ends(thread: threading.Thread) -> bool:
    if thread.name == "bundle":
        thread.join(WAIT_S)
    return not thread.is_alive()
