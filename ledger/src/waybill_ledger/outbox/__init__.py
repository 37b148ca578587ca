"""The outbox: messages that are stored, and still to be published."""

from waybill_ledger.outbox.held_work import Feed, held_routing_keys, is_held, take_held
from waybill_ledger.outbox.outbox import (
    RELAY_GRACE,
    Sweep,
    Unpublished,
    cancellation_row,
    delete_published,
    delete_swept,
    messages_of,
    put_back,
    take_due,
    unpublished_of,
)
from waybill_ledger.outbox.pending_message import GATEWAY_SOURCE, HIGH_PRIORITY, LOW_PRIORITY, PendingMessage

__all__ = [
    "GATEWAY_SOURCE",
    "HIGH_PRIORITY",
    "LOW_PRIORITY",
    "RELAY_GRACE",
    "Feed",
    "PendingMessage",
    "Sweep",
    "Unpublished",
    "cancellation_row",
    "delete_published",
    "delete_swept",
    "held_routing_keys",
    "is_held",
    "messages_of",
    "put_back",
    "take_due",
    "take_held",
    "unpublished_of",
]
