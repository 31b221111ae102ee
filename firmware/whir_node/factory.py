"""The board's side of the factory: the core's own answers to the station's questions, over the seam to a board of software."""

from __future__ import annotations

import time
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.asymmetric import ec

from whir_contracts.contract import ErrorCode
from whir_node.crypto import public_point, sign_raw
from whir_node.errors import check
from whir_node.library import ffi, lib
from whir_node.node import PRIVATE_KEY_BYTES, VirtualNode

STEP_MS = 20
_STATE_BYTES = 96


class Board(Protocol):
    """What the core asks of a board: whir/port/board.h."""

    serial: str
    mac: str
    part: str | None
    flash_encryption: str
    secure_boot: bool
    refused: str | None

    def wifi(self) -> tuple[str, int]:
        """ "ok" and the dBm, or what stands against it."""

    def broker(self) -> str:
        """ "ok", or what stands against it."""

    def key(self) -> ec.EllipticCurvePrivateKey:
        """Its own, made when there is none yet."""

    def say(self, line: bytes) -> None:
        """One line to the station."""


class Factory:
    """Answers one console. `node` None: the board runs none, and `board.refused` says why. Both must outlive it."""

    def __init__(self, board: Board, node: VirtualNode | None) -> None:
        self._board = board
        self._channels = 0 if node is None else node.config.sensor.channels
        self._now_ms = 0
        texts = [
            ffi.NULL if text is None else ffi.new("char[]", text.encode())
            for text in (board.serial, board.mac, board.part, board.flash_encryption, board.refused)
        ]
        busy = int(ErrorCode.STATE)
        self._keep = (
            texts,
            ffi.callback("void(char *, int32_t *)", self._wifi),
            ffi.callback("void(char *)", self._broker),
            ffi.callback("int(uint8_t *)", self._key, error=busy),
            ffi.callback("int(const uint8_t *, uint32_t, uint8_t *)", self._sign, error=busy),
            ffi.callback("uint64_t(void)", lambda: time.monotonic_ns() // 1000),
            ffi.NULL,  # a computer's cycles say nothing about a board's
            ffi.callback("void(const char *, uint32_t)", lambda text, size: board.say(bytes(ffi.buffer(text, size)))),
        )
        self._calls = ffi.new("host_board_t *", [*texts, int(board.secure_boot), *self._keep[1:]])
        raw = lib.host_factory_new(ffi.NULL if node is None else node.core, self._calls)
        if raw == ffi.NULL:
            raise MemoryError("host_factory_new")
        self._core = ffi.gc(raw, lib.host_factory_free)

    def ask(self, line: str) -> None:
        """One line from the console.

        Raises:
            CoreError: `command`, it is no question of the station.
        """
        check(lib.host_factory_ask(self._core, line.encode(), self._now_ms), line)

    def step(self, samples: npt.NDArray[np.int16]) -> bool:
        """20 ms pass in which these samples come, int16 (n, channels). True while a self-test is under way."""
        block = np.ascontiguousarray(samples, np.int16)
        if len(block):
            lib.host_factory_push(self._core, ffi.from_buffer("int16_t *", block.data), len(block), self._channels)
        self._now_ms += STEP_MS
        return bool(lib.host_factory_step(self._core, self._now_ms))

    def _wifi(self, state: Any, rssi_dbm: Any) -> None:
        text, rssi_dbm[0] = self._board.wifi()
        _write(state, text)

    def _broker(self, state: Any) -> None:
        _write(state, self._board.broker())

    def _key(self, point: Any) -> int:
        ffi.memmove(point, public_point(self._board.key()), 65)
        return 0

    def _sign(self, message: Any, size: int, signature: Any) -> int:
        ffi.memmove(signature, sign_raw(self._board.key(), bytes(ffi.buffer(message, size))), 64)
        return 0


def refuses(development: bool, keys: bytes) -> str | None:
    """Why a release build refuses an identity; `keys` as the factory writes them."""
    found = lib.host_factory_refuses(int(development), keys, len(keys))
    if found == ffi.NULL:
        return None
    text = ffi.string(found)
    assert isinstance(text, bytes)
    return text.decode()


def private_key_der(key: ec.EllipticCurvePrivateKey) -> bytes:
    """SEC1 as the board keeps its key."""
    der: Any = ffi.new("uint8_t[]", PRIVATE_KEY_BYTES)
    lib.host_private_key_write(key.private_numbers().private_value.to_bytes(32, "big"), public_point(key), der)
    return bytes(ffi.buffer(der))


def _write(out: Any, text: str) -> None:
    data = text.encode()[: _STATE_BYTES - 1] + b"\0"
    ffi.memmove(out, data, len(data))
