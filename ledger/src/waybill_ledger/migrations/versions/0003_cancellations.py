"""Time at which cancellation of a task was requested."""

import sqlalchemy as sa
from alembic import op

from waybill_database import Instant

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Towards the newer schema."""
    op.add_column("tasks", sa.Column("cancel_requested_at", Instant()))
