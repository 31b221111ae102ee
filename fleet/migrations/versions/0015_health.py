"""What a node's newest status says of its health: restarts, memory, sensor."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("node", sa.Column("health", sa.JSON(), nullable=True))
