"""Fetching a bundle over HTTP in a thread, in pieces, at the pace at which the node takes them; what breaks off is resumed."""

from __future__ import annotations

import queue
import threading

import httpx
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential
from tenacity.nap import sleep_using_event

CHUNK_BYTES = 4096
CHUNKS_AHEAD = 8
TIMEOUT_S = 10.0
ATTEMPTS = 8  # WHIR_FETCH_ATTEMPTS
WAIT = wait_random_exponential(multiplier=0.5, max=8)


def may_pass(error: BaseException) -> bool:
    """A connection that broke, or a server in trouble: it may be better later."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.is_server_error
    return isinstance(error, httpx.TransportError) and not isinstance(error, httpx.UnsupportedProtocol)


class Download:
    """One fetch. `next()` gives pieces as they come in; then it is `done`, and `error` says how it ended.

    Args:
        url: http or https.
        size: bytes that are expected; more is an error.
        attempts: how often a server is asked that does not answer, is in trouble or breaks off.
    """

    def __init__(self, url: str, size: int, attempts: int = ATTEMPTS) -> None:
        self.error: str | None = None
        self._url = url
        self._size = size
        self._attempts = attempts
        self._received = 0
        self._chunks: queue.Queue[bytes | None] = queue.Queue(CHUNKS_AHEAD)
        self._stopped = threading.Event()
        self._finished = False
        threading.Thread(target=self._fetch, name="bundle", daemon=True).start()

    @property
    def done(self) -> bool:
        """Everything has been handed out, or nothing more will come."""
        return self._finished

    def next(self) -> bytes | None:
        """The next piece, None when there is none yet, or no more."""
        try:
            chunk = self._chunks.get_nowait()
        except queue.Empty:
            return None
        if chunk is None:
            self._finished = True
        return chunk

    def stop(self) -> None:
        """Nobody wants the rest."""
        self._stopped.set()

    def _put(self, chunk: bytes | None) -> None:
        while not self._stopped.is_set():
            try:
                self._chunks.put(chunk, timeout=0.1)
                return
            except queue.Full:
                continue

    def _fetch(self) -> None:
        retry = Retrying(
            retry=retry_if_exception(may_pass),
            stop=stop_after_attempt(self._attempts),
            wait=WAIT,
            sleep=sleep_using_event(self._stopped),
            reraise=True,
        )
        try:
            retry(self._connect)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
            self.error = f"{type(error).__name__}: {error}"
        self._put(None)

    def _connect(self) -> None:
        """The rest of it; a server that knows no ranges sends all, and what is there already is passed over."""
        headers = {"Range": f"bytes={self._received}-"} if self._received else {}
        with httpx.stream("GET", self._url, headers=headers, timeout=TIMEOUT_S) as response:
            response.raise_for_status()
            skip = 0 if response.status_code == httpx.codes.PARTIAL_CONTENT else self._received
            for chunk in response.iter_raw(CHUNK_BYTES):
                fresh = chunk[skip:]
                skip -= len(chunk) - len(fresh)
                self._received += len(fresh)
                if self._received > self._size:
                    raise ValueError(f"more than the {self._size} bytes that were announced")
                if fresh:
                    self._put(fresh)
                if self._stopped.is_set():
                    return
