"""Telemetry by days on PostgreSQL. The table that is there becomes the partition of all that came before; no row is copied."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

from whir_fleet import partitions
from whir_fleet.clock import now_ms

revision = "0021"
down_revision = "0016"
branch_labels = None
depends_on = None

_INDEXES = {"node_at": "node_id, at_ms, boot, seq", "at": "at_ms, node_id, boot, seq"}


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        return
    op.execute("ALTER TABLE telemetry DROP CONSTRAINT IF EXISTS telemetry_node_id_fkey")  # it would lock `node` for each day
    if partitions.has_extension(connection):
        op.execute("ALTER TABLE telemetry DROP CONSTRAINT telemetry_pkey, ADD PRIMARY KEY (node_id, boot, seq, at_ms)")
        make = "SELECT create_hypertable('telemetry', by_range('at_ms', :day), create_default_indexes => false, "
        connection.execute(text(make + "migrate_data => true)"), {"day": partitions.DAY_MS})
        return
    op.rename_table("telemetry", "telemetry_before")
    op.execute("ALTER INDEX telemetry_pkey RENAME TO telemetry_before_pkey")
    for name in _INDEXES:
        op.execute(f"ALTER INDEX ix_telemetry_{name} RENAME TO ix_telemetry_before_{name}")
    op.execute("CREATE TABLE telemetry (LIKE telemetry_before INCLUDING DEFAULTS) PARTITION BY RANGE (at_ms)")
    for name, columns in _INDEXES.items():
        op.execute(f"CREATE INDEX ix_telemetry_{name} ON telemetry ({columns})")
    op.execute("CREATE TABLE telemetry_default PARTITION OF telemetry (PRIMARY KEY (node_id, boot, seq)) DEFAULT")
    now = now_ms()
    if connection.scalar(text("SELECT true FROM telemetry_before LIMIT 1")):
        end_ms = (now // partitions.DAY_MS + 1) * partitions.DAY_MS
        ahead = "WITH ahead AS (DELETE FROM telemetry_before WHERE at_ms >= :end RETURNING *) "
        ahead += "INSERT INTO telemetry_default SELECT * FROM ahead"
        connection.execute(text(ahead), {"end": end_ms})
        op.execute(f"ALTER TABLE telemetry ATTACH PARTITION telemetry_before FOR VALUES FROM (MINVALUE) TO ({end_ms})")
    else:
        op.drop_table("telemetry_before")
    while partitions.keep(connection, now):
        pass
