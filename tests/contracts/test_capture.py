"""A chunk of a capture: written and read by the contract, and refused when anything in it does not fit."""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whir_contracts.capture import CaptureError, Chunk, frames_max
from whir_contracts.contract import CAPTURE_HEADER, CAPTURE_SAMPLES, MESSAGE_MESSAGE_MAX_BYTES, CaptureTrigger, Unit

CHUNK = Chunk(
    boot=3,
    seq=40,
    ts=1_700_000_000_000,
    synced=True,
    trigger=CaptureTrigger.ALERT,
    unit=Unit.G,
    rate_mhz=3_200_000,
    lsb_nano=61_000,
    capture_boot=3,
    capture=0,
    samples=200,
    pre=80,
    chunk=1,
    chunks=2,
    first=152,
    occurrence=17,
    action=None,
    frames=np.arange(48 * 3, dtype=np.int16).reshape(48, 3) - 70,
)


def offset(name: str) -> int:
    sizes = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "text40": 40}
    at = 0
    for field, kind in CAPTURE_HEADER:
        if field == name:
            return at
        at += sizes[kind]
    raise KeyError(name)


def changed(name: str, value: int) -> bytes:
    payload = bytearray(CHUNK.write())
    payload[offset(name)] = value
    return bytes(payload[:-4]) + zlib.crc32(payload[:-4]).to_bytes(4, "little")


def test_a_chunk_comes_back_as_it_was_written():
    read = Chunk.read(CHUNK.write())
    assert (read.frames == CHUNK.frames).all()
    assert {k: v for k, v in vars(read).items() if k != "frames"} == {k: v for k, v in vars(CHUNK).items() if k != "frames"}
    asked = Chunk.read(replace(CHUNK, occurrence=None, action="c-1", trigger=CaptureTrigger.COMMAND).write())
    assert (asked.occurrence, asked.action) == (None, "c-1")


def test_a_full_chunk_fits_a_message_for_any_number_of_axes():
    for channels in (1, 2, 3):
        frames = np.zeros((frames_max(channels), channels), np.int16)
        chunks = -(-CAPTURE_SAMPLES // len(frames))
        full = replace(CHUNK, frames=frames, samples=CAPTURE_SAMPLES, chunk=0, first=0, chunks=chunks)
        assert MESSAGE_MESSAGE_MAX_BYTES - 2 * channels < len(full.write()) <= MESSAGE_MESSAGE_MAX_BYTES
        assert Chunk.read(full.write()).chunks == chunks


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("magic", 0, "magic"),
        ("format_version", 2, "version"),
        ("channels", 4, "channels"),
        ("channels", 0, "channels"),
        ("trigger", 9, "9"),
        ("unit", 9, "9"),
        ("samples", 199, "bytes of samples"),
        ("samples", 0, "samples 0"),
        ("pre", 201, "pre 201"),
        ("chunk", 2, "chunk 2"),
        ("chunks", 3, "of 3"),
        ("first", 151, "at 151"),
        ("action", 0xFF, "utf-8"),
    ],
)
def test_a_field_that_does_not_fit_is_refused_by_name(name: str, value: int, reason: str):
    with pytest.raises(CaptureError, match=reason):
        Chunk.read(changed(name, value))


def test_damage_and_truncation_are_refused():
    payload = CHUNK.write()
    for at in range(8, len(payload)):
        with pytest.raises(CaptureError):
            Chunk.read(payload[:at] + bytes([payload[at] ^ 0x10]) + payload[at + 1 :])
    for size in (0, 50, 107, len(payload) - 1):
        with pytest.raises(CaptureError):
            Chunk.read(payload[:size])


@given(st.binary(max_size=1100))
def test_foreign_bytes_are_refused_and_nothing_else_happens(payload: bytes):
    with pytest.raises(CaptureError):
        Chunk.read(payload)
