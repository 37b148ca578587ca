"""Waybill's own client of RabbitMQ: `python -m bench.apps.amqp_client publish COUNT BATCH | consume COUNT`.

Prints the processor time of one message in microseconds: of publishing it with its confirm, or of its
delivery and acknowledgement. Nothing else is done with it.
"""

import asyncio
import os
import sys
import time
from dataclasses import dataclass
from typing import Final

import uvloop

from bench.kit.place import AMQP_VARIABLE
from waybill_contracts.wire import EXCHANGE_TASKS, Envelope, work_queue
from waybill_ledger import new_task_id
from waybill_testkit.samples import envelope_of, sync_event
from waybill_worker.broker import BrokerConnection, Delivery
from waybill_worker.consume import Consumer
from waybill_worker.publish import Publisher, relay_all
from waybill_worker.runtime import ProcessSettings

QUEUE: Final = work_queue("sync")
#: Messages that are not counted, while the process warms up.
WARMING: Final = 300
_PREFETCH: Final = 100
_CONFIRM_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Row:
    """A message as the outbox has it."""

    outbox_id: int
    envelope: Envelope
    body: bytes
    correlation_id: str
    exchange: str = EXCHANGE_TASKS
    routing_key: str = "record.sync_requested"
    priority: int | None = None


async def publish(count: int, batch: int) -> float:
    """Publishes so many messages, `batch` at a time; returns microseconds of the processor for one."""
    broker = BrokerConnection(_settings(), "bench", "publish")
    publisher = Publisher(broker, timeout_seconds=_CONFIRM_SECONDS)
    await publisher.open_exchanges(EXCHANGE_TASKS)
    rows = [_row(number) for number in range(WARMING + count)]
    await _publish_all(publisher, rows[:WARMING], batch)
    begun = time.process_time()
    await _publish_all(publisher, rows[WARMING:], batch)
    spent = time.process_time() - begun
    await broker.stop()
    return 1e6 * spent / count


async def consume(count: int) -> float:
    """Takes so many messages and acknowledges each; returns microseconds of the processor for one."""
    begun = ended = 0.0
    taken, done = 0, asyncio.Event()

    async def take(delivery: Delivery) -> None:
        nonlocal begun, ended, taken
        taken += 1
        if taken == WARMING:
            begun = time.process_time()
        elif taken == WARMING + count:
            ended = time.process_time()
            done.set()
        await delivery.acknowledger.ack()

    broker = BrokerConnection(_settings(), "bench", "consume")
    consumer = Consumer(broker, QUEUE, take, prefetch=_PREFETCH)
    await broker.start()
    await done.wait()
    await consumer.stop()
    await broker.stop()
    return 1e6 * (ended - begun) / count


async def _publish_all(publisher: Publisher, rows: list[Row], batch: int) -> None:
    for first in range(0, len(rows), batch):
        confirmed, _ = await relay_all(publisher, rows[first : first + batch])
        if len(confirmed) != len(rows[first : first + batch]):
            raise SystemExit("a publish failed")


def _row(number: int) -> Row:
    event, task_id = sync_event(str(number)), new_task_id()
    body = event.model_dump_json(exclude_defaults=True).encode()
    return Row(number, envelope_of(event, task_id), body, task_id, routing_key=event.KIND)


def _settings() -> ProcessSettings:
    return ProcessSettings(amqp_url=os.environ[AMQP_VARIABLE])


if __name__ == "__main__":
    if sys.argv[1] == "publish":
        print(uvloop.run(publish(*map(int, sys.argv[2:]))))
    else:
        print(uvloop.run(consume(int(sys.argv[2]))))
