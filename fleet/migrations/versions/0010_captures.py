"""Captures, and the chunks of those that are not whole yet."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "capture",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("node_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("capture_boot", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("machine", sa.String(length=64), nullable=False),
        sa.Column("point", sa.Text(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("whole_ms", sa.BigInteger(), nullable=True),
        sa.Column("trigger", sa.String(length=8), nullable=False),
        sa.Column("occurrence", sa.String(length=64), nullable=True),
        sa.Column("action", sa.String(length=40), nullable=True),
        sa.Column("unit", sa.String(length=4), nullable=False),
        sa.Column("rate_mhz", sa.BigInteger(), nullable=False),
        sa.Column("lsb_nano", sa.BigInteger(), nullable=False),
        sa.Column("channels", sa.Integer(), nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("pre", sa.Integer(), nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["node_id"], ["node.id"]),
        sa.UniqueConstraint("node_id", "capture_boot", "number"),
    )
    op.create_index("ix_capture_at", "capture", ["at_ms", "id"])
    op.create_index("ix_capture_occurrence", "capture", ["node_id", "occurrence"])
    op.create_table(
        "capture_chunk",
        sa.Column("capture_id", sa.String(length=26), nullable=False),
        sa.Column("chunk", sa.Integer(), nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("capture_id", "chunk"),
        sa.ForeignKeyConstraint(["capture_id"], ["capture.id"], ondelete="CASCADE"),
    )
