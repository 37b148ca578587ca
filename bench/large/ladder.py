"""Lateness of the delay ladder while very many messages wait in it: `python -m bench.large.ladder`.

Messages that wait far longer fill the ladder's queues, as retries do when another system is down for hours.
Then messages with short waits go the same way, each with the time at which it is due, and are taken from
their queue. Reports their lateness, and the cost in the broker.
"""

import argparse
import asyncio
import os
import random
import tempfile
import time
from pathlib import Path
from statistics import quantiles
from typing import Final

import aio_pika
from aio_pika.abc import AbstractChannel

from bench.kit.usage import cpu_seconds, family, memory_bytes
from waybill_contracts.registry import built_in_registry
from waybill_contracts.wire import work_queue
from waybill_testkit.broker import private_broker
from waybill_worker.broker import ladder_entry, topology

#: Waits of what fills the ladder, in seconds: as the later retries of the standard policy.
LONG: Final = (3600, 36_000)
#: Waits of what is measured.
SHORT: Final = (1, 60)
#: Publishes under way at once.
IN_FLIGHT: Final = 500
#: After the longest wait, for the slowest machine.
PATIENCE_SECONDS: Final = 120
#: The size of a small task's message.
BODY: Final = b"x" * 300
QUEUE: Final = work_queue("sync")


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.large.ladder", description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000, help="that wait long (default: %(default)s)")
    parser.add_argument("--measured", type=int, default=5_000, help="with short waits (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="waybill-ladder-") as folder:
        asyncio.run(_measure(Path(folder), arguments.messages, arguments.measured))


async def _measure(folder: Path, messages: int, measured: int) -> None:
    with private_broker(folder / "broker") as broker, broker.vhost() as vhost:
        pids = [pid for pid in family(os.getpid()) if pid != os.getpid()]
        async with (
            await aio_pika.connect(broker.vhost_url(vhost)) as connection,
            connection.channel() as channel,
            connection.channel() as taking,
        ):
            await topology.declare(channel, built_in_registry())
            for waiting in (0, messages):
                if waiting:
                    began, cpu = time.monotonic(), cpu_seconds(pids)
                    await _publish(channel, [random.uniform(*LONG) for _ in range(waiting)])  # noqa: S311 - no secret
                    took, spent = time.monotonic() - began, cpu_seconds(pids) - cpu
                    print(
                        f"{waiting:,} put into the ladder: {waiting / took:.0f}/s, "
                        f"{spent / waiting * 1e6:.0f} us of the broker's processor each"
                    )
                await _lateness(channel, taking, measured, waiting, pids)


async def _lateness(
    channel: AbstractChannel, taking: AbstractChannel, measured: int, waiting: int, pids: list[int]
) -> None:
    await taking.set_qos(prefetch_count=IN_FLIGHT)
    queue = await taking.get_queue(QUEUE, ensure=False)
    late: list[float] = []
    done = asyncio.Event()

    async def take(message: aio_pika.abc.AbstractIncomingMessage) -> None:
        late.append(time.time() - float(str(message.headers["due"])))
        await message.ack()
        if len(late) == measured:
            done.set()

    tag = await queue.consume(take)
    cpu = cpu_seconds(pids)
    hops = await _publish(channel, [random.uniform(*SHORT) for _ in range(measured)])  # noqa: S311 - no secret, either
    await asyncio.wait_for(done.wait(), SHORT[1] * 1.25 + PATIENCE_SECONDS)
    await queue.cancel(tag)
    spent = cpu_seconds(pids) - cpu
    cuts = quantiles(late, n=100)
    print(
        f"with {waiting:,} waiting: {measured:,} messages late by p50 {cuts[49] * 1000:.0f} ms, "
        f"p99 {cuts[98] * 1000:.0f} ms, most {max(late) * 1000:.0f} ms; none early: {min(late) >= 0}; "
        f"{spent / hops * 1e6:.0f} us of the broker's processor a hop ({hops / measured:.1f} hops each); "
        f"its memory {memory_bytes(pids) // 2**20} MB; load {os.getloadavg()[0]:.0f}",
        flush=True,
    )


async def _publish(channel: AbstractChannel, waits: list[float]) -> int:
    """Publishes a message for each wait; returns through how many queues they go on their way."""
    slots = asyncio.Semaphore(IN_FLIGHT)
    hops = 0

    async def publish(wait: float) -> None:
        nonlocal hops
        entry = ladder_entry(wait, QUEUE)
        hops += entry.seconds.bit_count() + 1  # the last is the work queue
        async with slots:
            exchange = await channel.get_exchange(entry.exchange, ensure=False)
            message = aio_pika.Message(
                BODY,
                headers={"due": repr(time.time() + entry.seconds)},
                delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            )
            await exchange.publish(message, entry.routing_key)

    await asyncio.gather(*map(publish, waits))
    return hops


if __name__ == "__main__":
    main()
