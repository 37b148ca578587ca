"""Index on the tasks without an outcome by the contract of their data."""

from waybill_ledger.migrations import create_index

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Towards the newer schema."""
    create_index("tasks_open_by_contract", "tasks", ["dataschema", "id"], where="completed_at IS NULL")
