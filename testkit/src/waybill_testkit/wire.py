"""Messages that a test publishes and consumes itself."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from waybill_contracts.events import Event
from waybill_contracts.wire import EXCHANGE_TASKS, LIFECYCLE_BATCH, Envelope, LifecycleEvent
from waybill_testkit.eventually import EVENTUALLY_SECONDS, eventually
from waybill_testkit.samples import envelope_of


class Wire:
    """One channel to the broker, with confirms."""

    def __init__(self, channel: AbstractChannel) -> None:
        self.channel = channel

    async def put(
        self, exchange: str, routing_key: str, body: bytes, headers: Mapping[str, Any], *, copies: int = 1
    ) -> None:
        """Publishes, and returns when the broker has confirmed."""
        target = (
            await self.channel.get_exchange(exchange, ensure=False)
            if exchange
            else self.channel.default_exchange
        )
        for _ in range(copies):
            message = Message(
                body,
                headers=dict(headers),
                correlation_id="order-7",
                message_id=uuid4().hex,
                delivery_mode=DeliveryMode.PERSISTENT,
            )
            await target.publish(message, routing_key)

    async def request(self, event: Event, *, copies: int = 1, **fields: Any) -> Envelope:
        """Publishes a task event as the gateway does; `fields` are those of its envelope."""
        envelope = envelope_of(event, **fields)
        body = event.model_dump_json(exclude_defaults=True).encode()
        await self.put(EXCHANGE_TASKS, event.KIND, body, envelope.to_headers(), copies=copies)
        return envelope

    async def take(self, queue: str) -> AbstractIncomingMessage:
        """Waits for the next message of `queue` and takes it out."""
        source = await self.channel.get_queue(queue, ensure=False)
        # An answer that came after a time limit of its own would be a message lost.
        return await eventually(lambda: source.get(no_ack=True, fail=False, timeout=EVENTUALLY_SECONDS))

    async def reported(self, *, until: str) -> list[LifecycleEvent]:
        """Takes lifecycle events from the status service's queue until one of the type `until` comes."""
        events: list[LifecycleEvent] = []
        while until not in [event.type for event in events]:
            message = await self.take("status.work")
            events += LIFECYCLE_BATCH.validate_json(message.body)
        return events

    async def ready(self, queue: str) -> int:
        """Number of ready messages in `queue`, now."""
        declared = await self.channel.declare_queue(queue, passive=True)
        return declared.declaration_result.message_count or 0
