"""The relay of the application outbox: from rows to accepted tasks."""

from waybill.outbox.relay.inspection import Depth, Inspection, ListedRow
from waybill.outbox.relay.leases import LeaseLimits
from waybill.outbox.relay.running import RunningRelay, open_inspection, run

__all__ = ["Depth", "Inspection", "LeaseLimits", "ListedRow", "RunningRelay", "open_inspection", "run"]
