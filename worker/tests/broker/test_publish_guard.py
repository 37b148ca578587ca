import asyncio
from collections.abc import AsyncIterator

import pytest

from waybill_testkit.broker import Broker
from waybill_testkit.eventually import eventually
from waybill_testkit.proxy import Proxy
from waybill_testkit.wire import Wire
from waybill_worker.broker.connection import BrokerConnection
from waybill_worker.publish.publisher import OutgoingMessage, Publisher, UnconfirmedError, UnroutableError
from waybill_worker.runtime.settings import ProcessSettings

GOOD = OutgoingMessage(
    "tasks", "email.requested", b"{}", {"x-attempt": 1}, correlation_id="order-7", priority=7
)


@pytest.fixture
async def publisher(topology_url: str, proxy: Proxy) -> AsyncIterator[Publisher]:
    broker = BrokerConnection(ProcessSettings(amqp_url=proxy.url(topology_url)), "test", "publish")
    await broker.connect()
    publisher = Publisher(broker, timeout_seconds=3)
    await publisher.open_exchanges("tasks", "delay.00")
    yield publisher
    proxy.resume()
    await broker.stop()


async def published(publisher: Publisher, message: OutgoingMessage = GOOD) -> bool:
    try:
        await publisher.publish(message)
    except UnconfirmedError:
        return False
    return True


async def test_a_confirmed_message_is_there_as_it_was_given(publisher: Publisher, wire: Wire) -> None:
    await publisher.publish(GOOD)
    message = await wire.take("email.work")

    assert (message.body, message.headers["x-attempt"], message.correlation_id) == (b"{}", 1, "order-7")
    assert (message.priority, message.content_type) == (7, "application/json")
    assert message.delivery_mode == 2
    assert message.message_id


async def test_the_default_exchange_reaches_one_queue(publisher: Publisher, wire: Wire) -> None:
    await publisher.publish(OutgoingMessage("", "email.work", b"redriven"))

    assert (await wire.take("email.work")).body == b"redriven"


@pytest.mark.parametrize(("exchange", "key"), [("tasks", "nobody.wants.this"), ("", "no.such.queue")])
async def test_a_message_that_no_queue_takes_raises(publisher: Publisher, exchange: str, key: str) -> None:
    """Pain: publishes are silently lost (celery 5410, kombu 2336)."""
    with pytest.raises(UnroutableError, match=key):
        await publisher.publish(OutgoingMessage(exchange, key, b"{}"))
    assert await published(publisher)


async def test_one_unroutable_among_many_raises_alone(publisher: Publisher, wire: Wire) -> None:
    bad = OutgoingMessage("tasks", "nobody.wants.this", b"{}")
    messages = [bad if n % 10 == 0 else GOOD for n in range(100)]
    answers = await asyncio.gather(*map(publisher.publish, messages), return_exceptions=True)

    assert [type(answer) for answer in answers] == [
        UnroutableError if n % 10 == 0 else type(None) for n in range(100)
    ]
    await eventually(lambda: _has(wire, "email.work", 90))


async def test_a_lost_connection_raises_and_works_again_when_it_is_back(
    publisher: Publisher, proxy: Proxy, wire: Wire
) -> None:
    proxy.cut(refuse=True)
    await eventually(lambda: not publisher.is_open)
    with pytest.raises(UnconfirmedError):
        await publisher.publish(GOOD)
    proxy.resume()
    await eventually(lambda: published(publisher))

    assert publisher.is_open
    assert (await wire.take("email.work")).body == b"{}"


async def test_publishes_under_way_raise_when_the_connection_breaks(
    publisher: Publisher, proxy: Proxy
) -> None:
    proxy.stall()
    under_way = [asyncio.create_task(publisher.publish(GOOD)) for _ in range(20)]
    await asyncio.sleep(0)
    proxy.cut()
    answers = await asyncio.gather(*under_way, return_exceptions=True)

    assert {type(answer) for answer in answers} == {UnconfirmedError}


async def test_a_connection_that_hangs_raises_in_time_and_works_again(
    publisher: Publisher, proxy: Proxy
) -> None:
    proxy.stall()
    with pytest.raises(UnconfirmedError, match="no confirm within 3 s"):
        await publisher.publish(GOOD)
    proxy.resume()

    await eventually(lambda: published(publisher))


async def test_a_real_cancellation_stays_one(publisher: Publisher, proxy: Proxy) -> None:
    proxy.stall()
    publishing = asyncio.create_task(publisher.publish(GOOD))
    await asyncio.sleep(0)
    publishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await publishing


async def test_the_broker_may_close_the_connection(
    publisher: Publisher, proxy: Proxy, broker: Broker, vhost: str
) -> None:
    before = proxy.connections

    async def is_back() -> bool:
        # The broker lists a connection only a while after it was made.
        await asyncio.to_thread(broker.management.close_vhost_connections, vhost)
        return proxy.connections > before

    await eventually(is_back)
    await eventually(lambda: published(publisher))


async def _has(wire: Wire, queue: str, messages: int) -> bool:
    return await wire.ready(queue) == messages
