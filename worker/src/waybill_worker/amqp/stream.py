"""What comes from the broker on one connection: deliveries and confirms go directly to who awaits them.

The client reads each frame with three calls, puts it into a queue of its channel, and makes two tasks for
each message. Here one call parses all frames that have come. Frames that are not known here go on to the
client as they came: connecting, heartbeats, channels, consumers, errors and closing are the client's.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

import aiormq
from aiormq.exceptions import InvalidFrameError
from pamqp.heartbeat import Heartbeat

from waybill_worker.amqp import frames
from waybill_worker.amqp.confirms import Confirms, UnansweredError
from waybill_worker.observe import get_logger

log = get_logger(__name__)

#: Bytes of a frame's content while the connection is made, before both sides have agreed on a limit.
FIRST_FRAME_MAX: Final = 131_072
#: Seconds between heartbeats that the client is given while only deliveries and confirms come: from a busy
#: connection the broker sends none, and the client would take it for dead.
HEARTBEAT_SECONDS: Final = 1.0
_CHANNEL_ENDS: Final = (frames.CHANNEL_CLOSE, frames.CHANNEL_CLOSE_OK)
_ANSWERS: Final = (frames.ACK, frames.NACK, frames.RETURN)
_FRAME_TYPES: Final = (frames.METHOD, frames.HEADER, frames.BODY, frames.HEARTBEAT)


@dataclass(slots=True)
class Incoming:
    """A message as it was delivered."""

    #: Delivered it, and takes the acknowledgement.
    channel: aiormq.abc.AbstractChannel
    write: Callable[[bytes], None]
    tag: int
    #: Those that are set, by name.
    properties: dict[str, Any]
    body: bytes


#: Is given each message of a consumer.
Sink = Callable[[Incoming], None]


class _Content:
    """A message of which not all frames have come yet."""

    __slots__ = ("came", "pieces", "properties", "sink", "size", "tag")

    def __init__(self, sink: Sink | None, tag: int) -> None:
        self.sink = sink  # None: a returned message
        self.tag = tag
        self.size = -1
        self.properties: dict[str, Any] = {}
        self.pieces: list[bytes] = []
        self.came = 0


class FrameStream(asyncio.StreamReaderProtocol):
    """The protocol of one connection.

    Args:
        reader: from which the client reads what is left to it.
        sinks: of the consumers, by their tag; the client must know a consumer of that tag too.
    """

    def __init__(self, reader: asyncio.StreamReader, sinks: dict[bytes, Sink]) -> None:
        super().__init__(reader)
        self._for_client = reader
        self._sinks = sinks
        self._loop_time = asyncio.get_running_loop().time
        self._socket: asyncio.Transport | None = None
        self._client: aiormq.abc.AbstractConnection | None = None
        self._largest = FIRST_FRAME_MAX
        self._confirms: dict[int, Confirms] = {}
        self._contents: dict[int, _Content] = {}
        #: The beginning of a frame, and how many bytes of it must have come to go on.
        self._rest = bytearray()
        self._awaited = 0
        self._has_begun = False
        #: What comes is no AMQP, which is for the client to say; or it was, and is broken.
        self._is_foreign = False
        self._is_broken = False
        self._heartbeat_at = 0.0

    def serve(self, client: aiormq.abc.AbstractConnection) -> None:
        """Begins to deliver, once the client is connected."""
        self._client = client
        # 0: no limit.
        self._largest = (client.connection_tune.frame_max or 1 << 32) - frames.FRAME_OVERHEAD

    def confirms_of(self, channel: aiormq.abc.AbstractChannel, timeout_seconds: float) -> Confirms:
        """Takes over the publishes of a channel that is in confirm mode and has published nothing.

        Args:
            channel: of this connection.
            timeout_seconds: after which a message without a confirm has failed.
        """
        confirms = Confirms(channel.number, self._largest, self.write, timeout_seconds)
        # A channel that is reopened while its connection is lost may be one of an earlier connection.
        is_ours = channel.connection is self._client and not channel.is_closed
        if self._is_broken or self._socket is None or not is_ours:
            confirms.close("the connection is lost")
        else:
            self._confirms[channel.number] = confirms
        return confirms

    def write(self, data: bytes) -> None:
        """Writes whole frames; they are lost if the connection is."""
        if self._socket is not None and not self._socket.is_closing():
            self._socket.write(data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As the event loop calls it."""
        super().connection_made(transport)
        self._socket = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """As the event loop calls it."""
        self._socket = None
        self._end("the connection was lost while publishing")
        super().connection_lost(exc)

    def eof_received(self) -> bool | None:
        """As the event loop calls it."""
        # The client says what a frame that ends too early means.
        self._for_client.feed_data(bytes(self._rest))
        self._rest.clear()
        return super().eof_received()

    def data_received(self, data: bytes) -> None:
        """As the event loop calls it."""
        if self._is_broken:
            return
        if self._rest:
            self._rest += data
            if len(self._rest) < self._awaited:
                return
            data = bytes(self._rest)
            self._rest.clear()
        try:
            self._parse(data)
        except frames.MALFORMED as error:
            self._is_broken = True
            self._end("the broker sent a malformed frame")
            # The client closes the connection, and makes another.
            self._for_client.set_exception(InvalidFrameError(f"malformed frame: {error}"))

    def _parse(self, data: bytes) -> None:
        at = kept = 0
        while not self._is_foreign and (after := self._end_of_frame(data, at)):
            kind, channel, _ = frames.FRAME.unpack_from(data, at)
            if self._is_taken(kind, channel, data, at + frames.FRAME.size, after - 1):
                if kept < at:
                    self._for_client.feed_data(data[kept:at])
                kept = after
            at = after
        if self._is_foreign:
            at = len(data)
        if kept < at:
            self._for_client.feed_data(data[kept:at])
        if kept:
            self._show_life()
        self._rest += data[at:]

    def _end_of_frame(self, data: bytes, at: int) -> int:
        """Where a frame ends; 0: it has not come as a whole, or is none of AMQP."""
        if len(data) - at < frames.FRAME.size:
            self._awaited = frames.FRAME.size
            return 0
        kind, _, size = frames.FRAME.unpack_from(data, at)
        if kind not in _FRAME_TYPES or size > self._largest:
            if self._has_begun:
                raise ValueError(f"a frame of the type {kind} with {size} bytes")
            self._is_foreign = True
            return 0
        end: int = at + frames.FRAME_OVERHEAD + size
        if end > len(data):
            self._awaited = end - at
            return 0
        if data[end - 1] != frames.FRAME_END:
            raise ValueError("a frame does not end where it should")
        self._has_begun = True
        return end

    def _show_life(self) -> None:
        now = self._loop_time()
        if now - self._heartbeat_at >= HEARTBEAT_SECONDS:
            self._heartbeat_at = now
            self._for_client.feed_data(Heartbeat.value)

    def _is_taken(self, kind: int, channel: int, data: bytes, at: int, end: int) -> bool:
        """Whether a frame is known here, where it then ends."""
        content = self._contents.get(channel)
        if kind == frames.METHOD:
            return self._takes_method(channel, data, at, end)
        if content is None or kind == frames.HEARTBEAT:
            return False
        if kind == frames.HEADER:
            if content.size >= 0:
                raise ValueError("a message with two headers")
            content.size, content.properties = frames.read_header(data, at, end)
        else:
            content.pieces.append(data[at:end])
            content.came += end - at
        if content.came > content.size:
            raise ValueError("a body that is longer than its header says, or has none")
        if content.came == content.size:
            del self._contents[channel]
            self._complete(channel, content)
        return True

    def _takes_method(self, channel: int, data: bytes, at: int, end: int) -> bool:
        (method,) = frames.INDEX.unpack_from(data, at)
        at += frames.INDEX.size
        if method in _CHANNEL_ENDS:
            self._contents.pop(channel, None)
            if (confirms := self._confirms.pop(channel, None)) is not None:
                confirms.close("the channel was closed")
            return False
        if channel in self._contents:
            raise ValueError("a method in the middle of a message")
        if method == frames.DELIVER:
            consumer, tag = frames.read_deliver(data, at, end)
            sink = self._sinks.get(consumer)
            if sink is not None:
                self._contents[channel] = _Content(sink, tag)
            return sink is not None
        if (confirms := self._confirms.get(channel)) is None or method not in _ANSWERS:
            return False
        if method == frames.RETURN:
            self._contents[channel] = _Content(None, 0)
        else:
            tag, multiple = frames.read_confirm(data, at, end)
            refused = UnansweredError("the broker did not take it") if method == frames.NACK else None
            confirms.confirmed(tag, multiple=multiple, error=refused)
        return True

    def _complete(self, channel: int, content: _Content) -> None:
        if content.sink is None:
            self._confirms[channel].returned(content.properties.get("message_id", ""))
            return
        of_client = self._client.channels.get(channel) if self._client is not None else None
        if of_client is None:
            return  # the channel is closed, so the message comes again
        pieces = content.pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        try:
            content.sink(Incoming(of_client, self.write, content.tag, content.properties, body))
        except Exception:
            # An error of ours is no reason to lose the connection; the message comes again with the next one.
            log.exception("message cannot be taken")

    def _end(self, reason: str) -> None:
        self._contents.clear()
        self._rest.clear()
        for confirms in self._confirms.values():
            confirms.close(reason)
        self._confirms.clear()
