"""Index on tasks by parent."""

from waybill_ledger.migrations import create_index

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Towards the newer schema."""
    create_index("tasks_by_parent", "tasks", ["parent_id", "id"], where="parent_id IS NOT NULL")
