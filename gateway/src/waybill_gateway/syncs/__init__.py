"""Syncs: records for other systems."""

from waybill_gateway.syncs import routes
from waybill_gateway.syncs.targets import require_known_target

__all__ = [
    "require_known_target",
    "routes",
]
