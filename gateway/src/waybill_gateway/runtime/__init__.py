"""What lives as long as the gateway: the ledger, the object store, the relay to the broker."""

from waybill_gateway.runtime.resources import Resources, ResourcesDep

__all__ = [
    "Resources",
    "ResourcesDep",
]
