"""Messages: what the contract allows comes through, everything else is named and refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whir_contracts import contract
from whir_fleet import messages
from whir_fleet.messages import TOPICS, Inbound, UnreadableError, command, fits, parse, receipts

DEFAULTS: dict[str, dict[str, Any]] = {
    "status": {"conn": 1, "state": "ok"},
    "telemetry": {"verdict": "normal", "p": 930, "windows": 8},
    "alert": {"occurrence": "n1-1-5", "state": "active", "severity": "warning", "verdict": "bearing", "p": 910},
    "event": {"kind": "boot"},
    "ack": {"id": "01J", "c": "measure", "result": "ok"},
}
Says = Callable[..., Inbound]


def refusal(message: Inbound) -> str:
    with pytest.raises(UnreadableError) as caught:
        parse(message)
    return str(caught.value)


@pytest.mark.parametrize("topic", TOPICS)
def test_a_message_of_every_topic_is_read(says: Says, topic: str) -> None:
    parsed = parse(says(topic, seq=7, boot=3, node="pump-1", site="plant"))
    assert (parsed.site, parsed.node, parsed.topic, parsed.boot, parsed.seq) == ("plant", "pump-1", topic, 3, 7)


@pytest.mark.parametrize("topic", TOPICS)
def test_every_required_field_is_required(says: Says, topic: str) -> None:
    for name in contract.TOPICS[topic]["required"]:
        assert name in refusal(says(topic, **{"seq": 1, name: ...}))


@pytest.mark.parametrize(
    ("topic", "fields", "reason"),
    [
        ("telemetry", {"p": "930"}, "field p: not u32"),
        ("telemetry", {"p": True}, "field p: not u32"),
        ("telemetry", {"p": -1}, "field p: not u32"),
        ("telemetry", {"p": 1.0}, "field p: not u32"),
        ("telemetry", {"p": 2**32}, "field p: not u32"),
        ("telemetry", {"ts": 2**63}, "field ts: not u64"),
        ("telemetry", {"synced": 1}, "field synced: not bool"),
        ("telemetry", {"classes": {"normal": -1}}, "field classes: not map"),
        ("telemetry", {"verdict": "a\0b"}, "field verdict: not str"),
        ("telemetry", {"verdict": None}, "field verdict: not str"),
        ("telemetry", {"v": 2}, "field v"),
        ("telemetry", {"seq": ...}, "field seq is missing"),
        ("alert", {"severity": "awful"}, "field severity: not one of"),
        ("alert", {"state": "open"}, "field state: not one of"),
        ("status", {"seq": ...}, "field seq is missing"),
        ("event", {"kind": "party"}, "field kind: not one of"),
    ],
)
def test_a_wrong_field_is_named(says: Says, topic: str, fields: dict[str, Any], reason: str) -> None:
    assert reason in refusal(says(topic, **{"seq": 1, **fields}))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        b'{"v":1',
        b"[" * 1000,
        b'{"v":1,"boot":1,"seq":1,"ts":1,"synced":true,"verdict":"\\ud800","p":1,"windows":1}',
        b'{"v":1,"boot":NaN}',
        b" " * 1025,
    ],
)
def test_what_is_no_message_is_refused_and_nothing_else_happens(payload: bytes) -> None:
    refusal(Inbound("whir/v1/lab/n1/telemetry", payload, 0))


@pytest.mark.parametrize(
    "topic",
    [
        "whir/v1/lab/n1/cmd",
        "whir/v1/lab/_fleet/alert/x",
        "whir/v1/Lab/n1/status",
        "whir/v1/lab//status",
        "whir/v2/lab/n1/status",
        "",
    ],
)
def test_a_topic_that_is_not_a_nodes_is_refused(topic: str) -> None:
    assert "topic" in refusal(Inbound(topic, b"{}", 0))


@pytest.mark.parametrize("field", ["site", "node"])
def test_a_node_cannot_speak_for_another(says: Says, field: str) -> None:
    said = says("status", seq=1)
    body = json.loads(said.payload) | {field: "other"}
    assert "differs from the topic" in refusal(Inbound(said.topic, json.dumps(body).encode(), 0))


def test_an_unknown_field_is_dropped_so_that_newer_nodes_are_heard(says: Says) -> None:
    assert "colour" not in parse(says("telemetry", seq=1, colour="red")).body


def test_a_last_will_has_no_number_and_needs_its_connection(says: Says) -> None:
    will = parse(says("status", state="lost", boot=2, conn=5, ts=..., synced=...))
    assert (will.seq, will.boot, will.body["conn"]) == (None, 2, 5)
    assert "conn" in refusal(says("status", state="lost", conn=...))


def test_time_is_the_nodes_own_when_synchronized_else_the_arrivals(says: Says) -> None:
    assert parse(says("telemetry", seq=1, ts=5, synced=True, received_ms=9000)).at_ms == 5
    assert parse(says("telemetry", seq=1, ts=5, synced=False, received_ms=9000)).at_ms == 9000


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*contract.FIELD_TYPES]), inner, max_size=12),
    max_leaves=15,
)


@given(st.sampled_from(TOPICS), st.binary(max_size=200) | _VALUES.map(lambda value: json.dumps(value).encode()))
def test_whatever_comes_is_read_or_refused(topic: str, payload: bytes) -> None:
    try:
        parsed = parse(Inbound(f"whir/v1/lab/n1/{topic}", payload, 1))
    except UnreadableError:
        return
    assert all(fits(value, contract.FIELD_TYPES[name]) for name, value in parsed.body.items())


def test_receipts_hold_at_most_64_numbers_of_one_boot_and_stay_under_a_kilobyte() -> None:
    committed = [(1, seq) for seq in range(2**32 - 130, 2**32)] + [(2, 5), (2, 5)]
    sent = [json.loads(payload) for payload in receipts(committed)]
    assert [(r["boot"], len(r["seq"])) for r in sent] == [(1, 64), (1, 64), (1, 2), (2, 1)]
    assert sorted((r["boot"], seq) for r in sent for seq in r["seq"]) == sorted(set(committed))
    assert all(len(payload) <= contract.MESSAGE_COMMAND_MAX_BYTES for payload in receipts(committed))


def test_a_command_is_held_to_the_contract() -> None:
    assert json.loads(command("measure", id="a", exp=5)) == {"v": 1, "c": "measure", "id": "a", "exp": 5}
    for args in ({"id": "a"}, {"id": "a", "exp": 1, "colour": 2}, {"id": "a" * 1100, "exp": 1}):
        with pytest.raises(ValueError, match="command measure"):
            command("measure", **args)


_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**33), 2**64), st.floats(), st.text(max_size=4),
    st.sampled_from(["a\0", "\ud800", "ok"]),
    st.dictionaries(st.text(max_size=3), st.integers(-1, 2**32), max_size=2), st.lists(st.integers(), max_size=2),
)  # fmt: skip


@given(topic=st.sampled_from(TOPICS), data=st.data())
def test_the_compiled_decoder_takes_nothing_that_the_contract_in_words_refuses(topic: str, data: st.DataObject) -> None:
    fields = contract.TOPICS[topic]["fields"]
    body = {"v": 1, "boot": 1, "seq": 2, "ts": 3, "synced": True, **DEFAULTS[topic]}
    body |= data.draw(st.dictionaries(st.sampled_from([*fields, "other"]), _VALUES, max_size=3))
    payload = json.dumps(body).encode()
    try:
        slow = messages._fields(topic, messages._object(payload))
    except UnreadableError:
        with pytest.raises(UnreadableError):
            messages._body(topic, payload)
    else:
        assert messages._body(topic, payload) == slow
