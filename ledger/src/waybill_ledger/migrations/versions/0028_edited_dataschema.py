"""Contract and version of payloads that were edited for a redrive."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Towards the newer schema."""
    op.add_column("redrive_letters", sa.Column("edited_dataschema", sa.String(255)))
