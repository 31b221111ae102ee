"""People whom an identity provider knows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0015"
branch_labels = None
depends_on = None

_IN_FORCE = sa.text("revoked_ms IS NULL")


def upgrade() -> None:
    op.add_column("token", sa.Column("subject", sa.Text(), nullable=True))
    op.create_index("ux_token_subject", "token", ["subject"], unique=True, sqlite_where=_IN_FORCE, postgresql_where=_IN_FORCE)
