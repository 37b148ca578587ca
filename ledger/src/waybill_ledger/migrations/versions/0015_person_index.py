"""Index on tasks by person."""

from waybill_ledger.migrations import create_index

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Towards the newer schema."""
    create_index("tasks_by_person", "tasks", ["person", "id"], where="person IS NOT NULL")
