"""Owner of the mark on a file that is to be removed."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Towards the newer schema."""
    op.add_column("originals", sa.Column("removing_by", sa.String(32)))
