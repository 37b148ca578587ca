"""Dead letters back to their services' work queues, directly at the broker.

Each is published, confirmed, and then acknowledged. If the command is killed in between, the letter stays in
its queue; sent again it has the same redrive number, so the inbox of the service drops the second copy.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractConnection, AbstractExchange
from aio_pika.exceptions import DeliveryError

from waybill_cli.broker.connection import ANSWER_SECONDS, find_queue
from waybill_cli.broker.letters import Letter, Wanted, take_letters
from waybill_cli.checking import UNFIXABLE
from waybill_cli.command_line import CommandError, Exit
from waybill_contracts.wire import CONTENT_TYPE_EVENT, Envelope, dead_letter_queue, work_queue


@dataclass(slots=True)
class Redriven:
    """Counts of the letters seen so far."""

    sent: int = 0
    #: Letters that were left in their queue, by reason.
    left: Counter[str] = field(default_factory=Counter)


class Redriver:
    """One run over some dead-letter queues.

    Args:
        connection: to the broker.
        done: its counts, which stay valid if the run is interrupted.
        wanted: filter of the letters.
        rate: letters a second.
        most: number of letters sent at most; None: all.
        on_letter: called after each letter.
    """

    def __init__(
        self,
        connection: AbstractConnection,
        done: Redriven,
        wanted: Wanted,
        *,
        rate: float,
        most: int | None,
        on_letter: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._done = done
        self._wanted = wanted
        self._pause = 1 / rate
        self._most = most
        self._on_letter = on_letter
        self._sent: set[tuple[str, str, int]] = set()
        self._next_at = 0.0

    async def redrive(self, service: str) -> None:
        """Redrives the letters of `service` that wait now; those that fail again meanwhile are left."""
        queue = await find_queue(self._connection, dead_letter_queue(service))
        if queue is None:
            raise CommandError(Exit.NO, f"there is no queue {dead_letter_queue(service)}")
        exchange = (await self._connection.channel(on_return_raises=True)).default_exchange
        async for letter in take_letters(queue, service, queue.declaration_result.message_count or 0):
            if self._most is not None and self._done.sent >= self._most:
                break
            why_not = self._why_not(letter)
            if letter.envelope is None or why_not is not None:
                self._done.left[why_not or UNFIXABLE] += 1
            else:
                await self._send(exchange, letter, letter.envelope.redriven())
                await letter.message.ack()
                self._done.sent += 1
            self._on_letter()
        # Waits until the broker has the acknowledgements, and returns the letters that were left.
        await queue.channel.close()

    def _why_not(self, letter: Letter) -> str | None:
        if not self._wanted.takes(letter):
            return "not selected"
        if letter.envelope is None or not letter.fit.is_one:
            return UNFIXABLE
        if letter.subtask in self._sent:
            return "redriven just now, and dead again"
        return None

    async def _send(self, exchange: AbstractExchange, letter: Letter, envelope: Envelope) -> None:
        await self._keep_the_rate()
        message = Message(
            letter.message.body,
            headers=envelope.to_headers(),
            content_type=CONTENT_TYPE_EVENT,
            correlation_id=letter.message.correlation_id,
            priority=letter.message.priority,
            message_id=uuid4().hex,
            delivery_mode=DeliveryMode.PERSISTENT,
        )
        queue = work_queue(letter.service)
        try:
            await exchange.publish(message, queue, mandatory=True, timeout=ANSWER_SECONDS)
        except DeliveryError as error:
            raise CommandError(Exit.NO, f"the broker did not take it: is there no queue {queue}?") from error
        self._sent.add((letter.service, envelope.task_id, envelope.redrive_no))

    async def _keep_the_rate(self) -> None:
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.0, self._next_at - now))
        self._next_at = max(self._next_at, now) + self._pause
