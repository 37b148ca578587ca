"""Index on reset links by task."""

from waybill_ledger.migrations import create_index

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Towards the newer schema."""
    create_index("password_resets_by_task", "password_resets", ["task_id"])
