"""What lives as long as the gateway: the ledger, the object store, the relay to the broker."""

from waybill_gateway.runtime.kinds import kind_in_use, kind_retired
from waybill_gateway.runtime.resources import DataCheck, Resources, ResourcesDep

__all__ = [
    "DataCheck",
    "Resources",
    "ResourcesDep",
    "kind_in_use",
    "kind_retired",
]
