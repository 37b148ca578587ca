"""`python -m bench.apps.raw_pipeline publish FIRST COUNT | consume`: aio-pika alone, the limit.

The same durable quorum queue, persistent messages, mandatory, confirmed, each acknowledged; the same body. No
HTTP, no validation, no record.
"""

import asyncio
import json
import os
import signal
import sys
import time

import aio_pika
import uvloop
from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue

from bench.kit.payload import body
from bench.kit.place import AMQP_VARIABLE
from bench.kit.stamps import Stamps

QUEUE = "raw"
#: Publishes and deliveries under way at once.
_IN_FLIGHT = 100


async def publish(first: int, count: int) -> None:
    """Publishes `count` tasks, each confirmed, and prints how many seconds it took."""
    stamps = Stamps.from_environment()
    numbers = iter(range(first, first + count))
    async with await aio_pika.connect(os.environ[AMQP_VARIABLE]) as connection:
        channel = await connection.channel(on_return_raises=True)
        await _queue(channel)
        exchange = channel.default_exchange

        async def publish_next() -> None:
            for number in numbers:  # shared by all that publish
                stamps.send(number)
                message = Message(body(number), delivery_mode=DeliveryMode.PERSISTENT)
                await exchange.publish(message, QUEUE)

        started = time.monotonic()
        await asyncio.gather(*(publish_next() for _ in range(_IN_FLIGHT)))
        print(time.monotonic() - started)


async def consume() -> None:
    """Runs messages until it is stopped."""
    stamps = Stamps.from_environment()
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)

    async def take(message: AbstractIncomingMessage) -> None:
        stamps.begin(int(json.loads(message.body)["id"]))
        await message.ack()

    async with await aio_pika.connect(os.environ[AMQP_VARIABLE]) as connection:
        channel = await connection.channel()
        await channel.set_qos(_IN_FLIGHT)
        await (await _queue(channel)).consume(take)
        await stopping.wait()


async def _queue(channel: AbstractChannel) -> AbstractQueue:
    return await channel.declare_queue(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})


if __name__ == "__main__":
    if sys.argv[1] == "publish":
        uvloop.run(publish(*map(int, sys.argv[2:])))
    else:
        uvloop.run(consume())
