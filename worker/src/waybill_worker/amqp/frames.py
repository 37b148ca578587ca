"""The frames of AMQP 0-9-1 that each message needs: publish, deliver, acknowledge. pamqp has all others.

pamqp looks up every field of every frame by name, which takes 50 us for a publish or a delivery; this takes
about 10. Tests hold both to each other, byte by byte.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from struct import Struct
from struct import error as StructError  # noqa: N812 - as pamqp names it
from typing import Any, Final

from pamqp import decode
from pamqp.commands import Basic
from pamqp.encode import short_string
from pamqp.frame import marshal

from waybill_worker.amqp.tables import read_table, write_table

#: Errors of a frame that is malformed.
MALFORMED: Final = (ValueError, StructError, IndexError, ArithmeticError, OSError, RecursionError)

#: Types of frames.
METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
#: Type, channel and size of a frame; after them its content, and the byte that ends it.
FRAME: Final = Struct(">BHI")
FRAME_END: Final = 0xCE
#: Bytes of a frame beside its content.
FRAME_OVERHEAD: Final = FRAME.size + 1
_END: Final = bytes((FRAME_END,))
#: The methods, each by its class and its number.
INDEX: Final = Struct(">I")
CHANNEL_CLOSE, CHANNEL_CLOSE_OK = 20 << 16 | 40, 20 << 16 | 41
RETURN, DELIVER = 60 << 16 | 50, 60 << 16 | 60
ACK, REJECT, NACK = 60 << 16 | 80, 60 << 16 | 90, 60 << 16 | 120

_SETTLED: Final = Struct(">BHIIQBB")
_SETTLED_SIZE: Final = 13
_TAG_AND_BITS: Final = Struct(">QB")
_CONTENT: Final = Struct(">HxxQH")
_BASIC: Final = 60
_PERSISTENT: Final = b"\x02"

_HAS_HEADERS: Final = 1 << 13
_HAS_MODE: Final = 1 << 12
_HAS_PRIORITY: Final = 1 << 11
_HAS_CORRELATION: Final = 1 << 10
_HAS_MESSAGE_ID: Final = 1 << 7
_HAS_CONTENT_TYPE: Final = 1 << 15
#: Flags that no property has.
_UNKNOWN: Final = 0b11


def _read_text(data: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + data[at]
    return data[at + 1 : end].decode(), end


def _read_byte(data: bytes, at: int) -> tuple[int, int]:
    return data[at], at + 1


def _read_time(data: bytes, at: int) -> tuple[Any, int]:
    size, value = decode.timestamp(data[at : at + 8])
    return value, at + size


#: The properties of a message in their order: flag, name, how to read it.
_PROPERTIES: Final[tuple[tuple[int, str, Callable[[bytes, int], tuple[Any, int]]], ...]] = (
    (_HAS_CONTENT_TYPE, "content_type", _read_text),
    (1 << 14, "content_encoding", _read_text),
    (_HAS_HEADERS, "headers", read_table),
    (_HAS_MODE, "delivery_mode", _read_byte),
    (_HAS_PRIORITY, "priority", _read_byte),
    (_HAS_CORRELATION, "correlation_id", _read_text),
    (1 << 9, "reply_to", _read_text),
    (1 << 8, "expiration", _read_text),
    (_HAS_MESSAGE_ID, "message_id", _read_text),
    (1 << 6, "timestamp", _read_time),
    (1 << 5, "type", _read_text),
    (1 << 4, "user_id", _read_text),
    (1 << 3, "app_id", _read_text),
    (1 << 2, "cluster_id", _read_text),
)


@lru_cache(maxsize=4096)
def _fields_of(flags: int) -> tuple[tuple[str, Callable[[bytes, int], tuple[Any, int]]], ...]:
    if flags & _UNKNOWN:
        raise ValueError("a message has a property that does not exist")
    return tuple((name, read) for flag, name, read in _PROPERTIES if flags & flag)


def publish_frames(  # noqa: PLR0913 - the parts of a message
    channel: int,
    largest_body: int,
    body: bytes,
    *,
    exchange: str,
    routing_key: str,
    headers: Mapping[str, Any],
    message_id: str,
    content_type: str,
    correlation_id: str | None,
    priority: int | None,
) -> bytes:
    """The frames of a publish of a persistent message that must reach a queue.

    Args:
        channel: number of the channel.
        largest_body: bytes of the body in one frame.
        body: of the message.
        exchange: where it is published.
        routing_key: its way from there.
        headers: of the message.
        message_id: of the message.
        content_type: of the message.
        correlation_id: of the message; None: it has none.
        priority: 0 to 255; None: it has none.

    Raises:
        TypeError: a text is too long, or a header has a type that AMQP does not know.
        ValueError: the name of the exchange is none.
    """
    flags = _HAS_CONTENT_TYPE | _HAS_HEADERS | _HAS_MODE | _HAS_MESSAGE_ID
    properties = [short_string_of(content_type), write_table(dict(headers)), _PERSISTENT]
    if priority is not None:
        flags |= _HAS_PRIORITY
        properties.append(priority.to_bytes(1, "big"))
    if correlation_id:
        flags |= _HAS_CORRELATION
        properties.append(short_string(correlation_id))
    properties.append(short_string(message_id))
    written = b"".join(properties)
    parts = [
        _publish_method(channel, exchange, routing_key),
        FRAME.pack(HEADER, channel, _CONTENT.size + len(written)),
        _CONTENT.pack(_BASIC, len(body), flags),
        written,
        _END,
    ]
    for begin in range(0, len(body), largest_body):
        piece = body[begin : begin + largest_body]
        parts += (FRAME.pack(BODY, channel, len(piece)), piece, _END)
    return b"".join(parts)


def ack_frame(channel: int, tag: int, *, multiple: bool) -> bytes:
    """The acknowledgement of a delivery; `multiple`: also of all before it."""
    return _SETTLED.pack(METHOD, channel, _SETTLED_SIZE, ACK, tag, multiple, FRAME_END)


def reject_frame(channel: int, tag: int, *, requeue: bool) -> bytes:
    """The rejection of a delivery."""
    return _SETTLED.pack(METHOD, channel, _SETTLED_SIZE, REJECT, tag, requeue, FRAME_END)


def read_deliver(data: bytes, at: int, end: int) -> tuple[bytes, int]:
    """Consumer tag and delivery tag of a delivery, whose method's arguments are between `at` and `end`.

    Raises:
        ValueError: it is malformed; so do the other errors of `MALFORMED`.
    """
    after = at + 1 + data[at]
    consumer = data[at + 1 : after]
    tag, _ = _TAG_AND_BITS.unpack_from(data, after)
    exchange = after + _TAG_AND_BITS.size
    routing_key = exchange + 1 + data[exchange]
    if routing_key + 1 + data[routing_key] != end:
        raise ValueError("a delivery has another size than its frame")
    return consumer, tag


def read_confirm(data: bytes, at: int, end: int) -> tuple[int, bool]:
    """Tag of a confirm, or of its opposite, and whether it is for all before it too.

    Raises:
        ValueError: it is malformed; so do the other errors of `MALFORMED`.
    """
    if at + _TAG_AND_BITS.size != end:
        raise ValueError("a confirm has another size than its frame")
    tag, bits = _TAG_AND_BITS.unpack_from(data, at)
    return tag, bool(bits & 1)


def read_header(data: bytes, at: int, end: int) -> tuple[int, dict[str, Any]]:
    """Size of the body, and the properties by name, of a content header between `at` and `end`.

    Raises:
        ValueError: it is malformed; so do the other errors of `MALFORMED`.
    """
    data = data[at:end]
    of, size, flags = _CONTENT.unpack_from(data)
    if of != _BASIC:
        raise ValueError("a content header is of no message")
    at = _CONTENT.size
    properties: dict[str, Any] = {}
    for name, read in _fields_of(flags):
        properties[name], at = read(data, at)
    if at != len(data):
        raise ValueError("a content header has another size than its frame")
    return size, properties


@lru_cache(maxsize=1024)
def _publish_method(channel: int, exchange: str, routing_key: str) -> bytes:
    return marshal(Basic.Publish(exchange=exchange, routing_key=routing_key, mandatory=True), channel)


#: For texts of which there are few.
short_string_of = lru_cache(maxsize=64)(short_string)
