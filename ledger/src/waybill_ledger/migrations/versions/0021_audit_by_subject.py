"""Index on the audit trail by revealed task or schedule."""

from waybill_ledger.migrations import create_index

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Towards the newer schema."""
    create_index("desk_audit_by_subject", "desk_audit", ["subject", "seq"], where="subject IS NOT NULL")
