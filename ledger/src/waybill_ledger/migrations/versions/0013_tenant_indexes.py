"""Indexes for listings of one tenant."""

from waybill_ledger.migrations import create_index

revision = "0013"
down_revision = "0012"

_OF_TENANTS = "tenant <> 'default'"


def upgrade() -> None:
    """Towards the newer schema."""
    for name, table, columns in (
        ("tasks_of_tenant", "tasks", ("tenant", "id")),
        ("tasks_of_tenant_by_state", "tasks", ("tenant", "state", "id")),
        ("tasks_of_tenant_by_creation", "tasks", ("tenant", "created_at", "state", "kind")),
        ("dead_letters_of_tenant", "dead_letters", ("tenant", "state", "id")),
    ):
        create_index(name, table, columns, where=_OF_TENANTS)
