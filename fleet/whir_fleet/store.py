"""A batch of messages into the database in one transaction. No MQTT here: what is committed is the return value."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import msgspec
from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from whir_contracts import contract
from whir_fleet import alerts, captures, commands, devices, enrolment, rollouts
from whir_fleet.db import among, insert_rows, present, raise_numbers, upsert_rows
from whir_fleet.messages import CAPTURE, Inbound, Name, Parsed, UnreadableError, parse
from whir_fleet.models import BootCount, DeadLetter, Event, Message, Node, Telemetry, table

RECEIPTED = ("alert", "event")  # the node keeps these until the receipt; for captures see `captures.whole`
_TOPIC_CHARS, _PAYLOAD_BYTES = 512, 2048  # of a dead letter

_KEY = ("node_id", "boot", "seq")
_TELEMETRY_FIELDS = (
    "ts",
    "synced",
    "verdict",
    "p",
    "windows",
    "quality",
    "novelty",
    "zone",
    "zone_reason",
    "velocity",
    "velocity_hz",
    "rms",
    "unit",
    "model",
    "counter",
    "slot",
)
_TELEMETRY_COLUMNS = (*_KEY, "at_ms", "received_ms", *_TELEMETRY_FIELDS, "classes", "verdicts")
_LEDGER_COLUMNS = (*_KEY, "topic")
_COUNT_COLUMNS = ("node_id", "boot", "first_seq", "last_seq", "received", "pruned_seq")
_COUNT_MORE = """ON CONFLICT (node_id, boot) DO UPDATE SET
    received = boot_count.received + excluded.received,
    first_seq = CASE WHEN excluded.first_seq < boot_count.first_seq THEN excluded.first_seq ELSE boot_count.first_seq END,
    last_seq = CASE WHEN excluded.last_seq > boot_count.last_seq THEN excluded.last_seq ELSE boot_count.last_seq END"""
_EVENT_FIELDS = (
    "kind",
    "code",
    "text",
    "action",
    "model",
    "model_version",
    "counter",
    "slot",
    "vector",
    "byte",
    "got",
    "wanted",
)


_json = msgspec.json.encode
Key = tuple[int, int, int]  # node id, boot, seq
Row = tuple[Any, ...]


@dataclass
class Stored:
    """What one batch did. `receipts`: (site, node) → the (boot, seq) that are now safe, those from before included."""

    new: int = 0
    duplicates: int = 0
    unreadable: int = 0
    wills: int = 0
    wake_worker: bool = False
    receipts: dict[Name, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    ids: dict[Name, int] = field(default_factory=dict)


def store(
    session: Session,
    batch: list[Inbound],
    dead_letters_max: int,
    enrolled_only: bool = False,
    known: Mapping[Name, int] = MappingProxyType({}),
) -> Stored:
    """Writes the batch; the caller commits, then sends the receipts, then acknowledges to the broker.

    What comes from a retired node, or with `enrolled_only` from one that no factory has enrolled, is buried.
    `known` are ids of nodes from batches that were committed; what this one adds to them is in `Stored.ids`.
    """
    done = Stored()
    taken: list[tuple[Inbound, Parsed]] = []
    for inbound in batch:
        try:
            message = parse(inbound)
        except UnreadableError as error:
            bury(session, inbound, str(error))
            done.unreadable += 1
            continue
        taken.append((inbound, message))
    refused = enrolment.refused(session, {m.name for _, m in taken}, enrolled_only)
    readable = [message for _, message in taken if message.name not in refused]
    strangers: dict[Name, int] = {}
    for message in readable:
        if message.name not in known:
            strangers.setdefault(message.name, message.received_ms)
    done.ids = devices.register(session, strangers) if strangers else {}
    ids = {**known, **done.ids} if strangers else known
    if any(map(_timed_here, readable)):
        devices.lock(session, {ids[m.name] for m in readable})
    counted = _counted(session, {(ids[m.name], m.boot) for m in readable})
    wills: list[tuple[int, Parsed]] = []
    messages: dict[Key, Parsed] = {}
    doubtful: set[Key] = set()
    chunks: list[tuple[int, Parsed]] = []
    for inbound, message in taken:
        if message.name in refused:
            bury(session, inbound, refused[message.name])
            done.unreadable += 1
            continue
        node_id = ids[message.name]
        if message.seq is None:
            wills.append((node_id, message))
            continue
        boot = node_id, message.boot
        last, pruned = counted.get(boot, (message.seq, -1))  # a boot may begin anywhere: this fleet may be new
        if message.seq - last > contract.MESSAGE_SEQ_JUMP_MAX:
            bury(session, inbound, f"field seq: {message.seq} after {last}: jumps by more than seq_jump_max")
            done.unreadable += 1
            continue
        counted[boot] = max(last, message.seq), pruned
        if message.topic in RECEIPTED:
            done.receipts[message.name].append((message.boot, message.seq))
        if message.topic == CAPTURE:
            chunks.append((node_id, message))
        key = node_id, message.boot, message.seq
        if key in messages or (message.topic == "telemetry" and message.seq <= pruned):
            done.duplicates += 1
            continue
        messages[key] = message
        if message.seq <= last and _timed_here(message):
            doubtful.add(key)
    if done.unreadable:
        _prune(session, dead_letters_max)
    _enter(session, messages, doubtful, wills, done)
    for node_id, message in chunks:
        if message.seq is not None and captures.whole(session, node_id, message.body["chunk"]):
            done.receipts[message.name].append((message.boot, message.seq))
    return done


def _counted(session: Session, boots: set[tuple[int, int]]) -> dict[tuple[int, int], tuple[int, int]]:
    """Of these (node, boot) that are known: the highest seq so far, and up to which telemetry has been pruned (-1: none)."""
    row = table(BootCount)
    nodes, numbers = {node_id for node_id, _ in boots}, {boot for _, boot in boots}  # pairs would be planned one by one
    mine = among(session, row.c.node_id, nodes), among(session, row.c.boot, numbers)
    found = session.execute(select(row.c.node_id, row.c.boot, row.c.last_seq, row.c.pruned_seq).where(*mine))
    return {(node_id, boot): (last_seq, pruned_seq) for node_id, boot, last_seq, pruned_seq in found}


def _timed_here(message: Parsed) -> bool:
    """Telemetry of a clock that is not set is of the time when it comes, and of another when it comes again: maybe of another
    day, whose key does not know it. So its node is locked, and what may have come before is looked up."""
    return message.topic == "telemetry" and not message.body["synced"]


def _enter(
    session: Session, messages: dict[Key, Parsed], doubtful: set[Key], wills: list[tuple[int, Parsed]], done: Stored
) -> None:
    """Everything into its table, once. Rows of nodes are locked in the order of their ids, by every process."""
    there = present(session, table(Telemetry), _KEY, doubtful)
    others = {key: message for key, message in messages.items() if message.topic != "telemetry"}
    telemetry = {key: _telemetry(key, m) for key, m in messages.items() if m.topic == "telemetry" and key not in there}
    fresh = _insert_new(session, Telemetry, _TELEMETRY_COLUMNS, telemetry)
    _seen(session, messages)
    if others:
        fresh |= _insert_new(session, Message, _LEDGER_COLUMNS, {key: (*key, m.topic) for key, m in others.items()})
    _count(session, fresh)
    done.new += len(fresh)
    done.duplicates += len(messages) - len(fresh)
    for node_id, message in wills:
        devices.apply_status(session, node_id, message)
        done.wills += 1
    alarmed = {node_id for (node_id, _, _), message in others.items() if message.topic == "alert"}
    query = select(Node).where(among(session, Node.id, alarmed))
    nodes = {node.id: node for node in session.scalars(query)} if alarmed else {}
    for key, message in others.items():
        if key in fresh:
            _apply(session, key, message, nodes)
            done.wake_worker |= message.topic != CAPTURE


def _insert_new(session: Session, model: type[Message | Telemetry], columns: Sequence[str], rows: dict[Key, Row]) -> set[Key]:
    """Inserts what is not there yet; returns its keys. Nearly always that is all: only when not, it asks what is there."""
    fresh = set(rows)
    while fresh:
        try:
            with session.begin_nested():
                insert_rows(session, table(model), columns, [rows[key] for key in rows if key in fresh])
            return fresh
        except IntegrityError:
            there = present(session, table(model), _KEY, fresh)
            if not there:
                raise  # not a second delivery: the row itself is refused
            fresh -= there
    return fresh


def _count(session: Session, fresh: set[Key]) -> None:
    """Adds to the counts per (node, boot), from which the losses follow."""
    seqs: dict[tuple[int, int], list[int]] = defaultdict(list)
    for node_id, boot, seq in fresh:
        seqs[node_id, boot].append(seq)
    if seqs:
        rows = [(node_id, boot, min(s), max(s), len(s), -1) for (node_id, boot), s in sorted(seqs.items())]
        upsert_rows(session, table(BootCount), _COUNT_COLUMNS, rows, _COUNT_MORE)


def _seen(session: Session, messages: dict[Key, Parsed]) -> None:
    newest: dict[int, int] = {}
    for (node_id, _, _), message in messages.items():  # no last will: that is the broker speaking
        if newest.get(node_id, 0) < message.received_ms:
            newest[node_id] = message.received_ms
    if newest:
        raise_numbers(session, table(Node), "last_seen_ms", sorted(newest.items()))


def _apply(session: Session, key: Key, message: Parsed, nodes: dict[int, Node]) -> None:
    """What a message that is no telemetry does beyond the ledger. `nodes`: those of alerts."""
    node_id = key[0]
    match message.topic:
        case "event":
            session.add(Event(**_event(key, message)))
            rollouts.on_event(session, node_id, message)
        case "alert":
            alerts.apply(session, nodes[node_id], message)
        case "ack":
            command = commands.on_ack(session, node_id, message)
            if command is not None:
                rollouts.on_answer(session, command, message.received_ms)
        case "status":
            devices.apply_status(session, node_id, message)
        case "capture":
            captures.take(session, node_id, message)


def _telemetry(key: Key, message: Parsed) -> Row:
    get = message.body.get
    classes, verdicts = get("classes"), get("verdicts")
    return (
        *key,
        message.at_ms,
        message.received_ms,
        *map(get, _TELEMETRY_FIELDS),
        None if classes is None else _json(classes).decode(),
        None if verdicts is None else _json(verdicts).decode(),
    )


def _event(key: Key, message: Parsed) -> dict[str, Any]:
    values = {name: message.body.get(name) for name in _EVENT_FIELDS}
    node_id, boot, seq = key
    return {"node_id": node_id, "boot": boot, "seq": seq, "at_ms": message.at_ms, "received_ms": message.received_ms, **values}


def bury(session: Session, message: Inbound, reason: str) -> None:
    """Into the dead letters: topic, reason, the first bytes of the payload."""
    session.add(
        DeadLetter(
            received_ms=message.received_ms,
            topic=message.topic[:_TOPIC_CHARS].replace("\0", "�"),
            reason=reason[:_TOPIC_CHARS].replace("\0", "�").encode(errors="replace").decode(),
            payload=message.payload[:_PAYLOAD_BYTES],
        )
    )


def _prune(session: Session, dead_letters_max: int) -> None:
    session.flush()
    newest = session.scalar(select(func.max(DeadLetter.id)))
    if newest is not None:
        session.execute(delete(DeadLetter).where(DeadLetter.id <= newest - dead_letters_max))
