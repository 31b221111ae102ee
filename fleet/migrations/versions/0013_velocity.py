"""Velocity with telemetry: its RMS, the band it was heard in, and why it has no zone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column("zone_reason", sa.Text(), nullable=True),
        sa.Column("velocity", sa.BigInteger(), nullable=True),
        sa.Column("velocity_hz", sa.BigInteger(), nullable=True),
    ):
        op.add_column("telemetry", column)
    for column in (
        sa.Column("velocity_sum", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("velocity_count", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("velocity_max", sa.BigInteger(), nullable=True),
    ):
        op.add_column("telemetry_hour", column)
