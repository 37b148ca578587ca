"""Low work is held in the outbox until the queues of its services are short."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_HELD: dict[str, Any] = {"postgresql_where": sa.text("held"), "sqlite_where": sa.text("held = 1")}
_NOT_HELD: dict[str, Any] = {"postgresql_where": sa.text("NOT held"), "sqlite_where": sa.text("held = 0")}


def upgrade() -> None:
    """Towards the newer schema."""
    op.add_column("outbox", sa.Column("held", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.drop_index("outbox_by_availability", "outbox")
    op.create_index("outbox_by_availability", "outbox", ["available_at"], **_NOT_HELD)
    op.create_index("outbox_held", "outbox", ["routing_key", "available_at"], **_HELD)
