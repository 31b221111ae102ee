"""The command parser: what the contract allows is read, anything else is refused, and nothing crashes it."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whir_contracts.contract import COMMANDS, ErrorCode
from whir_node.library import ffi, lib

ROOT = Path(__file__).parents[2]
KINDS = [
    "receipt",
    "update",
    "rollback",
    "measure",
    "commission",
    "capture",
    "thresholds",
    "identify",
    "restart",
    "factory_reset",
    "firmware",
    "setting",
    "renew",
]
UPDATE = {"v": 1, "c": "update", "id": "u-1", "exp": 2_000_000_000, "url": "http://fleet/a.whir", "bytes": 4096}
VALUES: dict[str, Any] = {
    "boot": 3,
    "seq": [1, 2, 3],
    "id": "u-1",
    "exp": 2**40,
    "url": "http://fleet/a.whir",
    "bytes": 4096,
    "deadline_s": 60,
    "shadow_s": 600,
    "seconds": 900,
    "raise_permille": 900,
    "clear_permille": 400,
    "key": "ntp",
    "value": "10.0.0.1",
}


def parse(payload: bytes | dict[str, Any]) -> tuple[int, Any]:
    data = json.dumps(payload).encode() if isinstance(payload, dict) else payload
    command = ffi.new("host_command_t *")
    # an exact allocation, so that a sanitizer sees a read past the end
    code = lib.host_command_parse(ffi.new("uint8_t[]", data) if data else ffi.NULL, len(data), command)
    return code, command


def text(field: Any) -> str:
    return bytes(ffi.string(field)).decode()


class TestContract:
    @pytest.mark.parametrize("name", sorted(COMMANDS))
    def test_every_command_of_the_contract_is_read(self, name: str) -> None:
        fields = [*COMMANDS[name]["required"], *COMMANDS[name]["optional"]]
        code, command = parse({"v": 1, "c": name, **{f: VALUES[f] for f in fields}})
        assert code == 0
        assert command.kind == KINDS.index(name)
        assert text(command.c) == name
        for field in fields:
            if field == "seq":
                assert list(command.seq)[: command.seq_count] == VALUES["seq"]
            elif field == "exp":
                assert command.exp_s == VALUES["exp"]
            elif field in ("url", "value"):
                assert text(command.text) == VALUES[field]
            elif isinstance(VALUES[field], str):
                assert text(getattr(command, field)) == VALUES[field]
            else:
                assert getattr(command, field) == VALUES[field]

    @pytest.mark.parametrize("name", sorted(COMMANDS))
    def test_each_required_field_is_required(self, name: str) -> None:
        required = COMMANDS[name]["required"]
        whole = {"v": 1, "c": name, **{f: VALUES[f] for f in required}}
        for missing in whole:
            code, _ = parse({k: v for k, v in whole.items() if k != missing})
            assert code == ErrorCode.COMMAND, missing

    def test_optional_fields_may_be_left_out(self) -> None:
        code, command = parse(UPDATE)
        assert code == 0
        assert command.deadline_s == 0


class TestFields:
    @pytest.mark.parametrize("extra", ["text", 12, -3, 2.5, 1e300, True, None, [], [1, 2], 2**70])
    def test_fields_that_we_do_not_know_are_passed_over(self, extra: Any) -> None:
        assert parse({"later": extra, **UPDATE, "long" * 20: extra})[0] == 0

    @pytest.mark.parametrize("field", ["id", "c", "v", "exp", "url", "bytes"])
    def test_a_known_field_twice_is_refused(self, field: str) -> None:
        payload = json.dumps(UPDATE)[:-1] + f', "{field}": {json.dumps(UPDATE[field])}}}'
        assert parse(payload.encode())[0] == ErrorCode.COMMAND

    def test_a_field_doubled_by_an_escape_in_its_key_is_refused_too(self) -> None:
        payload = json.dumps(UPDATE)[:-1] + r', "\u0069d": "other"}'
        assert parse(payload.encode())[0] == ErrorCode.COMMAND

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("id", ""),
            ("id", "x" * 40),
            ("id", 7),
            ("id", None),
            ("exp", -1),
            ("exp", "2000000000"),
            ("exp", 1.5),
            ("exp", 2**64),
            ("url", ""),
            ("url", "u" * 512),
            ("bytes", 2**32),
            ("bytes", True),
            ("bytes", [1]),
            ("deadline_s", -1),
        ],
    )
    def test_values_of_another_type_or_out_of_range_are_refused(self, field: str, value: Any) -> None:
        assert parse({**UPDATE, field: value})[0] == ErrorCode.COMMAND

    def test_the_longest_id_and_url_fit(self) -> None:
        code, command = parse({**UPDATE, "id": "i" * 39, "url": "u" * 511})
        assert code == 0
        assert text(command.id) == "i" * 39
        assert text(command.text) == "u" * 511

    def test_a_url_and_a_value_do_not_stand_in_one_command(self) -> None:
        assert parse({**UPDATE, "value": "http://elsewhere/"})[0] == ErrorCode.COMMAND

    def test_a_setting_may_be_set_to_nothing_and_to_a_whole_certificate(self) -> None:
        setting = {"v": 1, "c": "setting", "id": "s-1", "exp": 2_000_000_000, "key": "ntp"}
        for value in ("", "c" * 767):
            code, command = parse({**setting, "value": value})
            assert (code, text(command.text)) == (0, value)
        assert parse({**setting, "value": "c" * 768})[0] == ErrorCode.COMMAND

    def test_another_message_version_is_named_as_such(self) -> None:
        assert parse({**UPDATE, "v": 2})[0] == ErrorCode.VERSION

    def test_an_unknown_command_is_refused_and_the_answer_can_name_it(self) -> None:
        code, command = parse({**UPDATE, "c": "selfdestruct"})
        assert code == ErrorCode.COMMAND
        assert (text(command.c), text(command.id)) == ("selfdestruct", "u-1")

    def test_the_id_is_known_though_a_field_before_it_is_wrong(self) -> None:
        code, command = parse({"bytes": "many", **{k: v for k, v in UPDATE.items() if k != "bytes"}})
        assert code == ErrorCode.COMMAND
        assert text(command.id) == "u-1"

    def test_escapes_are_decoded(self) -> None:
        code, command = parse(rb'{"v":1,"c":"mea\u0073ure","id":"a\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00","exp":9}')
        assert code == 0
        assert text(command.id) == 'a"\\/\b\f\n\r\tä😀'

    def test_a_receipt_takes_64_numbers_and_not_65(self) -> None:
        code, command = parse({"v": 1, "c": "receipt", "boot": 1, "seq": list(range(2**32 - 64, 2**32))})
        assert code == 0
        assert list(command.seq) == list(range(2**32 - 64, 2**32))
        assert parse({"v": 1, "c": "receipt", "boot": 1, "seq": list(range(65))})[0] == ErrorCode.JSON

    def test_an_empty_receipt_is_one(self) -> None:
        code, command = parse({"v": 1, "c": "receipt", "boot": 1, "seq": []})
        assert code == 0
        assert command.seq_count == 0


class TestGarbage:
    @pytest.mark.parametrize(
        "payload",
        [
            b"",
            b"{",
            b"}",
            b"[]",
            b"null",
            b'"update"',
            b"{}x",
            b"{}{}",
            b'{"v":1,}',
            b'{,"v":1}',
            b'{"v" 1}',
            b'{"v":}',
            b"{v:1}",
            b"{'v':1}",
            b'{"v":01}',
            b'{"v":+1}',
            b'{"v":1.}',
            b'{"v":.5}',
            b'{"v":1e}',
            b'{"v":0x1}',
            b'{"v":NaN}',
            b'{"v":-}',
            b'{"v":tru}',
            b'{"v":{"a":1}}',
            b'{"v":[[1]]}',
            b'{"v":[1,]}',
            b'{"v":[,1]}',
            b'{"v":[1 2]}',
            b'{"v":["1"]}',
            b'{"v":[-1]}',
            b'{"v":[4294967296]}',
            b'{"v":"\x01"}',
            b'{"v":"\xff"}',
            b'{"v":"\xc0\x80"}',
            b'{"v":"\xed\xa0\x80"}',
            b'{"v":"\\x"}',
            b'{"v":"\\u12"}',
            b'{"v":"\\u0000"}',
            b'{"v":"\\ud800"}',
            b'{"v":"\\udc00\\ud800"}',
            b'{"v":"\\ud800\\u0041"}',
            b'{"v":"abc',
            b'{"v":"abc\\',
            b"\xef\xbb\xbf{}",
            b'{"v":1}\0',
        ],
    )
    def test_what_is_not_flat_json_is_refused(self, payload: bytes) -> None:
        assert parse(payload)[0] == ErrorCode.JSON

    def test_every_truncation_of_a_command_is_refused(self) -> None:
        payload = json.dumps(UPDATE).encode()
        for length in range(len(payload)):
            assert parse(payload[:length])[0] == ErrorCode.JSON

    def test_white_space_may_stand_around_everything(self) -> None:
        payload = b' \r\n{ "v" : 1 , "c":"receipt"\t, "boot" : 2, "seq" : [ 1 , 2 ] } \n'
        code, command = parse(payload)
        assert code == 0
        assert list(command.seq)[:2] == [1, 2]

    def test_more_than_a_kilobyte_is_refused_unread(self) -> None:
        payload = json.dumps(UPDATE).encode()
        assert parse(payload + b" " * (1024 - len(payload)))[0] == 0
        assert parse(payload + b" " * (1025 - len(payload)))[0] == ErrorCode.JSON

    @given(st.binary(max_size=1100))
    def test_random_bytes_never_make_a_command(self, payload: bytes) -> None:
        assert parse(payload)[0] < 0

    @settings(max_examples=300)
    @given(st.data())
    def test_a_damaged_command_is_refused_or_means_what_python_reads(self, data: st.DataObject) -> None:
        payload = bytearray(json.dumps(UPDATE).encode())
        for _ in range(data.draw(st.integers(1, 4))):
            payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
        code, command = parse(bytes(payload))
        if code == 0:
            read = json.loads(payload)
            assert (text(command.c), text(command.id), text(command.text)) == (read["c"], read["id"], read["url"])
            assert (command.bytes, command.exp_s) == (read["bytes"], read["exp"])

    @given(
        st.dictionaries(
            st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12),
            st.none()
            | st.booleans()
            | st.integers(0, 2**32 - 1)
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(max_size=9),
            max_size=12,
        )
    )
    def test_flat_json_of_any_kind_is_read_as_json(self, fields: dict[str, Any]) -> None:
        payload = json.dumps(fields, ensure_ascii=False).encode("utf-8", "surrogatepass")
        code, _ = parse(payload)
        has_nul_or_surrogate = any(
            isinstance(v, str) and ("\0" in v or (not v.isascii() and _has_surrogate(v))) for v in fields.values()
        )
        assert code in ((ErrorCode.JSON,) if has_nul_or_surrogate else (ErrorCode.COMMAND, ErrorCode.VERSION))


def _has_surrogate(value: str) -> bool:
    return any(0xD800 <= ord(c) <= 0xDFFF for c in value)


FUZZ = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "whir/command.h"
int main(void)
{
    static uint8_t line[4096];
    uint32_t length;
    while (fread(&length, 4, 1, stdin) == 1 && length <= sizeof line && fread(line, 1, length, stdin) == length) {
        uint8_t *exact = malloc(length + (length == 0)); /* a read past the end is seen */
        whir_command_t command;
        memcpy(exact, line, length);
        printf("%d\n", whir_command_parse(&command, exact, length));
        free(exact);
    }
    return 0;
}
"""


