"""Syncs: records for other systems."""

from waybill_gateway.syncs import routes
from waybill_gateway.syncs.targets import check_sync

__all__ = [
    "check_sync",
    "routes",
]
