"""Schedules, and which of them made a task."""

import sqlalchemy as sa
from alembic import op

from waybill_database import Instant

revision = "0008"
down_revision = "0007"

_BY_SCHEDULE = sa.text("schedule_id IS NOT NULL")


def upgrade() -> None:
    """Towards the newer schema."""
    op.create_table(
        "schedules",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("about", sa.String(length=512), nullable=False),
        sa.Column("cron", sa.String(length=100), nullable=True),
        sa.Column("every_seconds", sa.Integer(), nullable=True),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("starts_at", Instant(), nullable=True),
        sa.Column("ends_at", Instant(), nullable=True),
        sa.Column("missed", sa.String(length=16), nullable=False),
        sa.Column("missed_limit", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=True),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("next_at", Instant(), nullable=True),
        sa.Column("last_slot_at", Instant(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_index("schedules_by_next_slot", "schedules", ["next_at"])
    op.add_column("tasks", sa.Column("schedule_id", sa.String(length=36), nullable=True))
    op.add_column("tasks", sa.Column("slot_at", Instant(), nullable=True))
    op.create_index(
        "tasks_by_slot",
        "tasks",
        ["schedule_id", "slot_at"],
        unique=True,
        sqlite_where=_BY_SCHEDULE,
        postgresql_where=_BY_SCHEDULE,
    )
    op.create_index(
        "tasks_by_schedule",
        "tasks",
        ["schedule_id", "id"],
        sqlite_where=_BY_SCHEDULE,
        postgresql_where=_BY_SCHEDULE,
    )
