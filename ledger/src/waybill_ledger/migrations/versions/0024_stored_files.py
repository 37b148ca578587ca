"""Time at which an uploaded file was stored: only then a task may refer to it."""

import sqlalchemy as sa
from alembic import op

from waybill_database import Instant

revision = "0024"
down_revision = "0022"


def upgrade() -> None:
    """Towards the newer schema."""
    op.add_column("originals", sa.Column("stored_at", Instant()))
