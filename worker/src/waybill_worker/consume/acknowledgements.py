"""Acknowledgements, many in one frame.

An acknowledgement costs a frame, a write to the socket and an entry in the queue's log, whether it is for one
message or for all up to a tag. So those that come in one turn of the event loop go out together: the unbroken
run of the oldest ones in one frame, and what stands apart from it by itself.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

import aiormq
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError

from waybill_worker.observe.logs import get_logger

log = get_logger(__name__)
#: What the client raises when the channel has gone away.
CHANNEL_GONE = (AMQPError, ChannelInvalidStateError, RuntimeError)


class Tags:
    """Which deliveries of one channel are settled, and how to tell the broker. Pure."""

    def __init__(self) -> None:
        self._open: deque[int] = deque()
        #: Settled since the last time, and told but with an open one before them.
        self._fresh: set[int] = set()
        self._told: set[int] = set()

    def delivered(self, tag: int) -> None:
        """A message has come; tags rise."""
        self._open.append(tag)

    def acknowledge(self, tag: int) -> None:
        """It is dealt with."""
        self._fresh.add(tag)

    def told(self, tag: int) -> None:
        """The broker has been told about it otherwise."""
        self._told.add(tag)

    def take(self) -> tuple[int | None, Sequence[int]]:
        """What is to be acknowledged now.

        Returns:
            The tag up to which all are, if there is such a run; and single tags behind it.
        """
        up_to: int | None = None
        while self._open:
            tag = self._open[0]
            if tag in self._fresh:
                self._fresh.remove(tag)
                up_to = tag
            elif tag in self._told:
                self._told.remove(tag)
            else:
                break
            self._open.popleft()
        single = sorted(self._fresh)
        self._told.update(single)
        self._fresh.clear()
        return up_to, single


class ChannelAcks:
    """The acknowledgements of one channel, until it closes."""

    def __init__(self, channel: aiormq.abc.AbstractChannel) -> None:
        self.channel = channel
        self._tags = Tags()
        self._sending: asyncio.Task[None] | None = None

    def delivered(self, tag: int) -> None:
        """A message has come that will be acknowledged or rejected."""
        self._tags.delivered(tag)

    def ack(self, tag: int) -> None:
        """Acknowledges with the others of this turn of the loop; if that is lost, the message comes again."""
        self._tags.acknowledge(tag)
        if self._sending is None:
            self._sending = asyncio.create_task(self._send(), name="acknowledge")

    async def reject(self, tag: int) -> None:
        """Rejects at once: the broker moves the message to the dead-letter queue."""
        self._tags.told(tag)
        try:
            await self.channel.basic_reject(tag, requeue=False)
        except CHANNEL_GONE as error:
            log.info("rejection lost; the message will be delivered again", error=error)

    async def sent(self) -> None:
        """Returns when nothing waits to be sent."""
        while self._sending is not None:
            await asyncio.shield(self._sending)

    async def _send(self) -> None:
        self._sending = None  # what is acknowledged from now on is for the next turn
        up_to, single = self._tags.take()
        try:
            # Not waiting for the socket: nobody learns from it whether the broker has read them.
            if up_to is not None:
                await self.channel.basic_ack(up_to, multiple=True, wait=False)
            for tag in single:
                await self.channel.basic_ack(tag, wait=False)
        except CHANNEL_GONE as error:
            log.info(
                "acknowledgements lost; the messages will be delivered again", error=error, once_a_minute=True
            )
