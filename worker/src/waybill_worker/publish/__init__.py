"""Publishing: confirmed messages, lifecycle events, retries and dead letters."""

from waybill_worker.publish.lifecycle_events import (
    outcome_event,
    progress_event,
    started_event,
    unreadable_event,
)
from waybill_worker.publish.message_relay import relay_all, relay_each
from waybill_worker.publish.message_spans import consume_span, follow_up_span
from waybill_worker.publish.publisher import OutgoingMessage, Publisher
from waybill_worker.publish.reporter import Reporter
from waybill_worker.publish.republish import dead_letter, later
from waybill_worker.publish.step_retries import (
    RETRY_SECONDS,
    DeliveryLostError,
    retry_until_success,
    retry_while_delivered,
)

__all__ = [
    "RETRY_SECONDS",
    "DeliveryLostError",
    "OutgoingMessage",
    "Publisher",
    "Reporter",
    "consume_span",
    "dead_letter",
    "follow_up_span",
    "later",
    "outcome_event",
    "progress_event",
    "relay_all",
    "relay_each",
    "retry_until_success",
    "retry_while_delivered",
    "started_event",
    "unreadable_event",
]
