"""The outbox relay: what still waits is published; low-priority work as fast as services take it."""

from waybill_status.outbox.low_priority_feed import Feeder
from waybill_status.outbox.outbox_relay import OutboxRelay

__all__ = [
    "Feeder",
    "OutboxRelay",
]
