"""Connections whose broker says what it should not: each ends, or goes on as if nothing was; none hangs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from struct import pack
from typing import Any, cast

import pytest
from fake_broker import FakeBroker, fake_broker
from pamqp.body import ContentBody
from pamqp.commands import Basic, Channel
from pamqp.commands import Connection as ConnectionMethods
from pamqp.frame import FrameTypes, marshal
from pamqp.header import ContentHeader
from pamqp.heartbeat import Heartbeat

from waybill_testkit.eventually import eventually
from waybill_worker.amqp import DirectConnection, UnansweredError
from waybill_worker.amqp import stream as amqp_stream
from waybill_worker.broker import BrokerConnection, Delivery
from waybill_worker.consume import Consumer
from waybill_worker.publish import OutgoingMessage, Publisher
from waybill_worker.publish.publisher import UnconfirmedError, UnroutableError
from waybill_worker.runtime import ProcessSettings

#: Of the client's connection: when it has seen a frame.
LAST_FRAME_TIME = "_Connection__last_frame_time"
RETURN = Basic.Return(312, "NO_ROUTE", "tasks", "email.requested")
GOOD = OutgoingMessage("tasks", "email.requested", b"{}", {"x-attempt": 1})


@pytest.fixture
async def broker() -> AsyncIterator[FakeBroker]:
    async with fake_broker() as broker:
        yield broker


@pytest.fixture
async def publisher(broker: FakeBroker) -> AsyncIterator[Publisher]:
    async with connection(broker) as connected:
        publisher = Publisher(connected, timeout_seconds=30)
        await publisher.open_exchanges()
        yield publisher


class Taken:
    """A consumer that acknowledges what it takes."""

    def __init__(self, broker: BrokerConnection) -> None:
        self.bodies: list[bytes] = []
        self.deliveries: list[Delivery] = []
        self.consumer = Consumer(broker, "sync.work", self.take, prefetch=10)

    async def take(self, delivery: Delivery) -> None:
        self.bodies.append(delivery.body)
        self.deliveries.append(delivery)
        await delivery.acknowledger.ack()


@pytest.fixture
async def taken(broker: FakeBroker) -> AsyncIterator[Taken]:
    async with connection(broker) as connected:
        taken = Taken(connected)
        await taken.consumer.start()
        yield taken
        await taken.consumer.stop()


@asynccontextmanager
async def connection(broker: FakeBroker) -> AsyncIterator[BrokerConnection]:
    settings = ProcessSettings(amqp_url=broker.url)
    connected = BrokerConnection(settings, "test", "publish")
    # A test does not wait for it.
    connected._connection_kwargs["reconnect_interval"] = 0.01  # noqa: SLF001 - as said
    await connected.connect()
    yield connected
    await connected.stop()


def delivery(broker: FakeBroker, tag: int, *pieces: bytes, consumer: str | None = None) -> list[FrameTypes]:
    return [
        Basic.Deliver(
            consumer or broker.consumer,
            tag,
            redelivered=False,
            exchange="tasks",
            routing_key="email.requested",
        ),
        ContentHeader(body_size=sum(map(len, pieces)), properties=Basic.Properties(headers={"n": tag})),
        *map(ContentBody, pieces),
    ]


def raw(channel: int, *frames: FrameTypes) -> bytes:
    return b"".join(marshal(frame, channel) for frame in frames)


def published(broker: FakeBroker) -> list[str]:
    """The ids of the messages that came so far."""
    headers = (frame for frame in broker.read if isinstance(frame, ContentHeader))
    return [frame.properties.message_id for frame in headers if frame.properties.message_id]


def acknowledged(broker: FakeBroker) -> list[tuple[int | None, bool]]:
    return [
        (frame.delivery_tag, bool(frame.multiple)) for frame in broker.read if isinstance(frame, Basic.Ack)
    ]


def broken(channel: int) -> dict[str, bytes]:
    return {
        "garbage": b"\x99garbage that is no frame at all",
        "no such type of frame": pack(">BHI", 7, channel, 3) + b"abc\xce",
        "a frame of 4 GB": pack(">BHI", 3, channel, 2**32 - 1),
        "a frame that is longer than both agreed": pack(">BHI", 3, channel, 131_073),
        "a frame that does not end where it should": pack(">BHI", 1, channel, 4) + b"abcdX",
        "a confirm of a message that was not published": raw(channel, Basic.Ack(99)),
        "a confirm of all messages that could ever be": raw(channel, Basic.Ack(2**63 - 1, multiple=True)),
        "a confirm that is too short": pack(">BHIHH", 1, channel, 4, 60, 80) + b"\xce",
        "two methods of one message": raw(channel, RETURN, RETURN),
        "a body without a header": raw(channel, RETURN, ContentBody(b"x")),
        "two headers": raw(channel, RETURN, ContentHeader(body_size=1), ContentHeader(body_size=1)),
        "a body that is too long": raw(channel, RETURN, ContentHeader(body_size=1), ContentBody(b"xy")),
        "a header that is no header": raw(channel, RETURN) + pack(">BHI", 2, channel, 3) + b"abc\xce",
        "a table that is longer than its frame": raw(channel, RETURN)
        + pack(">BHIHHQHI", 2, channel, 18, 60, 0, 1, 1 << 13, 2**31)
        + b"\xce",
        "a table in a table in a table": raw(channel, RETURN)
        + pack(">BHIHHQHI", 2, channel, 18 + 60_000, 60, 0, 1, 1 << 13, 60_000)
        + b"".join(b"\x01xF" + pack(">I", 60_000 - 7 * depth) for depth in range(1, 8571))
        + b"\0" * (60_000 - 7 * 8570)
        + b"\xce",
    }


@pytest.mark.parametrize("what", broken(1))
async def test_a_broken_frame_ends_the_connection_and_the_next_one_works(
    broker: FakeBroker, publisher: Publisher, what: str
) -> None:
    publishing = asyncio.create_task(publisher.publish(GOOD))
    await eventually(lambda: published(broker))
    broker.say_raw(broken(broker.channel)[what])
    with pytest.raises(UnconfirmedError, match="malformed"):
        await publishing
    await eventually(lambda: publisher.is_open)

    again = asyncio.create_task(publisher.publish(GOOD))
    await eventually(lambda: len(published(broker)) == 2)
    broker.say(Basic.Ack(1))
    await again
    assert len(broker.writers) == 2


@pytest.mark.parametrize("length", [1, 5, 7, 10, 20])
async def test_a_frame_that_ends_too_early_ends_the_connection(
    broker: FakeBroker, publisher: Publisher, length: int
) -> None:
    publishing = asyncio.create_task(publisher.publish(GOOD))
    await eventually(lambda: published(broker))
    broker.say_raw(raw(broker.channel, Basic.Ack(1))[:length])
    broker.writers[-1].close()
    with pytest.raises(UnconfirmedError):
        await publishing
    await eventually(lambda: publisher.is_open and len(broker.writers) == 2)


async def test_frames_may_come_byte_by_byte(broker: FakeBroker, taken: Taken) -> None:
    messages = [*delivery(broker, 1, b"one"), *delivery(broker, 2, b"t", b"w", b"o"), *delivery(broker, 3)]
    for byte in raw(broker.channel, *messages):
        broker.say_raw(bytes((byte,)))
        await broker.writers[-1].drain()
        await asyncio.sleep(0)
    await eventually(lambda: len(taken.bodies) == 3)

    assert taken.bodies == [b"one", b"two", b""]
    assert [delivery.headers for delivery in taken.deliveries] == [{"n": 1}, {"n": 2}, {"n": 3}]
    await eventually(lambda: acknowledged(broker)[-1][0] == 3)


@pytest.mark.usefixtures("taken")
async def test_what_comes_in_one_write_is_acknowledged_in_one_frame(broker: FakeBroker) -> None:
    broker.say(*(frame for tag in range(1, 8) for frame in delivery(broker, tag, b"{}")))
    await eventually(lambda: acknowledged(broker))

    assert acknowledged(broker) == [(7, True)]


async def test_other_frames_between_are_the_clients(broker: FakeBroker, taken: Taken) -> None:
    first, header, body = delivery(broker, 1, b"{}")
    data = raw(broker.channel, first) + Heartbeat.value + raw(broker.channel, header)
    data += raw(0, ConnectionMethods.Blocked("memory"), ConnectionMethods.Unblocked())
    data += raw(broker.channel, body)
    broker.say_raw(data)
    await eventually(lambda: taken.bodies == [b"{}"])

    assert len(broker.writers) == 1


async def test_a_message_of_another_consumer_is_the_clients(
    broker: FakeBroker, taken: Taken, caplog: pytest.LogCaptureFixture
) -> None:
    broker.say(*delivery(broker, 1, b"other", consumer="another"), *delivery(broker, 2, b"ours"))
    await eventually(lambda: taken.bodies)

    assert taken.bodies == [b"ours"]
    assert not caplog.records


async def test_a_channel_that_closes_in_the_middle_of_a_message_takes_it_along(
    broker: FakeBroker, taken: Taken
) -> None:
    broker.say(*delivery(broker, 1, b"half", b"lost")[:-1], Channel.Close(320, "bye", 0, 0))
    await eventually(lambda: any(isinstance(frame, Channel.CloseOk) for frame in broker.read))
    await eventually(lambda: taken.consumer.is_consuming)
    broker.say(*delivery(broker, 1, b"whole"))
    await eventually(lambda: taken.bodies)

    assert taken.bodies == [b"whole"]


async def test_a_channel_that_closes_fails_what_is_not_confirmed(
    broker: FakeBroker, publisher: Publisher
) -> None:
    first, second = (asyncio.create_task(publisher.publish(GOOD)) for _ in range(2))
    await eventually(lambda: len(published(broker)) == 2)
    broker.say(Basic.Ack(1), Channel.Close(404, "no such exchange", 60, 40))
    await first
    with pytest.raises(UnconfirmedError, match="the channel was closed"):
        await second
    await eventually(lambda: publisher.is_open)


async def test_messages_are_matched_to_their_answers(broker: FakeBroker, publisher: Publisher) -> None:
    """Confirmed one by one, confirmed by range, returned, refused: in one batch."""
    publishing = asyncio.create_task(publisher.publish_all([GOOD] * 6))
    await eventually(lambda: len(published(broker)) == 6)
    ids = published(broker)
    returned = Basic.Properties(message_id=ids[3])
    broker.say(
        Basic.Ack(2),
        RETURN,
        ContentHeader(body_size=2, properties=returned),
        ContentBody(b"{}"),
        Basic.Ack(4, multiple=True),
        Basic.Nack(5),
        Basic.Ack(6),
    )
    errors = await publishing

    kinds = [type(error) for error in errors]
    assert kinds == [type(None)] * 3 + [UnroutableError, UnconfirmedError, type(None)]
    assert "did not take it" in str(errors[4])


async def test_each_answer_is_passed_on_as_it_comes_and_none_waits_for_the_others(
    broker: FakeBroker, publisher: Publisher
) -> None:
    answers: list[tuple[int, type]] = []
    publisher.publish_each([GOOD] * 3, lambda position, error: answers.append((position, type(error))))
    await eventually(lambda: len(published(broker)) == 3)
    broker.say(Basic.Ack(2))
    await eventually(lambda: answers == [(1, type(None))])
    broker.say(Basic.Nack(3), Channel.Close(404, "no such exchange", 60, 40))
    await eventually(lambda: len(answers) == 3)
    assert answers[1:] == [(2, UnconfirmedError), (0, UnconfirmedError)]

    await eventually(lambda: publisher.is_open)
    await publisher._connection.close()  # type: ignore[union-attr] # noqa: SLF001 - nothing public closes it
    publisher.publish_each([GOOD], lambda position, error: answers.append((position, type(error))))
    assert answers[3:] == [(0, UnconfirmedError)]


async def test_publishes_of_one_turn_are_one_write(broker: FakeBroker, publisher: Publisher) -> None:
    writes: list[bytes] = []
    confirms = publisher._confirms  # noqa: SLF001 - what it writes is to be seen
    assert confirms is not None
    original = confirms._write  # noqa: SLF001 - as above

    def write(data: bytes) -> None:
        writes.append(data)
        original(data)

    confirms._write = write  # noqa: SLF001 - as above
    publishing = [asyncio.create_task(publisher.publish(GOOD)) for _ in range(20)]
    await eventually(lambda: len(published(broker)) == 20)
    broker.say(Basic.Ack(20, multiple=True))
    await asyncio.gather(*publishing)

    assert len(writes) == 1


async def test_a_body_is_cut_to_the_frames_of_the_broker(broker: FakeBroker) -> None:
    broker.frame_max = 4096
    async with connection(broker) as connected:
        publisher = Publisher(connected, timeout_seconds=30)
        await publisher.open_exchanges()
        publishing = asyncio.create_task(publisher.publish(OutgoingMessage("", "q", b"x" * 10_000)))
        await eventually(
            lambda: sum(len(frame) for frame in broker.read if isinstance(frame, ContentBody)) == 10_000
        )
        broker.say(Basic.Ack(1))
        await publishing

    assert [len(frame) for frame in broker.read if isinstance(frame, ContentBody)] == [4088, 4088, 1824]


async def test_a_busy_connection_is_not_taken_for_dead(
    broker: FakeBroker, taken: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client ends connections on which it sees nothing; a busy broker sends no heartbeats."""
    monkeypatch.setattr(amqp_stream, "HEARTBEAT_SECONDS", 0.0)
    client: Any = taken.consumer._connection.transport.connection  # type: ignore[union-attr] # noqa: SLF001
    seen = getattr(client, LAST_FRAME_TIME)
    broker.say(*delivery(broker, 1, b"{}"))
    await eventually(lambda: getattr(client, LAST_FRAME_TIME) > seen)


