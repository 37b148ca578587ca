"""Counts by time, and the last measurement."""

import sqlalchemy as sa
from alembic import op

from waybill_database import Instant

revision = "0031"
down_revision = "0030"

_OF_TASKS = ("accepted", "tasks_completed", "tasks_failed", "tasks_cancelled")
_OF_SUBTASKS = ("completed", "failed", "cancelled", "attempts", "retries", "snoozes")
_CLASSES = tuple(f"{name}_{number:02}" for name in ("pickup", "handler") for number in range(17))


def upgrade() -> None:
    """Towards the newer schema."""
    op.create_table(
        "counts",
        sa.Column("seconds", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("session", sa.BigInteger(), autoincrement=False, nullable=False),
        *(
            sa.Column(name, sa.Integer(), server_default="0", nullable=False)
            for name in (*_OF_TASKS, *_OF_SUBTASKS, *_CLASSES)
        ),
        sa.PrimaryKeyConstraint("seconds", "at", "tenant", "kind", "service", "session"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "measurements",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("measured", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
