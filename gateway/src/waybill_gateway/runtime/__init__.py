"""What lives as long as the gateway: the ledger, the object store, the relay to the broker."""

from waybill_gateway.runtime.kinds import kind_in_use, kind_retired
from waybill_gateway.runtime.resources import DataCheck, Resources, ResourcesDep
from waybill_gateway.runtime.watch_links import WATCH_PATH, WatchLink

__all__ = [
    "WATCH_PATH",
    "DataCheck",
    "Resources",
    "ResourcesDep",
    "WatchLink",
    "kind_in_use",
    "kind_retired",
]
