"""Fetching a bundle over HTTP in a thread, in pieces, at the pace at which the node takes them."""

from __future__ import annotations

import queue
import threading

import httpx

CHUNK_BYTES = 4096
CHUNKS_AHEAD = 8
TIMEOUT_S = 10.0


class Download:
    """One fetch. `next()` gives pieces as they come in; then it is `done`, and `error` says how it ended.

    Args:
        url: http or https.
        size: bytes that are expected; more is an error.
    """

    def __init__(self, url: str, size: int) -> None:
        self.error: str | None = None
        self._url = url
        self._size = size
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
        try:
            received = 0
            with httpx.stream("GET", self._url, timeout=TIMEOUT_S) as response:
                response.raise_for_status()
                for chunk in response.iter_raw(CHUNK_BYTES):
                    received += len(chunk)
                    if received > self._size:
                        raise ValueError(f"more than the {self._size} bytes that were announced")
                    self._put(chunk)
                    if self._stopped.is_set():
                        return
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
            self.error = f"{type(error).__name__}: {error}"
        self._put(None)
