"""The audit trail names the task or schedule of which something was revealed."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Towards the newer schema."""
    op.add_column("desk_audit", sa.Column("subject", sa.String(64)))
