"""The messages that a service sends back to the broker: later attempts and dead letters.

Only our own headers are kept: with those that the broker adds (`x-death` and others) it would take retries
for loops, and drop the message.
"""

from datetime import datetime

from waybill_contracts.wire import DeadReason, Envelope, ErrorInfo, names
from waybill_worker.broker import Delivery, ladder_entry
from waybill_worker.failure_location import FailureLocation, service_version
from waybill_worker.publish.publisher import OutgoingMessage

#: Headers that are left out: the broker's own, and those of an earlier death.
_LEFT_BEHIND = (*names.BROKER_HEADERS, *names.DEAD_LETTER_HEADERS)
#: Characters of a header; the whole error is in the task's record.
_MAX_HEADER_LENGTH = 1000


def later(service: str, delivery: Delivery, envelope: Envelope, seconds: float) -> OutgoingMessage:
    """The message of the next attempt: the event again for `service` alone, after `seconds` on the ladder."""
    entry = ladder_entry(seconds, names.work_queue(service))
    return OutgoingMessage(
        exchange=entry.exchange,
        routing_key=entry.routing_key,
        body=delivery.body,
        headers=envelope.to_headers(),
        correlation_id=delivery.correlation_id,
        priority=delivery.priority,
    )


def dead_letter(
    service: str,
    delivery: Delivery,
    error: ErrorInfo,
    reason: DeadReason,
    at: datetime,
    where: FailureLocation | None = None,
    release: str | None = None,
) -> OutgoingMessage:
    """The dead letter of a message: its body as it came, the reason in headers.

    Args:
        service: the service.
        delivery: the message.
        error: why there is no further attempt, with its reason.
        reason: the kind of reason.
        at: when it was decided.
        where: where the attempt failed; None: no handler ran.
        release: of the service; None: the version that is installed.
    """
    own = {
        name: value
        for name, value in delivery.headers.items()
        if name not in _LEFT_BEHIND and not name.startswith(names.BROKER_HEADER_PREFIXES)
    }
    if where is not None:
        own[names.HEADER_TRACEBACK] = where.traceback
        if where.frame is not None:
            own[names.HEADER_ERROR_FRAME] = where.frame
    return OutgoingMessage(
        exchange=names.EXCHANGE_DEAD_LETTERS,
        routing_key=names.dead_letter_queue(service),
        body=delivery.body,
        headers=own
        | {
            names.HEADER_DEAD_REASON: reason.value,
            names.HEADER_ERROR_TYPE: error.type,
            names.HEADER_ERROR_MESSAGE: error.message[:_MAX_HEADER_LENGTH],
            names.HEADER_DIED_AT: at.isoformat(),
            names.HEADER_DIED_IN: service,
            names.HEADER_SERVICE_VERSION: release or service_version(service),
        },
        correlation_id=delivery.correlation_id,
        priority=delivery.priority,
    )
