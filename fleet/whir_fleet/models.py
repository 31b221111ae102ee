"""The tables. Times are milliseconds since 1970 by the fleet's clock (`…_ms`); `ts` is the node's own clock."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, LargeBinary, String, Table, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from whir_fleet.said_column import SaidText

U32 = BigInteger  # PostgreSQL has no unsigned 32-bit integer
AUTO = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up INTEGER keys only


class Base(DeclarativeBase):
    type_annotation_map = {dict[str, Any]: JSON, list[str]: JSON, list[dict[str, Any]]: JSON}  # noqa: RUF012 (read by SQLAlchemy)


def table(model: type[Base]) -> Table:
    """The Core table behind a model, for bulk statements."""
    assert isinstance(model.__table__, Table)
    return model.__table__


class Node(Base):
    """One node as its newest status described it. (lost_boot, lost_conn) is the newest connection whose last will has come."""

    __tablename__ = "node"
    __table_args__ = (UniqueConstraint("site", "name"),)

    id: Mapped[int] = mapped_column(AUTO, primary_key=True)
    site: Mapped[str] = mapped_column(String(32))
    name: Mapped[str] = mapped_column(String(32))
    first_seen_ms: Mapped[int] = mapped_column(BigInteger)
    last_seen_ms: Mapped[int] = mapped_column(BigInteger)
    boot: Mapped[int | None] = mapped_column(U32)
    conn: Mapped[int | None] = mapped_column(U32)
    status_seq: Mapped[int | None] = mapped_column(U32)
    status_ms: Mapped[int | None] = mapped_column(BigInteger)
    lost_boot: Mapped[int | None] = mapped_column(U32)
    lost_conn: Mapped[int | None] = mapped_column(U32)
    silent_ms: Mapped[int | None] = mapped_column(BigInteger)  # last heard then, when it was found silent; null: it is not
    state: Mapped[str | None] = mapped_column(String(20))
    next_s: Mapped[int | None] = mapped_column(U32)
    fw: Mapped[str | None] = mapped_column(Text)
    hardware: Mapped[str | None] = mapped_column(Text)
    engine: Mapped[str | None] = mapped_column(Text)
    model: Mapped[str | None] = mapped_column(Text)
    model_version: Mapped[str | None] = mapped_column(Text)
    counter: Mapped[int | None] = mapped_column(U32)
    slot: Mapped[str | None] = mapped_column(Text)
    trial: Mapped[bool | None]
    sensor: Mapped[str | None] = mapped_column(Text)
    rate_mhz: Mapped[int | None] = mapped_column(U32)
    dropped: Mapped[int | None] = mapped_column(U32)
    reset: Mapped[str | None] = mapped_column(Text)
    fw_trial: Mapped[bool | None]
    settings: Mapped[int | None] = mapped_column(U32)  # CRC-32 of those that it runs with
    health: Mapped[dict[str, Any] | None]


class Machine(Base):
    """What people know about a machine; None where they do not."""

    __tablename__ = "machine"
    __table_args__ = (UniqueConstraint("site", "name"),)

    id: Mapped[int] = mapped_column(AUTO, primary_key=True)
    site: Mapped[str] = mapped_column(String(32))
    name: Mapped[str] = mapped_column(String(32))
    rated_kw: Mapped[float | None]
    rated_rpm: Mapped[float | None]
    iso_group: Mapped[str | None] = mapped_column(String(8))
    foundation: Mapped[str | None] = mapped_column(String(8))
    blades: Mapped[int | None] = mapped_column(Integer)
    teeth: Mapped[int | None] = mapped_column(Integer)
    bearings: Mapped[list[dict[str, Any]]]
    updated_ms: Mapped[int] = mapped_column(BigInteger)


class Point(Base):
    """A measuring point of a machine."""

    __tablename__ = "point"
    __table_args__ = (UniqueConstraint("machine_id", "name"),)

    id: Mapped[int] = mapped_column(AUTO, primary_key=True)
    machine_id: Mapped[int] = mapped_column(ForeignKey("machine.id"))
    name: Mapped[str] = mapped_column(String(32))
    position: Mapped[str | None] = mapped_column(String(3))
    axes: Mapped[list[str]]


class Assignment(Base):
    """A node at a point from `from_ms` until `until_ms` (null: to this day). By name: the node may not have been heard yet."""

    __tablename__ = "assignment"
    __table_args__ = (
        Index("ix_assignment_node", "site", "node", "from_ms"),
        *(
            Index(name, *names, unique=True, sqlite_where=text("until_ms IS NULL"), postgresql_where=text("until_ms IS NULL"))
            for name, names in (("ux_assignment_node", ("site", "node")), ("ux_assignment_point", ("point_id",)))
        ),
    )

    id: Mapped[int] = mapped_column(AUTO, primary_key=True)
    point_id: Mapped[int] = mapped_column(ForeignKey("point.id"), index=True)
    site: Mapped[str] = mapped_column(String(32))
    node: Mapped[str] = mapped_column(String(32))
    from_ms: Mapped[int] = mapped_column(BigInteger)
    until_ms: Mapped[int | None] = mapped_column(BigInteger)
    assigned_by: Mapped[str] = mapped_column(Text)


class Device(Base):
    """A node that a factory has enrolled. `retired_ms` null: in service."""

    __tablename__ = "device"
    __table_args__ = (UniqueConstraint("site", "node"),)

    serial: Mapped[str] = mapped_column(String(24), primary_key=True)
    site: Mapped[str] = mapped_column(String(32))
    node: Mapped[str] = mapped_column(String(32))
    mac: Mapped[str] = mapped_column(String(17))
    board: Mapped[str] = mapped_column(String(32))
    certificate_number: Mapped[str] = mapped_column(String(40))
    certificate_sha256: Mapped[str] = mapped_column(String(64))
    claim_sha256: Mapped[str] = mapped_column(String(64))
    development: Mapped[bool]
    enrolled_ms: Mapped[int] = mapped_column(BigInteger)
    retired_ms: Mapped[int | None] = mapped_column(BigInteger)


class Revocation(Base):
    """A certificate of the device CA that must not be taken any more."""

    __tablename__ = "revocation"

    number: Mapped[str] = mapped_column(String(40), primary_key=True)
    generation: Mapped[int]
    revoked_ms: Mapped[int] = mapped_column(BigInteger)


class Message(Base):
    """The ledger: every (node, boot, seq) that was committed. What is already here changes nothing when it comes again.

    Telemetry is not in it: its own table is unique in the same way, and most of all messages are telemetry.
    """

    __tablename__ = "message"
    __table_args__ = ({"sqlite_with_rowid": False},)

    node_id: Mapped[int] = mapped_column(ForeignKey("node.id"), primary_key=True, autoincrement=False)
    boot: Mapped[int] = mapped_column(U32, primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(U32, primary_key=True, autoincrement=False)
    topic: Mapped[str] = mapped_column(String(10))


class BootCount(Base):
    """What came of one boot of a node. Lost = last_seq - first_seq + 1 - received.

    Telemetry up to `pruned_seq` may have been deleted by age: what comes with such a number has been counted before.
    """

    __tablename__ = "boot_count"

    node_id: Mapped[int] = mapped_column(ForeignKey("node.id"), primary_key=True, autoincrement=False)
    boot: Mapped[int] = mapped_column(U32, primary_key=True, autoincrement=False)
    first_seq: Mapped[int] = mapped_column(U32)
    last_seq: Mapped[int] = mapped_column(U32)
    received: Mapped[int] = mapped_column(U32)
    pruned_seq: Mapped[int] = mapped_column(BigInteger)  # -1: none

    @property
    def lost(self) -> int:
        return self.last_seq - self.first_seq + 1 - self.received


class Telemetry(Base):
    """Aggregated verdicts. `at_ms` is the node's clock where it is synchronized, else the time of arrival.

    `partitions` says what it consists of on PostgreSQL; there `node_id` has no foreign key (on SQLite it has).
    """

    __tablename__ = "telemetry"
    __table_args__ = (
        Index("ix_telemetry_node_at", "node_id", "at_ms", "boot", "seq"),
        Index("ix_telemetry_at", "at_ms", "node_id", "boot", "seq"),
    )

    node_id: Mapped[int] = mapped_column(AUTO, primary_key=True, autoincrement=False)
    boot: Mapped[int] = mapped_column(U32, primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(U32, primary_key=True, autoincrement=False)
    at_ms: Mapped[int] = mapped_column(BigInteger)
    received_ms: Mapped[int] = mapped_column(BigInteger)
    ts: Mapped[int] = mapped_column(BigInteger)
    synced: Mapped[bool]
    verdict: Mapped[str] = mapped_column(Text)
    p: Mapped[int] = mapped_column(U32)
    windows: Mapped[int] = mapped_column(U32)
    quality: Mapped[int | None] = mapped_column(U32)
    novelty: Mapped[int | None] = mapped_column(U32)
    zone: Mapped[str | None] = mapped_column(Text)
    zone_reason: Mapped[str | None] = mapped_column(Text)
    velocity: Mapped[int | None] = mapped_column(U32)  # 1e-6 m/s
    velocity_hz: Mapped[int | None] = mapped_column(U32)
    rms: Mapped[int | None] = mapped_column(U32)
    unit: Mapped[str | None] = mapped_column(Text)
    model: Mapped[str | None] = mapped_column(Text)
    counter: Mapped[int | None] = mapped_column(U32)
    slot: Mapped[str | None] = mapped_column(Text)
    classes: Mapped[dict[str, Any] | None]
    verdicts: Mapped[dict[str, Any] | None]


class TelemetryHour(Base):
    """What became of raw telemetry when it grew old: sums and maxima of one verdict in one hour, which begins at `hour_ms`."""

    __tablename__ = "telemetry_hour"
    __table_args__ = (Index("ix_telemetry_hour_at", "hour_ms"), {"sqlite_with_rowid": False})

    node_id: Mapped[int] = mapped_column(ForeignKey("node.id"), primary_key=True, autoincrement=False)
    hour_ms: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    verdict: Mapped[str] = mapped_column(Text, primary_key=True)
    messages: Mapped[int] = mapped_column(BigInteger)
    windows: Mapped[int] = mapped_column(BigInteger)
    p_sum: Mapped[int] = mapped_column(BigInteger)
    rms_sum: Mapped[int] = mapped_column(BigInteger)
    rms_count: Mapped[int] = mapped_column(BigInteger)
    rms_max: Mapped[int | None] = mapped_column(U32)
    velocity_sum: Mapped[int] = mapped_column(BigInteger)
    velocity_count: Mapped[int] = mapped_column(BigInteger)
    velocity_max: Mapped[int | None] = mapped_column(U32)
    novelty_max: Mapped[int | None] = mapped_column(U32)


class Event(Base):
    """Update progress, resets, faults."""

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_node_at", "node_id", "at_ms", "boot", "seq"),
        Index("ix_event_at", "at_ms", "node_id", "boot", "seq"),
    )

    node_id: Mapped[int] = mapped_column(ForeignKey("node.id"), primary_key=True, autoincrement=False)
    boot: Mapped[int] = mapped_column(U32, primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(U32, primary_key=True, autoincrement=False)
    at_ms: Mapped[int] = mapped_column(BigInteger)
    received_ms: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(String(32))
    code: Mapped[str | None] = mapped_column(Text)
    text: Mapped[str | None] = mapped_column(Text)
    action: Mapped[str | None] = mapped_column(Text)
    model: Mapped[str | None] = mapped_column(Text)
    model_version: Mapped[str | None] = mapped_column(Text)
    counter: Mapped[int | None] = mapped_column(U32)
    slot: Mapped[str | None] = mapped_column(Text)
    vector: Mapped[int | None] = mapped_column(U32)
    byte: Mapped[int | None] = mapped_column(U32)
    got: Mapped[int | None] = mapped_column(Integer)
    wanted: Mapped[int | None] = mapped_column(Integer)


class DeadLetter(Base):
    """A message that could not be read, with the reason. The id counts all that ever came; old rows are deleted."""

    __tablename__ = "dead_letter"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(AUTO, primary_key=True)
    received_ms: Mapped[int] = mapped_column(BigInteger)
    topic: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    payload: Mapped[bytes] = mapped_column(LargeBinary)


class Alert(Base):
    """One per machine and fault class while it is not resolved (the partial index says so)."""

    __tablename__ = "alert"
    __table_args__ = (
        Index(
            "ux_alert_unresolved",
            "site",
            "machine",
            "verdict",
            unique=True,
            sqlite_where=text("state <> 'resolved'"),
            postgresql_where=text("state <> 'resolved'"),
        ),
        Index("ix_alert_opened", "opened_ms"),
    )

    alert_id: Mapped[str] = mapped_column(String(26), primary_key=True)
    site: Mapped[str] = mapped_column(String(32))
    machine: Mapped[str] = mapped_column(String(64))
    point: Mapped[str | None] = mapped_column(Text)  # of the newest message
    verdict: Mapped[str] = mapped_column(Text)
    model: Mapped[str | None] = mapped_column(Text)  # that raised it; null where the fleet itself did
    model_version: Mapped[str | None] = mapped_column(Text)
    counter: Mapped[int | None] = mapped_column(U32)
    state: Mapped[str] = mapped_column(String(12))
    severity: Mapped[str] = mapped_column(String(12))
    occurrences: Mapped[int] = mapped_column(Integer)
    opened_ms: Mapped[int] = mapped_column(BigInteger)
    open_ms: Mapped[int] = mapped_column(BigInteger)  # since when it waits for somebody, by the fleet's clock
    updated_ms: Mapped[int] = mapped_column(BigInteger)
    acknowledged_ms: Mapped[int | None] = mapped_column(BigInteger)
    acknowledged_by: Mapped[str | None] = mapped_column(Text)
    resolved_ms: Mapped[int | None] = mapped_column(BigInteger)
    assigned_to: Mapped[str | None] = mapped_column(Text)
    muted: Mapped[bool]  # opened in a maintenance window that is not over: told to nobody
    settles_ms: Mapped[int | None] = mapped_column(BigInteger)  # it flaps: resolved then, if it stays clear
    escalations: Mapped[int] = mapped_column(Integer)
    outcome: Mapped[str | None] = mapped_column(String(12))
    outcome_fault: Mapped[str | None] = mapped_column(Text)
    outcome_note: Mapped[str | None] = mapped_column(Text)
    outcome_by: Mapped[str | None] = mapped_column(Text)
    outcome_ms: Mapped[int | None] = mapped_column(BigInteger)
    last: Mapped[dict[str, Any]]  # newest message of the node, by the contract's fields


class Occurrence(Base):
    """One raise on one node, as its newest message (boot, seq) describes it."""

    __tablename__ = "occurrence"

    node_id: Mapped[int] = mapped_column(ForeignKey("node.id"), primary_key=True, autoincrement=False)
    occurrence: Mapped[str] = mapped_column(String(64), primary_key=True)
    alert_id: Mapped[str | None] = mapped_column(ForeignKey("alert.alert_id"), index=True)
    boot: Mapped[int] = mapped_column(U32)
    seq: Mapped[int] = mapped_column(U32)
    state: Mapped[str] = mapped_column(String(12))
    raised_ms: Mapped[int] = mapped_column(BigInteger, index=True)


class AlertChange(Base):
    """History of an alert, and the outbox of what is `told`: `published_ms` is null until the broker has it."""

    __tablename__ = "alert_change"
    __table_args__ = (
        Index(
            "ix_alert_change_outbox",
            "id",
            sqlite_where=text("published_ms IS NULL AND told"),
            postgresql_where=text("published_ms IS NULL AND told"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(AUTO, primary_key=True)
    alert_id: Mapped[str] = mapped_column(ForeignKey("alert.alert_id"), index=True)
    at_ms: Mapped[int] = mapped_column(BigInteger)
    what: Mapped[str] = mapped_column(String(12))
    who: Mapped[str] = mapped_column(Text)
    why: Mapped[str | None] = mapped_column(SaidText)
    told: Mapped[bool]
    message: Mapped[dict[str, Any]]
    published_ms: Mapped[int | None] = mapped_column(BigInteger)


class Capture(Base):
    """The raw signal of a node, of one trigger. `counts` has all of it once every chunk has come, and `whole_ms` says when."""

    __tablename__ = "capture"
    __table_args__ = (
        UniqueConstraint("node_id", "capture_boot", "number"),
        Index("ix_capture_at", "at_ms", "id"),
        Index("ix_capture_occurrence", "node_id", "occurrence"),
    )

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    node_id: Mapped[int] = mapped_column(ForeignKey("node.id"))
    capture_boot: Mapped[int] = mapped_column(U32)
    number: Mapped[int] = mapped_column(U32)  # counts within capture_boot
    machine: Mapped[str] = mapped_column(String(64))  # where the node sat at that time
    point: Mapped[str | None] = mapped_column(Text)
    at_ms: Mapped[int] = mapped_column(BigInteger)
    received_ms: Mapped[int] = mapped_column(BigInteger)  # its first chunk
    whole_ms: Mapped[int | None] = mapped_column(BigInteger)
    trigger: Mapped[str] = mapped_column(String(8))
    occurrence: Mapped[str | None] = mapped_column(String(64))
    action: Mapped[str | None] = mapped_column(String(40))  # the command that asked for it
    unit: Mapped[str] = mapped_column(String(4))
    rate_mhz: Mapped[int] = mapped_column(U32)
    lsb_nano: Mapped[int] = mapped_column(U32)
    channels: Mapped[int] = mapped_column(Integer)
    samples: Mapped[int] = mapped_column(Integer)
    pre: Mapped[int] = mapped_column(Integer)
    counts: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)  # int16, little-endian, (samples, channels)


class CaptureChunk(Base):
    """A part of a capture that is not whole yet."""

    __tablename__ = "capture_chunk"

    capture_id: Mapped[str] = mapped_column(ForeignKey("capture.id", ondelete="CASCADE"), primary_key=True)
    chunk: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    counts: Mapped[bytes] = mapped_column(LargeBinary)


class Maintenance(Base):
    """What opens on the machine (null: on any of the site) meanwhile is told to nobody before the window is over."""

    __tablename__ = "maintenance"
    __table_args__ = (Index("ix_maintenance_site", "site", "until_ms"),)

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    site: Mapped[str] = mapped_column(String(32))
    machine: Mapped[str | None] = mapped_column(String(64))
    from_ms: Mapped[int] = mapped_column(BigInteger)
    until_ms: Mapped[int] = mapped_column(BigInteger)
    why: Mapped[str] = mapped_column(Text)
    planned_by: Mapped[str] = mapped_column(Text)


class Channel(Base):
    """Where alerts are told: the URL of a webhook or an e-mail address."""

    __tablename__ = "channel"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(8))
    target: Mapped[str] = mapped_column(Text)
    sites: Mapped[list[str] | None]  # null: all
    min_severity: Mapped[str] = mapped_column(String(12))
    after_s: Mapped[int] = mapped_column(Integer)  # 0: at once; else when nobody has acknowledged for so long
    created_ms: Mapped[int] = mapped_column(BigInteger)
    created_by: Mapped[str] = mapped_column(Text)
    removed_ms: Mapped[int | None] = mapped_column(BigInteger)


class Delivery(Base):
    """One message to one channel, until it has arrived or is given up."""

    __tablename__ = "delivery"
    __table_args__ = (
        Index(
            "ix_delivery_waiting",
            "next_ms",
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(AUTO, primary_key=True)
    channel_id: Mapped[str] = mapped_column(ForeignKey("channel.id"))
    alert_id: Mapped[str | None] = mapped_column(ForeignKey("alert.alert_id"), index=True)
    what: Mapped[str] = mapped_column(String(12))
    message: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(12))
    attempts: Mapped[int] = mapped_column(Integer)
    created_ms: Mapped[int] = mapped_column(BigInteger)
    next_ms: Mapped[int] = mapped_column(BigInteger)
    delivered_ms: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[str | None] = mapped_column(Text)


class Lease(Base):
    """Who does a job that only one may do. The fence grows with each holder; a write with an older one is refused."""

    __tablename__ = "lease"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    holder: Mapped[str] = mapped_column(String(64))
    fence: Mapped[int] = mapped_column(BigInteger)
    expires_ms: Mapped[int] = mapped_column(BigInteger)


class Token(Base):
    """An API token, of which only the hash is kept; or, with a `subject`, a person whom an identity provider knows."""

    __tablename__ = "token"
    __table_args__ = (
        Index(
            "ux_token_subject",
            "subject",
            unique=True,
            sqlite_where=text("revoked_ms IS NULL"),
            postgresql_where=text("revoked_ms IS NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    label: Mapped[str] = mapped_column(String(64))
    role: Mapped[str] = mapped_column(String(12))
    hash: Mapped[str] = mapped_column(String(64))
    created_ms: Mapped[int] = mapped_column(BigInteger)
    expires_ms: Mapped[int] = mapped_column(BigInteger)
    revoked_ms: Mapped[int | None] = mapped_column(BigInteger)
    sites: Mapped[list[str] | None]  # null: all
    areas: Mapped[list[str] | None]  # of the API; null: all
    subject: Mapped[str | None] = mapped_column(Text)  # issuer and subject; null: it was made here


class AuditEntry(Base):
    """Who changed what. Triggers refuse to change or delete a row."""

    __tablename__ = "audit_entry"
    __table_args__ = (Index("ix_audit_entry_at", "at_ms", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(AUTO, primary_key=True)
    at_ms: Mapped[int] = mapped_column(BigInteger)
    who: Mapped[str] = mapped_column(Text)
    token_id: Mapped[str | None] = mapped_column(String(26))
    address: Mapped[str | None] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    site: Mapped[str | None] = mapped_column(String(32))
    object: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[dict[str, Any]]


class Artifact(Base):
    """What a rollout brings, by its SHA-256: a bundle or a firmware package that passed the core's check, with its bytes in the
    bundle folder; or, in `content`, settings by key. Of a firmware `model_version` is its own; hardware `any` is every class.
    """

    __tablename__ = "artifact"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(12), default="model")
    bytes: Mapped[int] = mapped_column(Integer)
    model: Mapped[str] = mapped_column(String(32))
    model_version: Mapped[str] = mapped_column(String(32))
    counter: Mapped[int] = mapped_column(U32)
    hardware: Mapped[str] = mapped_column(String(16))
    key_id: Mapped[int] = mapped_column(U32)
    classes: Mapped[list[str]]
    uploaded_ms: Mapped[int] = mapped_column(BigInteger)
    uploaded_by: Mapped[str] = mapped_column(Text)
    pass_through: Mapped[bool]  # a node that is older has to run it before it takes a newer one
    evaluation: Mapped[dict[str, Any] | None]
    extractor_min: Mapped[int | None] = mapped_column(Integer)  # a model's own; of a firmware: those of the models that it runs
    extractor_max: Mapped[int | None] = mapped_column(Integer)
    content: Mapped[dict[str, Any] | None]


class Command(Base):
    """A command to a node. States: pending (goes out again until answered), accepted, done."""

    __tablename__ = "command"

    id: Mapped[str] = mapped_column(String(39), primary_key=True)
    node_id: Mapped[int] = mapped_column(ForeignKey("node.id"))
    c: Mapped[str] = mapped_column(String(16))
    args: Mapped[dict[str, Any]]
    exp_s: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(12), index=True)
    created_ms: Mapped[int] = mapped_column(BigInteger)
    sent_ms: Mapped[int | None] = mapped_column(BigInteger)
    sent_boot: Mapped[int | None] = mapped_column(U32)
    sent_conn: Mapped[int | None] = mapped_column(U32)
    result: Mapped[str | None] = mapped_column(String(12))
    code: Mapped[str | None] = mapped_column(Text)


class Rollout(Base):
    """One artifact to many nodes, group after group. `kind` is the artifact's. States and transitions: docs/ROLLOUTS.md."""

    __tablename__ = "rollout"

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(12))
    sha256: Mapped[str] = mapped_column(ForeignKey("artifact.sha256"))
    state: Mapped[str] = mapped_column(String(12), index=True)
    reason: Mapped[str | None] = mapped_column(SaidText)
    success_percent: Mapped[int] = mapped_column(Integer)
    abort_percent: Mapped[int] = mapped_column(Integer)
    abort_min: Mapped[int] = mapped_column(Integer)
    silence_s: Mapped[int] = mapped_column(Integer)
    trial_s: Mapped[int] = mapped_column(Integer)
    on_abort: Mapped[str] = mapped_column(String(8))
    selectors: Mapped[list[str] | None]  # late joiners that fit come in too; null: exactly the nodes that were named
    window: Mapped[str | None] = mapped_column(Text)
    machine: Mapped[str] = mapped_column(String(8))
    rate_per_min: Mapped[int | None] = mapped_column(Integer)
    jitter_s: Mapped[int] = mapped_column(Integer)
    observe_s: Mapped[int] = mapped_column(Integer)
    shadow_s: Mapped[int] = mapped_column(Integer)  # the canaries' candidate runs so long beside the old model first
    created_ms: Mapped[int] = mapped_column(BigInteger)
    created_by: Mapped[str] = mapped_column(Text)
    approved_by: Mapped[str | None] = mapped_column(Text)
    started_ms: Mapped[int | None] = mapped_column(BigInteger)
    finished_ms: Mapped[int | None] = mapped_column(BigInteger)


