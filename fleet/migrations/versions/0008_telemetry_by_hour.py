"""Telemetry by hour, for what is too old to be kept row by row."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    node_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "telemetry_hour",
        sa.Column("node_id", node_id, sa.ForeignKey("node.id"), autoincrement=False, nullable=False),
        sa.Column("hour_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("windows", sa.BigInteger(), nullable=False),
        sa.Column("p_sum", sa.BigInteger(), nullable=False),
        sa.Column("rms_sum", sa.BigInteger(), nullable=False),
        sa.Column("rms_count", sa.BigInteger(), nullable=False),
        sa.Column("rms_max", sa.BigInteger(), nullable=True),
        sa.Column("novelty_max", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("node_id", "hour_ms", "verdict"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_telemetry_hour_at", "telemetry_hour", ["hour_ms"])
