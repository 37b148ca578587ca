"""Index on marks, to find abandoned ones without scanning all unused files."""

from waybill_ledger.migrations import create_index

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Towards the newer schema."""
    create_index("originals_marked", "originals", ["touched_at"], where="removing")
