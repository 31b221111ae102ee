"""A batch of messages into the database in one transaction. No MQTT here: what is committed is the return value."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from sqlalchemy import case, delete, func, select, tuple_, update
from sqlalchemy.orm import Session

from whir_contracts import contract
from whir_fleet import alerts, commands, devices, enrolment, rollouts
from whir_fleet.db import insert
from whir_fleet.messages import Inbound, Parsed, UnreadableError, parse
from whir_fleet.models import BootCount, DeadLetter, Event, Message, Node, Telemetry, table

RECEIPTED = ("alert", "event")  # the node keeps these until the receipt
_TOPIC_CHARS, _PAYLOAD_BYTES = 512, 2048  # of a dead letter

_TELEMETRY_FIELDS = (
    "ts", "synced", "verdict", "p", "windows", "quality", "novelty", "zone", "rms", "unit", "model", "counter", "slot",
    "classes", "verdicts",
)  # fmt: skip
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


@dataclass
class Stored:
    """What one batch did. `receipts`: (site, node) → the (boot, seq) that are now safe, those from before included."""

    new: int = 0
    duplicates: int = 0
    unreadable: int = 0
    wills: int = 0
    wake_worker: bool = False
    receipts: dict[tuple[str, str], list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))


def store(session: Session, batch: list[Inbound], dead_letters_max: int, enrolled_only: bool = False) -> Stored:
    """Writes the batch; the caller commits, then sends the receipts, then acknowledges to the broker.

    What comes from a retired node, or with `enrolled_only` from one that no factory has enrolled, is buried.
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
    refused = enrolment.refused(session, {(m.site, m.node) for _, m in taken}, enrolled_only)
    readable: list[tuple[Inbound, Parsed]] = []
    seen_ms: dict[tuple[str, str], int] = {}
    for inbound, message in taken:
        if (message.site, message.node) in refused:
            bury(session, inbound, refused[message.site, message.node])
            done.unreadable += 1
            continue
        readable.append((inbound, message))
        seen_ms.setdefault((message.site, message.node), message.received_ms)
    ids = devices.register(session, seen_ms)
    highest = _highest(session, {(ids[m.site, m.node], m.boot) for _, m in readable if m.seq is not None})
    parsed: list[tuple[int, Parsed]] = []
    for inbound, message in readable:
        node_id = ids[message.site, message.node]
        if message.seq is not None:
            before = highest.get((node_id, message.boot), message.seq)  # a boot may begin anywhere: this fleet may be new
            if message.seq - before > contract.MESSAGE_SEQ_JUMP_MAX:
                bury(session, inbound, f"field seq: {message.seq} after {before}: jumps by more than seq_jump_max")
                done.unreadable += 1
                continue
            highest[node_id, message.boot] = max(before, message.seq)
            if message.topic in RECEIPTED:
                done.receipts[message.site, message.node].append((message.boot, message.seq))
        parsed.append((node_id, message))
    if done.unreadable:
        _prune(session, dead_letters_max)
    fresh = _enter(session, parsed)
    _count(session, fresh)
    _seen(session, parsed)
    _write(session, fresh, parsed, done)
    return done


def _highest(session: Session, boots: set[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """The highest seq so far of these (node, boot); of those that are known."""
    row = table(BootCount)
    found = session.execute(
        select(row.c.node_id, row.c.boot, row.c.last_seq).where(tuple_(row.c.node_id, row.c.boot).in_(boots))
    )
    return {(node_id, boot): last_seq for node_id, boot, last_seq in found}


def _enter(session: Session, parsed: list[tuple[int, Parsed]]) -> dict[tuple[int, int, int], Parsed]:
    """Into the ledger; returns what was not there before, in order of arrival."""
    wanted: dict[tuple[int, int, int], Parsed] = {}
    for node_id, message in parsed:
        if message.seq is not None:
            wanted.setdefault((node_id, message.boot, message.seq), message)
    if not wanted:
        return {}
    row = table(Message)
    statement = insert(session, row).on_conflict_do_nothing().returning(row.c.node_id, row.c.boot, row.c.seq)
    values = [{"node_id": n, "boot": b, "seq": s, "topic": m.topic} for (n, b, s), m in wanted.items()]
    new = {tuple(found) for found in session.execute(statement, values)}
    return {key: message for key, message in wanted.items() if key in new}


def _count(session: Session, fresh: dict[tuple[int, int, int], Parsed]) -> None:
    """Adds to the counts per (node, boot), from which the losses follow."""
    seqs: dict[tuple[int, int], list[int]] = defaultdict(list)
    for node_id, boot, seq in fresh:
        seqs[node_id, boot].append(seq)
    if not seqs:
        return
    row = table(BootCount)
    statement = insert(session, row)
    new = statement.excluded
    statement = statement.on_conflict_do_update(
        index_elements=["node_id", "boot"],
        set_={
            "received": row.c.received + new.received,
            "first_seq": case((new.first_seq < row.c.first_seq, new.first_seq), else_=row.c.first_seq),
            "last_seq": case((new.last_seq > row.c.last_seq, new.last_seq), else_=row.c.last_seq),
        },
    )
    session.execute(
        statement,
        [
            {"node_id": n, "boot": b, "first_seq": min(s), "last_seq": max(s), "received": len(s)}
            for (n, b), s in sorted(seqs.items())
        ],
    )


def _seen(session: Session, parsed: list[tuple[int, Parsed]]) -> None:
    newest: dict[int, int] = {}
    for node_id, message in parsed:
        if message.seq is not None:  # a last will is the broker speaking
            newest[node_id] = max(newest.get(node_id, 0), message.received_ms)
    if newest:
        session.execute(update(Node), [{"id": n, "last_seen_ms": at} for n, at in sorted(newest.items())])


def _write(session: Session, fresh: dict[tuple[int, int, int], Parsed], parsed: list[tuple[int, Parsed]], done: Stored) -> None:
    telemetry, events = [], []
    taken = {id(message) for message in fresh.values()}
    for node_id, message in parsed:
        if message.seq is None:
            devices.apply_status(session, node_id, message)
            done.wills += 1
            continue
        if id(message) not in taken:
            done.duplicates += 1
            continue
        done.new += 1
        match message.topic:
            case "telemetry":
                telemetry.append(_row(node_id, message, _TELEMETRY_FIELDS))
            case "event":
                events.append(_row(node_id, message, _EVENT_FIELDS))
                rollouts.on_event(session, node_id, message)
                done.wake_worker = True
            case "alert":
                alerts.apply(session, node_id, message)
                done.wake_worker = True
            case "ack":
                command = commands.on_ack(session, node_id, message)
                if command is not None:
                    rollouts.on_answer(session, command, message.received_ms)
                done.wake_worker = True
            case "status":
                devices.apply_status(session, node_id, message)
                done.wake_worker = True
    if telemetry:
        session.execute(table(Telemetry).insert(), telemetry)
    if events:
        session.execute(table(Event).insert(), events)


def _row(node_id: int, message: Parsed, names: tuple[str, ...]) -> dict[str, object]:
    values: dict[str, object] = {name: message.body.get(name) for name in names}
    values |= {"node_id": node_id, "boot": message.boot, "seq": message.seq}
    return values | {"at_ms": message.at_ms, "received_ms": message.received_ms}


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
