"""Acknowledgements, many in one frame.

An acknowledgement costs a frame, a write to the socket and an entry in the queue's log, whether it is for one
message or for all up to a tag. So the acknowledgements of one turn of the event loop go out together: one
frame for the unbroken run of the oldest tags, and one for each tag after a gap.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import aiormq

from waybill_worker.amqp import ack_frame, reject_frame
from waybill_worker.observe import get_logger

log = get_logger(__name__)


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

    def __init__(self, channel: aiormq.abc.AbstractChannel, write: Callable[[bytes], None]) -> None:
        self.channel = channel
        self._write = write
        self._tags = Tags()
        self._is_sending = False

    def delivered(self, tag: int) -> None:
        """Add a message that will be acknowledged or rejected."""
        self._tags.delivered(tag)

    def ack(self, tag: int) -> None:
        """Acknowledge with the others of this turn of the loop; if that is lost, the message comes again."""
        self._tags.acknowledge(tag)
        if not self._is_sending:
            self._is_sending = True
            asyncio.get_running_loop().call_soon(self.send)

    def reject(self, tag: int) -> None:
        """Reject at once: the broker moves the message to the dead-letter queue."""
        self._tags.settled_otherwise(tag)
        if self.channel.is_closed:
            log.info("rejection lost; the message will be delivered again")
        else:
            # Past the client, as the acknowledgements: one that came first could be for this message too.
            self._write(reject_frame(self.channel.number, tag, requeue=False))

    def send(self) -> None:
        """Send what is acknowledged."""
        self._is_sending = False  # later acknowledgements are for the next turn
        up_to, single = self._tags.take()
        if self.channel.is_closed:
            log.info("acknowledgements lost; the messages will be delivered again", once_a_minute=True)
            return
        number = self.channel.number
        frames = [] if up_to is None else [ack_frame(number, up_to, multiple=True)]
        frames += [ack_frame(number, tag, multiple=False) for tag in single]
        self._write(b"".join(frames))
