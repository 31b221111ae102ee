"""Telemetry and events of all nodes by time: indexes that hold the whole key of a page."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("telemetry", "event"):
        op.drop_index(f"ix_{table}_node_at", table)
        op.create_index(f"ix_{table}_node_at", table, ["node_id", "at_ms", "boot", "seq"])
        op.create_index(f"ix_{table}_at", table, ["at_ms", "node_id", "boot", "seq"])
