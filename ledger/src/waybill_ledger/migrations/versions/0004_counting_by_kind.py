"""Counts tasks of a time range by kind and state without reading their rows."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Towards the newer schema."""
    op.drop_index("tasks_by_creation", "tasks")
    op.create_index("tasks_by_creation", "tasks", ["created_at", "state", "kind"])
