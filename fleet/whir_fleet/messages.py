"""Topics and JSON of the nodes, checked against the contract. No I/O and no database."""

from __future__ import annotations

import json
import re
from enum import IntEnum
from functools import lru_cache
from types import GenericAlias
from typing import Annotated, Any, Final, Literal, NotRequired, TypedDict

import msgspec

from whir_contracts import contract
from whir_contracts.capture import CaptureError, Chunk

TOPICS: Final = ("status", "telemetry", "alert", "event", "ack")  # what ingest reads, in JSON
CAPTURE: Final = "capture"  # and this, binary
_NAME = contract.NAME_SITE_NODE_PATTERN
_TOPIC: Final = re.compile(rf"{contract.TOPIC_PREFIX}/({_NAME})/({_NAME})/({'|'.join([*TOPICS, CAPTURE])})")

# (topic, field) → the names allowed on the wire
_ENUMS: Final[dict[tuple[str, str], type[IntEnum]]] = {
    ("status", "state"): contract.NodeState,
    ("alert", "state"): contract.AlertState,
    ("alert", "severity"): contract.Severity,
    ("event", "kind"): contract.EventKind,
    ("ack", "result"): contract.AckResult,
}
_NAMES: Final = {key: frozenset(member.name.lower() for member in enum) for key, enum in _ENUMS.items()}
_INT_MAX: Final = {"u32": 2**32 - 1, "u64": 2**63 - 1}  # the database's integers are signed


Name = tuple[str, str]  # site, node


class UnreadableError(ValueError):
    """The message breaks the contract; the text is the reason of the dead letter."""


class Inbound(msgspec.Struct, frozen=True, gc=False):
    """A message as the broker delivered it. `received_ms` is the fleet's clock, `mid` what it is acknowledged by (0: not)."""

    topic: str
    payload: bytes
    received_ms: int
    mid: int = 0


class Parsed(msgspec.Struct, frozen=True, gc=False):
    """A message by the contract. `seq` is None for a last will only."""

    name: Name
    topic: str
    boot: int
    seq: int | None
    at_ms: int
    received_ms: int
    body: dict[str, Any]

    @property
    def site(self) -> str:
        return self.name[0]

    @property
    def node(self) -> str:
        return self.name[1]


def _type(kind: str) -> Any:
    """The contract's type as `msgspec` checks it; `fits` is the same in words."""
    if kind.endswith("?"):
        return _type(kind[:-1]) | None
    if kind in _INT_MAX:
        return Annotated[int, msgspec.Meta(ge=0, le=_INT_MAX[kind])]
    if kind == "map":
        return GenericAlias(dict, (str, _type("u32")))
    return {"i32": Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)], "bool": bool, "str": str}[kind]


def _decoder(topic: str) -> msgspec.json.Decoder[dict[str, Any]]:
    """Takes the fields that the contract knows and leaves out the others."""
    spec = contract.TOPICS[topic]
    fields: dict[str, Any] = {}
    for name in spec["fields"]:
        names = _NAMES.get((topic, name))
        kind: Any = Literal[tuple(names)] if names is not None else _type(contract.FIELD_TYPES[name])
        fields[name] = kind if name in spec["required"] else NotRequired[kind]
    fields["v"] = Literal[contract.MESSAGE_VERSION]
    return msgspec.json.Decoder(TypedDict(topic, fields))  # type: ignore[operator]


_DECODERS: Final = {topic: _decoder(topic) for topic in TOPICS}


@lru_cache(maxsize=65_536)
def _address(topic: str) -> tuple[Name, str] | None:
    """Who speaks, and the topic's last level. A node always uses the same few topics."""
    match = _TOPIC.fullmatch(topic)
    return ((match[1], match[2]), match[3]) if match else None


def parse(message: Inbound) -> Parsed:
    """The message with every known field checked; fields that the contract does not know are dropped.

    UnreadableError says what is wrong, by topic level or field name.
    """
    address = _address(message.topic)
    if address is None:
        raise UnreadableError("topic is not one of the contract's")
    name, topic = address
    if topic == CAPTURE:
        return _capture(name, message)
    body = _body(topic, message.payload)
    if (body.get("site", name[0]), body.get("node", name[1])) != name:
        raise UnreadableError("site or node differs from the topic")
    seq = body.get("seq")
    if seq is None and not (topic == "status" and body["state"] == "lost"):
        raise UnreadableError("field seq is missing")
    if seq is None and "conn" not in body:
        raise UnreadableError("field conn is missing")
    at_ms = body["ts"] if body.get("synced") and "ts" in body else message.received_ms
    return Parsed(name, topic, body["boot"], seq, at_ms, message.received_ms, body)


