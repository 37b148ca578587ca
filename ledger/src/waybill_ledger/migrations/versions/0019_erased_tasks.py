"""Time at which the personal data of a task was erased."""

import sqlalchemy as sa
from alembic import op

from waybill_database import Instant

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Towards the newer schema."""
    op.add_column("tasks", sa.Column("erased_at", Instant()))
