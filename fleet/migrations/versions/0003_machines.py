"""Machines, measuring points, and which node listens where since when. A node's machine is no field of the node any more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "machine",
        sa.Column("id", _ID, nullable=False),
        sa.Column("site", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("rated_kw", sa.Double(), nullable=True),
        sa.Column("rated_rpm", sa.Double(), nullable=True),
        sa.Column("iso_group", sa.String(length=8), nullable=True),
        sa.Column("foundation", sa.String(length=8), nullable=True),
        sa.Column("blades", sa.Integer(), nullable=True),
        sa.Column("teeth", sa.Integer(), nullable=True),
        sa.Column("bearings", sa.JSON(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("site", "name"),
    )
    op.create_table(
        "point",
        sa.Column("id", _ID, nullable=False),
        sa.Column("machine_id", _ID, nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("position", sa.String(length=3), nullable=True),
        sa.Column("axes", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("machine_id", "name"),
        sa.ForeignKeyConstraint(["machine_id"], ["machine.id"]),
    )
    op.create_table(
        "assignment",
        sa.Column("id", _ID, nullable=False),
        sa.Column("point_id", _ID, nullable=False),
        sa.Column("site", sa.String(length=32), nullable=False),
        sa.Column("node", sa.String(length=32), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=True),
        sa.Column("assigned_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["point_id"], ["point.id"]),
    )
    op.create_index("ix_assignment_point_id", "assignment", ["point_id"])
    op.create_index("ix_assignment_node", "assignment", ["site", "node", "from_ms"])
    current = sa.text("until_ms IS NULL")
    for name, columns in (("ux_assignment_node", ["site", "node"]), ("ux_assignment_point", ["point_id"])):
        op.create_index(name, "assignment", columns, unique=True, sqlite_where=current, postgresql_where=current)
    op.drop_column("node", "machine")  # in place: a copied table would break what refers to it