def test_the_sanitizers_find_nothing_in_200_000_damaged_commands(tmp_path: Path) -> None:
    core = ROOT / "firmware/core"
    (tmp_path / "fuzz.c").write_text(FUZZ)
    sources = [core / "src" / name for name in ("command.c", "json_read.c", "utf8.c")]
    subprocess.run(
        ["gcc", "-O1", "-g", "-std=c99", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
        + ["-I", str(core / "include"), "-I", str(core / "src"), "-o", str(tmp_path / "fuzz"), str(tmp_path / "fuzz.c")]
        + [str(s) for s in sources],
        check=True,
    )
    rng = random.Random(7)
    seeds = [
        json.dumps(UPDATE).encode(),
        json.dumps({"v": 1, "c": "receipt", "boot": 1, "seq": list(range(20))}).encode(),
        rb'{"v":1,"c":"measure","id":"a\"\\\u00e4\ud83d\ude00","exp":9,"x":-1.5e+3,"y":null}',
    ]
    pieces = [b"{", b"}", b"[", b"]", b'"', b"\\", b"\\u", b"\\ud83d", b",", b":", b"-", b"0", b"1e9", b"\xf0\x9f", b"\xff"]
    cases = []
    for _ in range(200_000):
        case = bytearray(rng.choice(seeds))
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(case) + 1)
            case[at : at + rng.randint(0, 3)] = rng.choice(pieces) if rng.random() < 0.5 else rng.randbytes(rng.randint(0, 3))
        cases.append(bytes(case[: rng.randint(0, len(case))] if rng.random() < 0.3 else case))
    feed = b"".join(len(c).to_bytes(4, sys.byteorder) + c for c in cases)
    done = subprocess.run(
        [str(tmp_path / "fuzz")], input=feed, capture_output=True, env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert len(done.stdout.splitlines()) == len(cases)
