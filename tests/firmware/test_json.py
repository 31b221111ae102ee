"""The JSON writer: whatever it is given, a JSON parser reads it back."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from whir_contracts.contract import ErrorCode
from whir_node.library import ffi, lib

text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60)


def written(result: int, buffer: object) -> bytes:
    assert result > 0
    return bytes(ffi.buffer(buffer, result))


@given(text, text)
def test_any_unicode_text_is_read_back_as_it_was(key: str, value: str) -> None:
    buffer = ffi.new("char[1024]")
    out = written(lib.host_json_string(key.encode(), value.encode(), buffer, 1024), buffer)
    assert json.loads(out) == {key: value}


@given(st.binary(max_size=60).filter(lambda b: 0 not in b))
def test_bytes_that_are_not_utf8_become_replacement_characters(value: bytes) -> None:
    buffer = ffi.new("char[1024]")
    out = written(lib.host_json_string(b"k", value, buffer, 1024), buffer)
    read = json.loads(out.decode())["k"]
    try:
        assert read == value.decode()
    except UnicodeDecodeError:
        assert "�" in read


def test_no_text_is_null() -> None:
    buffer = ffi.new("char[64]")
    assert written(lib.host_json_string(b"k", ffi.NULL, buffer, 64), buffer) == b'{"k":null}'


@given(st.integers(0, 2**64 - 1))
def test_u64(value: int) -> None:
    buffer = ffi.new("char[64]")
    assert json.loads(written(lib.host_json_u64(b"k", value, buffer, 64), buffer)) == {"k": value}


@given(st.integers(-(2**31), 2**31 - 1))
def test_i32(value: int) -> None:
    buffer = ffi.new("char[64]")
    assert json.loads(written(lib.host_json_i32(b"k", value, buffer, 64), buffer)) == {"k": value}


def test_maps_and_commas() -> None:
    buffer = ffi.new("char[64]")
    out = written(lib.host_json_map(b"a", 7, buffer, 64), buffer)
    assert out == b'{"a":{"a":7,"a2":true},"a3":null}'


def test_what_does_not_fit_is_an_error_and_nothing_is_written_past_the_end() -> None:
    whole = b'{"a":{"a":7,"a2":true},"a3":null}'
    for room in range(len(whole)):
        buffer = ffi.new("char[64]", b"\x55" * 63)
        assert lib.host_json_map(b"a", 7, buffer, room) == ErrorCode.SPACE
        assert bytes(ffi.buffer(buffer, 64))[room:63] == b"\x55" * (63 - room)
