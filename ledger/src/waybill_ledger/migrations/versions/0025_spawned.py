"""Parent of spawned tasks."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Towards the newer schema."""
    op.add_column("tasks", sa.Column("parent_id", sa.String(36)))
    op.add_column("tasks", sa.Column("parent_service", sa.String(64)))
