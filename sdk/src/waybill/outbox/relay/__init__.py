"""The relay of the application outbox: from rows to accepted tasks."""

from waybill.outbox.relay.inspection import Depth, Inspection, ListedRow
from waybill.outbox.relay.leases import LeaseLimits
from waybill.outbox.relay.running import KEYS_KEPT_DAYS, RunningRelay, limits_for, open_inspection, run

__all__ = [
    "KEYS_KEPT_DAYS",
    "Depth",
    "Inspection",
    "LeaseLimits",
    "ListedRow",
    "RunningRelay",
    "limits_for",
    "open_inspection",
    "run",
]