async def test_no_confirm_in_time_is_an_error_of_its_message_only(broker: FakeBroker) -> None:
    async with connection(broker) as connected:
        publisher = Publisher(connected, timeout_seconds=0.3)
        await publisher.open_exchanges()
        late = asyncio.create_task(publisher.publish(GOOD))
        await eventually(lambda: published(broker))
        with pytest.raises(UnconfirmedError, match=r"no confirm within 0\.3 s"):
            await late
        in_time = asyncio.create_task(publisher.publish(GOOD))
        await eventually(lambda: len(published(broker)) == 2)
        # The late one is confirmed after all, which changes nothing.
        broker.say(Basic.Ack(2, multiple=True))
        await in_time


async def test_what_is_no_amqp_is_the_clients_to_say() -> None:
    """As before: a web server on the port is an error, not a wait."""
    server = await asyncio.start_server(_answer_as_web_server, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connected = BrokerConnection(ProcessSettings(amqp_url=f"amqp://127.0.0.1:{port}/"), "test", "publish")
    with pytest.raises(ConnectionError):
        await connected.connect()
    server.close()
    await server.wait_closed()


async def _answer_as_web_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readexactly(8)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
    writer.close()


async def test_a_channel_of_an_earlier_connection_publishes_nothing(broker: FakeBroker) -> None:
    """Its number may be that of another channel by now."""
    async with connection(broker) as earlier, connection(broker) as later:
        channel = await (await earlier.connect()).channel()
        underlay = await channel.get_underlay_channel()
        confirms = cast("DirectConnection", await later.connect()).confirms_of(underlay, 30)

        assert not confirms.is_open
        with pytest.raises(UnansweredError, match="the connection is lost"):
            confirms.publish([b""], lambda body, *_: body)
