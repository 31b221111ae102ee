"""Rollouts: approval, gates, selectors, pass-through bundles; tags of nodes; what each node is to run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_NO = sa.text("false")


def upgrade() -> None:
    with op.batch_alter_table("artifact") as artifact:
        artifact.add_column(sa.Column("pass_through", sa.Boolean(), nullable=False, server_default=_NO))
    with op.batch_alter_table("rollout") as rollout:
        rollout.add_column(sa.Column("selectors", sa.JSON(), nullable=True))
        rollout.add_column(sa.Column("window", sa.Text(), nullable=True))
        rollout.add_column(sa.Column("machine", sa.String(length=8), nullable=False, server_default="any"))
        rollout.add_column(sa.Column("rate_per_min", sa.Integer(), nullable=True))
        rollout.add_column(sa.Column("jitter_s", sa.Integer(), nullable=False, server_default="0"))
        rollout.add_column(sa.Column("observe_s", sa.Integer(), nullable=False, server_default="0"))
        rollout.add_column(sa.Column("approved_by", sa.Text(), nullable=True))
        rollout.add_column(sa.Column("started_ms", sa.BigInteger(), nullable=True))
    op.execute("UPDATE rollout SET started_ms = created_ms WHERE state <> 'ready'")
    with op.batch_alter_table("rollout_group") as group:
        group.add_column(sa.Column("observed_ms", sa.BigInteger(), nullable=True))
        group.add_column(sa.Column("drift", sa.Text(), nullable=True))
    with op.batch_alter_table("action") as action:
        action.add_column(sa.Column("jitter_ms", sa.Integer(), nullable=False, server_default="0"))
        action.add_column(sa.Column("command_id", sa.String(length=39), nullable=True))
        action.add_column(sa.Column("sha256", sa.String(length=64), nullable=True))
        action.create_unique_constraint("uq_action_command_id", ["command_id"])
    op.create_index("ix_action_group", "action", ["rollout_id", "number", "state", "place"])
    op.execute(
        "UPDATE action SET command_id = CASE WHEN state IN ('rolling_back', 'rolled_back') THEN id || '-r' ELSE id END, "
        "sha256 = (SELECT sha256 FROM rollout WHERE rollout.id = action.rollout_id) "
        "WHERE state NOT IN ('waiting', 'cancelled')"
    )
    op.create_table(
        "node_tag",
        sa.Column("node_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("tag", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("node_id", "tag"),
        sa.ForeignKeyConstraint(["node_id"], ["node.id"]),
    )
    op.create_index("ix_node_tag_tag", "node_tag", ["tag"])
    op.create_table(
        "desired",
        sa.Column("node_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("next_ms", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("command_id", sa.String(length=39), nullable=True),
        sa.PrimaryKeyConstraint("node_id"),
        sa.ForeignKeyConstraint(["node_id"], ["node.id"]),
        sa.ForeignKeyConstraint(["sha256"], ["artifact.sha256"]),
    )
    op.create_index("ix_desired_sha256", "desired", ["sha256"])
    op.create_index("ix_desired_command_id", "desired", ["command_id"])