def _capture(name: Name, message: Inbound) -> Parsed:
    try:
        chunk = Chunk.read(message.payload)
    except CaptureError as error:
        raise UnreadableError(str(error)) from error
    at_ms = chunk.ts if chunk.synced else message.received_ms
    return Parsed(name, CAPTURE, chunk.boot, chunk.seq, at_ms, message.received_ms, {"chunk": chunk})


def _body(topic: str, payload: bytes) -> dict[str, Any]:
    """Read at once by the compiled decoder; what that does not take is read again in steps, which say what is wrong with it."""
    if len(payload) <= contract.MESSAGE_MESSAGE_MAX_BYTES and b"\\u0000" not in payload:
        try:
            return _DECODERS[topic].decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
    return _fields(topic, _object(payload))


def _object(payload: bytes) -> dict[str, Any]:
    if len(payload) > contract.MESSAGE_MESSAGE_MAX_BYTES:
        raise UnreadableError(f"longer than {contract.MESSAGE_MESSAGE_MAX_BYTES} bytes")
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError; deep nesting recurses
        raise UnreadableError(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise UnreadableError("not a JSON object")
    if value.get("v") != contract.MESSAGE_VERSION:
        raise UnreadableError("field v: not a version that this fleet reads")
    return value


def _fields(topic: str, value: dict[str, Any]) -> dict[str, Any]:
    spec = contract.TOPICS[topic]
    for name in spec["required"]:
        if name not in value:
            raise UnreadableError(f"field {name} is missing")
    body: dict[str, Any] = {}
    for name in spec["fields"]:
        if name in value:
            if not fits(value[name], contract.FIELD_TYPES[name]):
                raise UnreadableError(f"field {name}: not {contract.FIELD_TYPES[name]}")
            names = _NAMES.get((topic, name))
            if names is not None and value[name] not in names:
                raise UnreadableError(f"field {name}: not one of {', '.join(sorted(names))}")
            body[name] = value[name]
    return body


def fits(value: object, kind: str) -> bool:
    """Whether a JSON value has the contract's type."""
    if kind.endswith("?"):
        if value is None:
            return True
        kind = kind[:-1]
    if kind in _INT_MAX:
        return type(value) is int and 0 <= value <= _INT_MAX[kind]
    if kind == "i32":
        return type(value) is int and -(2**31) <= value < 2**31
    if kind == "bool":
        return isinstance(value, bool)
    if kind == "str":
        return isinstance(value, str) and _storable(value)
    if kind == "map":
        return isinstance(value, dict) and all(_storable(k) and fits(v, "u32") for k, v in value.items())
    raise AssertionError(f"the contract has a type that ingest does not know: {kind}")


def _storable(text: str) -> bool:
    """No NUL (PostgreSQL refuses it) and no lone surrogate (no database takes it)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def command(c: str, **args: object) -> bytes:
    """A command as it goes to a node, checked against the contract. ValueError is a programmer's error or too long a URL."""
    spec = contract.COMMANDS[c]
    types = spec["required"] | spec["optional"]
    for name in spec["required"].keys() - args.keys():
        raise ValueError(f"command {c}: {name} is missing")
    for name in args.keys() - types.keys():
        raise ValueError(f"command {c}: {name} is unknown")
    text = json.dumps({"v": contract.MESSAGE_VERSION, "c": c, **args}, separators=(",", ":"))
    if len(text) > contract.MESSAGE_COMMAND_MAX_BYTES:
        raise ValueError(f"command {c}: longer than {contract.MESSAGE_COMMAND_MAX_BYTES} bytes")
    return text.encode()


def topic(site: str, node: str, name: str) -> str:
    return f"{contract.TOPIC_PREFIX}/{site}/{node}/{name}"


def receipts(committed: list[tuple[int, int]]) -> list[bytes]:
    """The `receipt` commands for these (boot, seq), at most 64 in each and none above 1 KB."""
    by_boot: dict[int, set[int]] = {}
    for boot, seq in committed:
        by_boot.setdefault(boot, set()).add(seq)
    size = contract.MESSAGE_RECEIPT_MAX_SEQ
    result = []
    for boot, seqs in sorted(by_boot.items()):
        ordered = sorted(seqs)
        result += [command("receipt", boot=boot, seq=ordered[i : i + size]) for i in range(0, len(ordered), size)]
    return result
