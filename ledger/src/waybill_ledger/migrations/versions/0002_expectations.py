"""Time at which the next heartbeat of each subtask is due, so that the reconciler finds silent ones."""

import sqlalchemy as sa
from alembic import op

from waybill_database import Instant

revision = "0002"
down_revision = "0001"

#: What the states were called when this was written; a migration does not follow later changes of the code.
_BY_NEXT_ATTEMPT = ("scheduled", "retrying")
_BY_LAST_CHANGE = ("pending", "running")


def upgrade() -> None:
    """Towards the newer schema."""
    op.add_column("subtasks", sa.Column("expected_at", Instant(), nullable=True))
    op.add_column("subtasks", sa.Column("reconciled", sa.Integer(), server_default="0", nullable=False))
    subtasks = sa.table(
        "subtasks",
        sa.column("state", sa.String),
        sa.column("updated_at", Instant),
        sa.column("next_attempt_at", Instant),
        sa.column("expected_at", Instant),
    )
    for states, since in (
        (_BY_NEXT_ATTEMPT, subtasks.c.next_attempt_at),
        (_BY_LAST_CHANGE, subtasks.c.updated_at),
    ):
        op.execute(sa.update(subtasks).where(subtasks.c.state.in_(states)).values(expected_at=since))
    op.create_index(
        "subtasks_by_expectation",
        "subtasks",
        ["expected_at"],
        sqlite_where=sa.text("expected_at IS NOT NULL"),
        postgresql_where=sa.text("expected_at IS NOT NULL"),
    )
    op.drop_index("tasks_by_creation", "tasks")
    op.create_index("tasks_by_creation", "tasks", ["created_at", "state"])
