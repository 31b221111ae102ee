"""Rollouts of firmware and settings too; the shadow run; what a node is to run of each kind."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0020"
branch_labels = None
depends_on = None

_NODE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("node", sa.Column("fw_trial", sa.Boolean(), nullable=True))
    op.add_column("node", sa.Column("settings", sa.BigInteger(), nullable=True))
    with op.batch_alter_table("artifact") as artifact:
        artifact.alter_column("model_version", type_=sa.String(length=32), existing_type=sa.String(length=16))
        artifact.add_column(sa.Column("kind", sa.String(length=12), nullable=False, server_default="model"))
        artifact.add_column(sa.Column("extractor_min", sa.Integer(), nullable=True))
        artifact.add_column(sa.Column("extractor_max", sa.Integer(), nullable=True))
        artifact.add_column(sa.Column("content", sa.JSON(), nullable=True))
    op.add_column("rollout", sa.Column("kind", sa.String(length=12), nullable=False, server_default="model"))
    op.add_column("rollout", sa.Column("shadow_s", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("action", sa.Column("step", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("action", sa.Column("before", sa.JSON(), nullable=True))
    op.add_column("action", sa.Column("shadow", sa.JSON(), nullable=True))
    op.rename_table("desired", "desired_model")
    op.drop_index("ix_desired_sha256", "desired_model")
    op.drop_index("ix_desired_command_id", "desired_model")
    op.create_table(
        "desired",
        sa.Column("node_id", _NODE, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("content", sa.JSON(), nullable=True),
        sa.Column("seen", sa.BigInteger(), nullable=True),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("next_ms", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("command_id", sa.String(length=39), nullable=True),
        sa.PrimaryKeyConstraint("node_id", "kind", name="desired_by_kind_pkey"),
        sa.ForeignKeyConstraint(["node_id"], ["node.id"]),
        sa.ForeignKeyConstraint(["sha256"], ["artifact.sha256"]),
    )
    op.execute(
        "INSERT INTO desired (node_id, kind, sha256, since_ms, next_ms, tries, command_id) "
        "SELECT node_id, 'model', sha256, since_ms, next_ms, tries, command_id FROM desired_model"
    )
    op.drop_table("desired_model")
    op.create_index("ix_desired_sha256", "desired", ["sha256"])
    op.create_index("ix_desired_command_id", "desired", ["command_id"])
