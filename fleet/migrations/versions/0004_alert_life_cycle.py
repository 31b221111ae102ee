"""Alerts: who did what and why, outcome and model, flap damping, maintenance windows, silent nodes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "maintenance",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("site", sa.String(length=32), nullable=False),
        sa.Column("machine", sa.String(length=64), nullable=True),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("planned_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_maintenance_site", "maintenance", ["site", "until_ms"])
    op.add_column("node", sa.Column("silent_ms", sa.BigInteger(), nullable=True))
    for column in (
        sa.Column("point", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("model_version", sa.Text(), nullable=True),
        sa.Column("counter", sa.BigInteger(), nullable=True),
        sa.Column("open_ms", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("assigned_to", sa.Text(), nullable=True),
        sa.Column("muted", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("settles_ms", sa.BigInteger(), nullable=True),
        sa.Column("escalations", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("outcome", sa.String(length=12), nullable=True),
        sa.Column("outcome_fault", sa.Text(), nullable=True),
        sa.Column("outcome_note", sa.Text(), nullable=True),
        sa.Column("outcome_by", sa.Text(), nullable=True),
        sa.Column("outcome_ms", sa.BigInteger(), nullable=True),
    ):
        op.add_column("alert", column)
    op.execute("UPDATE alert SET open_ms = opened_ms")
    op.add_column("occurrence", sa.Column("raised_ms", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_index("ix_occurrence_raised_ms", "occurrence", ["raised_ms"])
    for column in (
        sa.Column("what", sa.String(length=12), nullable=False, server_default="update"),
        sa.Column("who", sa.Text(), nullable=False, server_default="fleet"),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("told", sa.Boolean(), nullable=False, server_default=sa.true()),
    ):
        op.add_column("alert_change", column)
    op.drop_index("ix_alert_change_outbox", "alert_change")
    waiting = sa.text("published_ms IS NULL AND told")
    op.create_index("ix_alert_change_outbox", "alert_change", ["id"], sqlite_where=waiting, postgresql_where=waiting)
