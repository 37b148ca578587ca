"""The reporter: publishes lifecycle events for the status service, many in one message.

While one batch waits for its confirm, the next one gathers; a single event that is waited for does not wait.
Each message costs the broker and the status service as much as several events, so under load a batch waits a
little for more, and an event that nobody waits for, such as a start, waits for the next one that somebody
does: a short attempt is one message.
"""

import asyncio
from dataclasses import dataclass

from waybill_contracts.wire import (
    CONTENT_TYPE_LIFECYCLE_BATCH,
    EXCHANGE_EVENTS,
    LIFECYCLE_BATCH,
    MAX_SPAWNED_BYTES,
    LifecycleEvent,
)
from waybill_worker.observe import current_traceparent, get_logger
from waybill_worker.publish.publisher import OutgoingMessage, Publisher, PublishError

log = get_logger(__name__)

#: Events in one message: a batch stays well under a megabyte even if each event has a long error.
MAX_BATCH = 200
#: Events in one message that show load: the next batch then waits a little for more.
CROWD = 4
GATHER_SECONDS = 0.004
#: Seconds that an event which nobody waits for may wait for others. People may watch: they notice no more.
EMIT_SECONDS = 0.05
#: Seconds before a batch that failed is published again.
REPUBLISH_SECONDS = 0.5


@dataclass(slots=True)
class _Waiting:
    event: LifecycleEvent
    confirmed: asyncio.Future[None]
    is_urgent: bool

    @property
    def spawned_bytes(self) -> int:
        """Bytes of the tasks that it spawns: the one part of an event that may be large."""
        return sum(len(task.payload) for task in self.event.data.spawned or ())


class Reporter:
    """Publishes lifecycle events in the order in which they are emitted."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._waiting: list[_Waiting] = []
        self._publishing: asyncio.Task[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None

    def emit(self, event: LifecycleEvent) -> None:
        """Queues `event` to be published with the next one that is waited for, or alone after a moment."""
        _ = self._add(event, is_urgent=False)
        self._set_alarm()

    async def emit_and_wait(self, event: LifecycleEvent) -> None:
        """Queues `event` and waits until the broker has confirmed it, and all events before it."""
        await self.queue(event)

    def queue(self, event: LifecycleEvent) -> asyncio.Future[None]:
        """Queues `event`, without waiting; the future is done once the broker has confirmed it."""
        confirmed = self._add(event, is_urgent=True)
        self._begin()
        return confirmed

    def _add(self, event: LifecycleEvent, *, is_urgent: bool) -> asyncio.Future[None]:
        # Here, in the attempt's own trace: a batch belongs to no single trace.
        if (traceparent := current_traceparent()) is not None:
            event = event.model_copy(update={"traceparent": traceparent})
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(event, confirmed, is_urgent))
        return confirmed

    def _set_alarm(self) -> None:
        if self._publishing is None and self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(EMIT_SECONDS, self._hurry)

    def _hurry(self) -> None:
        for waiting in self._waiting:
            waiting.is_urgent = True
        self._begin()

    def _begin(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._publishing is None:
            self._publishing = asyncio.create_task(self._publish_all(), name="report")

    async def _publish_all(self) -> None:
        try:
            while any(waiting.is_urgent for waiting in self._waiting):
                batch = self._next_batch()
                if await self._published([waiting.event for waiting in batch]):
                    del self._waiting[: len(batch)]
                    for waiting in batch:
                        if not waiting.confirmed.done():
                            waiting.confirmed.set_result(None)
                    if CROWD <= len(batch) < MAX_BATCH:
                        await asyncio.sleep(GATHER_SECONDS)
                else:
                    await asyncio.sleep(REPUBLISH_SECONDS)
        finally:
            self._publishing = None
            if self._waiting:
                self._set_alarm()

    def _next_batch(self) -> list[_Waiting]:
        """The first events that wait; a message of them stays far below the limit of the broker."""
        most, size = self._waiting[:MAX_BATCH], 0
        for number, waiting in enumerate(most):
            size += waiting.spawned_bytes
            if number and size > MAX_SPAWNED_BYTES:
                return most[:number]
        return most

    async def _published(self, events: list[LifecycleEvent]) -> bool:
        # Publishing twice is harmless: the ledger's merge knows each event by its id.
        try:
            await self._publisher.publish(
                OutgoingMessage(
                    exchange=EXCHANGE_EVENTS,
                    routing_key=events[0].type,
                    body=LIFECYCLE_BATCH.dump_json(events, exclude_none=True),
                    content_type=CONTENT_TYPE_LIFECYCLE_BATCH,
                )
            )
        except PublishError as error:
            log.warning(
                "lifecycle events not confirmed, publishing again",
                events=len(events),
                error=error,
                once_a_minute=True,
            )
            return False
        return True
