"""A message of the outbox, and its AMQP priority."""

from dataclasses import dataclass

from waybill_contracts.wire import Envelope, source_of

#: The CloudEvents source of task events.
GATEWAY_SOURCE = source_of("gateway")
#: AMQP priorities. A quorum queue of RabbitMQ 4.0 to 4.2 lets messages of 5 and more overtake the others, two
#: for one; from 4.3 on each level goes before all lower ones, and no priority is the lowest one. Low work is
#: held in the outbox while its services' queues are long (`waybill_ledger.outbox.held_work`).
HIGH_PRIORITY, LOW_PRIORITY = 9, 0


@dataclass(frozen=True, slots=True)
class PendingMessage:
    """A row of the outbox with everything that is needed to publish it."""

    outbox_id: int
    exchange: str
    routing_key: str
    envelope: Envelope
    body: bytes
    correlation_id: str
    priority: int | None
