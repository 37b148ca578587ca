"""Our frames against those of pamqp, which knows the whole protocol: byte by byte, and field by field."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pamqp.frame
from hypothesis import example, given
from hypothesis import strategies as st
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.exceptions import PAMQPException
from pamqp.header import ContentHeader

from waybill_worker.amqp import ack_frame, frames, publish_frames, reject_frame
from waybill_worker.amqp.tables import read_table, write_table

CHANNELS = st.integers(1, 65_535)
TAGS = st.integers(1, 2**63 - 1)
SHORT_TEXTS = st.text(max_size=60)
EXCHANGES = st.from_regex(r"[a-zA-Z0-9_.:-]{0,40}", fullmatch=True)
SCALARS = st.one_of(
    st.text(max_size=300),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-200, 200),
    st.booleans(),
    st.none(),
    st.floats(width=32, allow_nan=False),
    st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 - bounds
        lambda at: at.replace(microsecond=0)
    ),
    st.decimals(0, 10_000, places=2),
    st.binary(max_size=20).map(bytearray),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SHORT_TEXTS, inner, max_size=3)
)
TABLES = st.dictionaries(st.text(max_size=140), VALUES, max_size=8)


@given(
    channel=CHANNELS,
    largest=st.integers(1, 50),
    body=st.binary(max_size=120),
    exchange=EXCHANGES,
    routing_key=SHORT_TEXTS,
    headers=TABLES,
    message_id=st.text(min_size=1, max_size=60),
    content_type=st.text(min_size=1, max_size=60),
    correlation_id=st.none() | SHORT_TEXTS,
    priority=st.none() | st.integers(0, 255),
)
def test_a_publish_is_what_pamqp_writes(
    channel: int,
    largest: int,
    body: bytes,
    exchange: str,
    routing_key: str,
    headers: dict[str, Any],
    **properties: Any,
) -> None:
    method = Basic.Publish(exchange=exchange, routing_key=routing_key, mandatory=True)
    header = ContentHeader(
        body_size=len(body), properties=Basic.Properties(headers=headers, delivery_mode=2, **properties)
    )
    pieces = [ContentBody(body[at : at + largest]) for at in range(0, len(body), largest)]
    expected = pamqp.frame.marshal(method, channel) + pamqp.frame.marshal(header, channel)
    expected += b"".join(pamqp.frame.marshal(piece, channel) for piece in pieces)

    assert expected == publish_frames(
        channel, largest, body, exchange=exchange, routing_key=routing_key, headers=headers, **properties
    )


@given(CHANNELS, TAGS, st.booleans())
def test_an_acknowledgement_is_what_pamqp_writes(channel: int, tag: int, flag: Any) -> None:
    assert ack_frame(channel, tag, multiple=flag) == pamqp.frame.marshal(Basic.Ack(tag, flag), channel)
    assert reject_frame(channel, tag, requeue=flag) == pamqp.frame.marshal(Basic.Reject(tag, flag), channel)


@given(CHANNELS, st.text(max_size=60), TAGS, st.booleans(), EXCHANGES, SHORT_TEXTS)
def test_a_delivery_is_read_as_pamqp_reads_it(
    channel: int, consumer: str, tag: int, redelivered: Any, exchange: str, routing_key: str
) -> None:
    raw = pamqp.frame.marshal(Basic.Deliver(consumer, tag, redelivered, exchange, routing_key), channel)
    _, read_channel, read = pamqp.frame.unmarshal(raw)

    assert isinstance(read, Basic.Deliver)
    assert frames.FRAME.unpack_from(raw)[:2] == (frames.METHOD, read_channel)
    assert frames.INDEX.unpack_from(raw, 7) == (frames.DELIVER,)
    assert frames.read_deliver(raw, 11, len(raw) - 1) == (consumer.encode(), read.delivery_tag)


@given(TAGS, st.booleans())
def test_a_confirm_is_read_as_pamqp_reads_it(tag: int, multiple: Any) -> None:
    for frame, index in ((Basic.Ack(tag, multiple), frames.ACK), (Basic.Nack(tag, multiple), frames.NACK)):
        raw = pamqp.frame.marshal(frame, 1)
        assert frames.INDEX.unpack_from(raw, 7) == (index,)
        assert frames.read_confirm(raw, 11, len(raw) - 1) == (tag, multiple)


@given(
    st.integers(0, 2**40),
    st.fixed_dictionaries(
        {},
        optional={
            "content_type": SHORT_TEXTS,
            "content_encoding": SHORT_TEXTS,
            "headers": TABLES,
            "delivery_mode": st.sampled_from([1, 2]),
            "priority": st.integers(0, 255),
            "correlation_id": SHORT_TEXTS,
            "reply_to": SHORT_TEXTS,
            "expiration": SHORT_TEXTS,
            "message_id": SHORT_TEXTS,
            "timestamp": st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - bounds
            "message_type": SHORT_TEXTS,
            "user_id": SHORT_TEXTS,
            "app_id": SHORT_TEXTS,
        },
    ),
)
def test_properties_are_read_as_pamqp_reads_them(size: int, given: dict[str, Any]) -> None:
    raw = pamqp.frame.marshal(ContentHeader(body_size=size, properties=Basic.Properties(**given)), 1)
    _, _, read = pamqp.frame.unmarshal(raw)
    assert isinstance(read, ContentHeader)
    expected = {
        "type" if name == "message_type" else name: value
        for name, value in read.properties
        if value is not None and value != ""
    }

    assert frames.read_header(raw, 7, len(raw) - 1) == (size, expected)


@given(TABLES)
def test_a_table_is_written_and_read_as_by_pamqp(table: dict[str, Any]) -> None:
    written = write_table(table)
    assert written == pamqp.encode.field_table(table)
    assert read_table(written + b"more", 0) == (pamqp.decode.field_table(written)[1], len(written))


@given(st.binary(max_size=200))
@example(b"\0\0\0\x06\x01xS\xff\xff\xff\xff")
@example(b"\0\0\0\x02\x05x")
def test_bytes_that_are_no_table_are_refused_or_read_as_pamqp_does(raw: bytes) -> None:
    try:
        table, end = read_table(raw, 0)
    except frames.MALFORMED:
        return
    # NaN is not equal to itself.
    assert (repr(table), end) == (repr(pamqp.decode.field_table(raw)[1]), pamqp.decode.field_table(raw)[0])


@given(st.integers(0, 3), st.data())
def test_a_damaged_frame_is_refused_or_read_as_pamqp_does(position: int, data: st.DataObject) -> None:
    properties = Basic.Properties(headers={"x-attempt": 1, "ce-id": "7"}, message_id="m", priority=3)
    raw = bytearray(pamqp.frame.marshal(ContentHeader(body_size=5, properties=properties), 1))
    for _ in range(position):
        raw[data.draw(st.integers(7, len(raw) - 2))] = data.draw(st.integers(0, 255))
    try:
        size, read = frames.read_header(bytes(raw), 7, len(raw) - 1)
    except frames.MALFORMED:
        return
    try:
        _, _, expected = pamqp.frame.unmarshal(bytes(raw))
    except PAMQPException as error:
        raise AssertionError(f"pamqp refuses it: {error}") from error
    assert isinstance(expected, ContentHeader)
    assert size == expected.body_size
    assert repr(read.get("headers")) == repr(expected.properties.headers)
    assert read.get("priority") == expected.properties.priority


def test_decimals_are_left_to_pamqp() -> None:
    assert read_table(write_table({"price": Decimal("1.25")}), 0)[0] == {"price": Decimal("1.25")}
