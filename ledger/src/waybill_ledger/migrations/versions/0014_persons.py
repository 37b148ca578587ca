"""Digest of the person of tasks and schedules."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Towards the newer schema."""
    op.add_column("tasks", sa.Column("person", sa.String(32)))
    op.add_column("schedules", sa.Column("person", sa.String(32)))
    # Another column than the last release's, for a sealed address is longer.
    op.add_column("password_resets", sa.Column("sealed_email", sa.Text()))