class RolloutGroup(Base):
    __tablename__ = "rollout_group"

    rollout_id: Mapped[str] = mapped_column(ForeignKey("rollout.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    size: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(12))
    started_ms: Mapped[int | None] = mapped_column(BigInteger)
    observed_ms: Mapped[int | None] = mapped_column(BigInteger)  # since when its verdicts are watched
    drift: Mapped[str | None] = mapped_column(SaidText)  # why its verdicts were found worse


class Action(Base):
    """One node's part in a rollout."""

    __tablename__ = "action"
    __table_args__ = (
        UniqueConstraint("rollout_id", "node_id"),
        Index("ix_action_group", "rollout_id", "number", "state", "place"),
    )

    id: Mapped[str] = mapped_column(String(26), primary_key=True)
    rollout_id: Mapped[str] = mapped_column(ForeignKey("rollout.id"))
    number: Mapped[int] = mapped_column(Integer)  # of the group
    node_id: Mapped[int] = mapped_column(ForeignKey("node.id"), index=True)
    place: Mapped[int] = mapped_column(Integer)  # in the order of the rollout
    jitter_ms: Mapped[int] = mapped_column(Integer)  # waits so long after its group has started
    state: Mapped[str] = mapped_column(String(12))
    command_id: Mapped[str | None] = mapped_column(String(39), unique=True)  # what the node was told last
    sha256: Mapped[str | None] = mapped_column(String(64))  # the artifact of that command
    step: Mapped[int] = mapped_column(Integer)  # how many commands came before it
    before: Mapped[dict[str, Any] | None]  # what to go back to, where the node cannot by itself
    shadow: Mapped[dict[str, Any] | None]  # what the candidate said beside the old model
    code: Mapped[str | None] = mapped_column(Text)
    text: Mapped[str | None] = mapped_column(SaidText)
    already: Mapped[bool]  # ran the bundle before the rollout: nothing to send, nothing to revert
    acknowledged: Mapped[bool]  # a failure that a resume has accepted
    started_ms: Mapped[int | None] = mapped_column(BigInteger)
    finished_ms: Mapped[int | None] = mapped_column(BigInteger)


class Rehearsal(Base):
    """What a bundle said to the fleet's captures, the newest time. For `missed` faults an admin has to sign."""

    __tablename__ = "rehearsal"

    sha256: Mapped[str] = mapped_column(ForeignKey("artifact.sha256"), primary_key=True)
    at_ms: Mapped[int] = mapped_column(BigInteger)
    by: Mapped[str] = mapped_column(Text)
    missed: Mapped[int] = mapped_column(Integer)
    rows: Mapped[list[dict[str, Any]]]
    signed_by: Mapped[str | None] = mapped_column(Text)


class NodeTag(Base):
    """A word that people gave a node, to choose it by."""

    __tablename__ = "node_tag"

    node_id: Mapped[int] = mapped_column(ForeignKey("node.id"), primary_key=True, autoincrement=False)
    tag: Mapped[str] = mapped_column(String(32), primary_key=True, index=True)


class Desired(Base):
    """What a node is to run of each kind, since it confirmed it. Where its status says otherwise it is sent again."""

    __tablename__ = "desired"

    node_id: Mapped[int] = mapped_column(ForeignKey("node.id"), primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(12), primary_key=True)
    sha256: Mapped[str] = mapped_column(ForeignKey("artifact.sha256"), index=True)
    content: Mapped[dict[str, Any] | None]  # settings of all rollouts so far together
    seen: Mapped[int | None] = mapped_column(U32)  # settings: what the node reported with them
    since_ms: Mapped[int] = mapped_column(BigInteger)
    next_ms: Mapped[int] = mapped_column(BigInteger)  # not sent again before
    tries: Mapped[int] = mapped_column(Integer)  # since it was last seen to run
    command_id: Mapped[str | None] = mapped_column(String(39), index=True)
