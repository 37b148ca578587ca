"""The history of the schema, and the upgrade of a ledger to the newest one."""

from waybill_ledger.migrations.live_changes import create_index
from waybill_ledger.migrations.migrate import upgrade

__all__ = [
    "create_index",
    "upgrade",
]
