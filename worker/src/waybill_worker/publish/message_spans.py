"""The spans of messages: publishing one, and consuming it.

Source of names: https://opentelemetry.io/docs/specs/semconv/messaging/rabbitmq/
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from waybill_contracts.wire import HEADER_TRACEPARENT, Envelope
from waybill_worker.observe import Span, SpanKind, current_traceparent, is_tracing, span
from waybill_worker.publish.publisher import OutgoingMessage


@contextmanager
def publish_span(exchange: str, routing_key: str, envelope: Envelope) -> Iterator[Envelope]:
    """A span around the publish of a message, as a child of the span in its envelope.

    Yields:
        The envelope that makes the consumer's span a child of this one.
    """
    if not is_tracing():
        yield envelope
        return
    attributes = {
        "messaging.operation.type": "send",
        "messaging.operation.name": "publish",
        "messaging.destination.name": exchange,
        "messaging.rabbitmq.destination.routing_key": routing_key,
    } | _of(envelope)
    # Without the key of the delay ladder, which differs for each wait; the default exchange has no name.
    name = f"send {exchange or routing_key}"
    with span(name, SpanKind.PRODUCER, attributes, parent=envelope.traceparent) as running:
        yield replace(envelope, traceparent=running.traceparent or envelope.traceparent)


@contextmanager
def follow_up_span(message: OutgoingMessage, envelope: Envelope) -> Iterator[OutgoingMessage]:
    """A span around the publish of the message that follows an attempt: another attempt, or a dead letter.

    Yields:
        The message, with this span in its headers.
    """
    if not is_tracing():
        yield message
        return
    cause = replace(envelope, traceparent=current_traceparent() or envelope.traceparent)
    with publish_span(message.exchange, message.routing_key, cause) as sent:
        yield replace(message, headers=message.headers | {HEADER_TRACEPARENT: sent.traceparent})


def consume_span(queue: str, envelope: Envelope) -> AbstractContextManager[Span]:
    """A span around the work on a message."""
    name = f"process {queue}"
    if not is_tracing():
        return span(name, SpanKind.CONSUMER)
    attributes = {
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.destination.name": queue,
    } | _of(envelope)
    return span(name, SpanKind.CONSUMER, attributes, parent=envelope.traceparent)


def _of(envelope: Envelope) -> dict[str, str | int]:
    return {
        "messaging.system": "rabbitmq",
        "waybill.task_id": envelope.task_id,
        "waybill.kind": envelope.kind,
        "waybill.attempt": envelope.attempt,
        "waybill.snooze_no": envelope.snooze_no,
        "waybill.redrive_no": envelope.redrive_no,
    }
