"""Task or schedule that was revealed, in the audit trail."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Towards the newer schema."""
    op.add_column("desk_audit", sa.Column("subject", sa.String(64)))
