"""Telemetry leaves the ledger: its own key is unique in the same way. How far it has been pruned is kept by boot."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM message WHERE topic = 'telemetry'")
    op.add_column("boot_count", sa.Column("pruned_seq", sa.BigInteger(), nullable=False, server_default="-1"))
