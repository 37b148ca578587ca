"""Tenants as owners of rows; existing rows, and rows of the last release, belong to the default tenant."""

import sqlalchemy as sa
from alembic import op

from waybill_database import Instant

revision = "0012"
down_revision = "0011"

_OWNED = ("tasks", "schedules", "password_resets")
#: NULL if the task is unknown, or if all tenants are meant.
_MAYBE_OWNED = ("dead_letters", "dead_letter_groups", "redrives", "desk_audit")


def upgrade() -> None:
    """Towards the newer schema."""
    for table in _OWNED + _MAYBE_OWNED:
        op.add_column(
            table,
            sa.Column(
                "tenant", sa.String(length=63), server_default="default", nullable=table in _MAYBE_OWNED
            ),
        )
    op.create_table(
        "pruned_of_tenants",
        sa.Column("day", Instant(), nullable=False),
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("tasks", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "tenant", "kind", "state"),
    )
