"""Acknowledgements, many in one frame.

An acknowledgement costs a frame, a write to the socket and an entry in the queue's log, whether it is for one
message or for all up to a tag. So the acknowledgements of one turn of the event loop go out together: one
frame for the unbroken run of the oldest tags, and one for each tag after a gap.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

import aiormq
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError

from waybill_worker.observe import get_logger

log = get_logger(__name__)
#: Errors of the client when the channel is lost.
CHANNEL_GONE = (AMQPError, ChannelInvalidStateError, RuntimeError)


class Tags:
    """The settled deliveries of one channel, and what to send to the broker. Pure."""

    def __init__(self) -> None:
        self._open: deque[int] = deque()
        #: Acknowledged since the last `take`.
        self._fresh: set[int] = set()
        #: Sent already, with an open tag before them.
        self._sent: set[int] = set()

    def delivered(self, tag: int) -> None:
        """Add a delivered message; tags rise."""
        self._open.append(tag)

    def acknowledge(self, tag: int) -> None:
        """Mark a tag as acknowledged."""
        self._fresh.add(tag)

    def settled_otherwise(self, tag: int) -> None:
        """Mark a tag as settled in another way, such as a rejection."""
        self._sent.add(tag)

    def take(self) -> tuple[int | None, Sequence[int]]:
        """Take what is to be acknowledged now.

        Returns:
            The tag up to which all are acknowledged, if there is one; and single tags after it.
        """
        up_to: int | None = None
        while self._open:
            tag = self._open[0]
            if tag in self._fresh:
                self._fresh.remove(tag)
                up_to = tag
            elif tag in self._sent:
                self._sent.remove(tag)
            else:
                break
            self._open.popleft()
        single = sorted(self._fresh)
        self._sent.update(single)
        self._fresh.clear()
        return up_to, single


class ChannelAcks:
    """The acknowledgements of one channel, until it closes."""

    def __init__(self, channel: aiormq.abc.AbstractChannel) -> None:
        self.channel = channel
        self._tags = Tags()
        self._sending: asyncio.Task[None] | None = None

    def delivered(self, tag: int) -> None:
        """Add a message that will be acknowledged or rejected."""
        self._tags.delivered(tag)

    def ack(self, tag: int) -> None:
        """Acknowledge with the others of this turn of the loop; if that is lost, the message comes again."""
        self._tags.acknowledge(tag)
        if self._sending is None:
            self._sending = asyncio.create_task(self._send(), name="acknowledge")

    async def reject(self, tag: int) -> None:
        """Reject at once: the broker moves the message to the dead-letter queue."""
        self._tags.settled_otherwise(tag)
        try:
            await self.channel.basic_reject(tag, requeue=False)
        except CHANNEL_GONE as error:
            log.info("rejection lost; the message will be delivered again", error=error)

    async def sent(self) -> None:
        """Return when nothing waits to be sent."""
        while self._sending is not None:
            await asyncio.shield(self._sending)

    async def _send(self) -> None:
        self._sending = None  # later acknowledgements are for the next turn
        up_to, single = self._tags.take()
        try:
            # Without waiting for the socket: that does not show whether the broker has read them.
            if up_to is not None:
                await self.channel.basic_ack(up_to, multiple=True, wait=False)
            for tag in single:
                await self.channel.basic_ack(tag, wait=False)
        except CHANNEL_GONE as error:
            log.info(
                "acknowledgements lost; the messages will be delivered again", error=error, once_a_minute=True
            )
