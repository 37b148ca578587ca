"""Tasks and schedules are found by a digest of the person whom they are about."""

import sqlalchemy as sa
from alembic import op

from ledger.live_changes import create_index

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Towards the newer schema."""
    op.add_column("tasks", sa.Column("person", sa.String(32)))
    op.add_column("schedules", sa.Column("person", sa.String(32)))
    # Another column than the last release's, for a sealed address is longer.
    op.add_column("password_resets", sa.Column("sealed_email", sa.Text()))
    create_index("tasks_by_person", "tasks", ["person", "id"], where="person IS NOT NULL")
