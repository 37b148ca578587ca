"""`waybill queues`: messages and consumers of the queues at the broker."""

from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from itertools import count
from typing import Final

import click

from waybill_cli.broker import connected_broker, find_queue, run_on_broker
from waybill_cli.command_line import Command, Exit
from waybill_cli.session import Session, Setting, service_option, services_of, with_session
from waybill_contracts.kinds import STATUS_SERVICE
from waybill_contracts.wire import names

_COLUMNS: Final = ("QUEUE", "READY", "CONSUMERS", "REMARK")


@dataclass(frozen=True, slots=True)
class _Queue:
    queue: str
    exists: bool
    #: Messages that wait for a consumer, without those being processed.
    ready: int
    consumers: int
    #: Whether the queue is missing, or lacks the consumer that it needs.
    in_trouble: bool
    remark: str


@click.command(
    "queues",
    cls=Command,
    epilog="waybill queues --amqp amqp://admin@broker/\n"
    "waybill queues --all\n"
    "waybill queues --service invoices --service email  # when the gateway is down\n"
    "waybill queues > /dev/null || echo 'a queue has no consumer'",
)
@click.option(
    "--all", "every", is_flag=True, help="Also empty levels of the delay ladder, and control queues."
)
@service_option
@with_session
def queues(session: Session, /, *, services: tuple[str, ...], every: bool) -> Exit:
    """Lists the queues with their waiting messages and consumers.

    Asks the gateway for the registered services, and the broker for their queues; nothing is declared or
    taken. Exits with 1 if a queue is missing, or a work
    queue has no consumer.
    """
    found = run_on_broker(_queues(session.config.amqp_url(), services_of(session, services), every=every))
    if session.out.as_json:
        for each in found:
            session.out.document(asdict(each))
    else:
        session.out.table(_COLUMNS, ((each.queue, each.ready, each.consumers, each.remark) for each in found))
    return Exit.NO if any(each.in_trouble for each in found) else Exit.OK


async def _queues(url: Setting, work_services: tuple[str, ...], *, every: bool) -> list[_Queue]:
    async with connected_broker(url) as connection:

        async def ask(name: str, *, needs_consumer: bool = False) -> _Queue:
            queue = await find_queue(connection, name)
            if queue is None:
                return _Queue(name, exists=False, ready=0, consumers=0, in_trouble=True, remark="missing")
            await queue.channel.close()
            counts = queue.declaration_result
            ready, consumers = counts.message_count or 0, counts.consumer_count or 0
            idle = needs_consumer and not consumers
            remark = "no consumer" if idle else ""
            return _Queue(name, exists=True, ready=ready, consumers=consumers, in_trouble=idle, remark=remark)

        async def levels() -> AsyncIterator[_Queue]:
            for level in count():
                queue = await ask(names.delay_exchange(level))
                if not queue.exists:
                    return
                yield queue

        services = (*work_services, STATUS_SERVICE)
        found = [await ask(names.work_queue(service), needs_consumer=True) for service in services]
        found += [await ask(names.dead_letter_queue(service)) for service in services]
        found.append(await ask(names.QUEUE_UNROUTED))
        found += [queue async for queue in levels() if every or queue.ready]
        if every:
            found += [
                queue for service in services if (queue := await ask(names.control_queue(service))).exists
            ]
        return found
