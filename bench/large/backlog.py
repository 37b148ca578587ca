"""Cost of a large backlog of messages: `python -m bench.large.backlog`.

Work queues of one service, each on a virtual host of the same broker, are filled with 10,000, 100,000 and
more messages, as gateways publish them. Then in turn a newly started service process
drains each for a while, and it is refilled: so that a slow machine affects all of them. Reports the rate, the
time from the start of the process to its first task, the processor time of a task in service and broker, and
the memory of the broker.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

import aio_pika

from bench.kit.installation import Installation, until
from bench.kit.place import Place
from bench.kit.programs import Running, start, stop
from bench.kit.usage import cpu_seconds, family, memory_bytes
from bench.measure import MEBIBYTE, NANOSECONDS
from waybill_contracts.privacy import Keyring
from waybill_contracts.registry import built_in_registry
from waybill_contracts.wire import EXCHANGE_TASKS, work_queue
from waybill_ledger import new_task_id
from waybill_testkit.broker import private_broker
from waybill_testkit.samples import envelope_of, sync_event
from waybill_worker.broker import BrokerConnection, queue_stats, topology
from waybill_worker.publish import OutgoingMessage, Publisher
from waybill_worker.runtime import ProcessSettings

SIZES: Final = (10_000, 100_000, 300_000)
ROUNDS: Final = 5
#: Tasks of a round that are not counted, while process and queue warm up.
WARMING: Final = 500
#: Those that are.
COUNTED: Final = 3000
#: More than are run between two checks.
AHEAD: Final = 20_000
#: Publishes under way at once.
IN_FLIGHT: Final = 500
CONFIRM_SECONDS: Final = 60.0
TARGET: Final = 1.2
QUEUE: Final = work_queue("sync")


@dataclass
class Figures:
    """Of one size, a value for each round."""

    rate: list[float] = field(default_factory=list)
    #: Seconds from the start of the process to its first task.
    first: list[float] = field(default_factory=list)
    #: Processor time in microseconds: of a task in the service, in the broker, and of a message put in.
    service: list[float] = field(default_factory=list)
    broker: list[float] = field(default_factory=list)
    put: list[float] = field(default_factory=list)


class Backlog:
    """One work queue with many messages in it, and the service that drains it.

    Args:
        amqp_url: a virtual host of its own.
        folder: for its inbox.
        size: how many messages.
        environment: of the service, beside what it needs.
    """

    def __init__(
        self, amqp_url: str, folder: Path, size: int, environment: Mapping[str, str] | None = None
    ) -> None:
        self.size = size
        self._environment = {"WAYBILL_PREFETCH": "100"} | dict(environment or {})
        self.figures = Figures()
        self._url = amqp_url
        self._place = Place.fresh(folder, amqp_url=amqp_url, redis_url="")
        inbox = f"sqlite:///{folder}/inbox.db"
        self._installation = Installation(self._place, f"sqlite:///{folder}/no-ledger.db", inbox)
        self._published, self._ran = 0, 0

    async def declare(self) -> None:
        """Declares the topology, as the status service would."""
        async with await aio_pika.connect(self._url) as connection, connection.channel() as channel:
            await topology.declare(channel, built_in_registry())

    async def publish(self, count: int) -> None:
        """Puts so many messages into the queue, each confirmed."""
        keyring = Keyring.of(self._installation.sealing_key)
        broker = BrokerConnection(ProcessSettings(amqp_url=self._url), "bench", "publish")
        publisher = Publisher(broker, timeout_seconds=CONFIRM_SECONDS)
        await publisher.open_exchanges(EXCHANGE_TASKS)
        numbers = iter(range(self._published, self._published + count))

        async def publish_next() -> None:
            for number in numbers:  # shared by all that publish
                await publisher.publish(_message(number, keyring))

        await asyncio.gather(*(publish_next() for _ in range(IN_FLIGHT)))
        self._published += count
        await broker.stop()

    def drain(self, broker_pids: list[int], counted: int) -> None:
        """Lets a service run some of it, and puts as many in again."""
        before, begun_at = self._run(), time.monotonic_ns()
        (service,) = start(self._installation.services(1, self._environment), self._place.folder)
        try:
            self._count(service, broker_pids, before, counted)
        finally:
            stop([service])
        ran = self._run() - before
        at = [at for at in self._place.stamps.begun(self._horizon) if at > begun_at]
        self.figures.first.append((min(at) - begun_at) / NANOSECONDS)
        spent = cpu_seconds(broker_pids)
        asyncio.run(self.publish(ran))
        self.figures.put.append(1e6 * (cpu_seconds(broker_pids) - spent) / ran)

    async def require_whole(self) -> None:
        """Ends the command unless each message has been run once, or waits."""
        broker = BrokerConnection(ProcessSettings(amqp_url=self._url), "bench", "stats")
        stats = await queue_stats(broker, QUEUE)
        await broker.stop()
        runs = self._place.stamps.runs(self._published)
        ran, twice = sum(map(bool, runs)), sum(times > 1 for times in runs)
        waiting = stats.waiting if stats else 0
        if twice or ran + waiting != self._published:
            raise SystemExit(
                f"{self._published} were published, but {ran} run, {twice} of them twice, and {waiting} wait"
            )

    def _count(self, service: Running, broker_pids: list[int], before: int, wanted: int) -> None:
        ran = self._until(before + WARMING)
        since, spent, of_broker = time.monotonic(), service.cpu_seconds(), cpu_seconds(broker_pids)
        counted = self._until(ran + wanted) - ran
        took = time.monotonic() - since
        self.figures.service.append(1e6 * (service.cpu_seconds() - spent) / counted)
        self.figures.broker.append(1e6 * (cpu_seconds(broker_pids) - of_broker) / counted)
        self.figures.rate.append(counted / took)

    def _until(self, wanted: int) -> int:
        until(lambda: self._run() >= wanted, what=f"{wanted} of {self.size} messages are run")
        return self._run()

    def _run(self) -> int:
        """How many have been run; they are run in order, so the last ones need no check."""
        self._ran = sum(map(bool, self._place.stamps.runs(self._horizon)))
        return self._ran

    @property
    def _horizon(self) -> int:
        return min(self._published, self._ran + AHEAD)


def main() -> None:
    """Runs the command line; ends with 1 if the target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.large.backlog", description=__doc__)
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=SIZES, help="messages that wait (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of each size (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where the broker's data are (default: the system's)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="waybill-backlog-", dir=arguments.folder) as folder:
        missed = measure_backlog(Path(folder), sorted(arguments.sizes), rounds=arguments.rounds)
    sys.exit(1 if missed else 0)


def measure_backlog(folder: Path, sizes: Sequence[int], *, rounds: int, counted: int = COUNTED) -> list[str]:
    """Measures, and prints what came of it; refuses if a message is missing.

    Args:
        folder: for the data of broker and inboxes.
        sizes: numbers of messages, the smallest first.
        rounds: how often each size is drained for a while.
        counted: tasks in a round.

    Returns:
        What costs more than the target allows.
    """
    if min(sizes) < 2 * (WARMING + counted):
        raise SystemExit(
            f"each size must be {2 * (WARMING + counted):,} at least: a round would empty the queue"
        )
    with private_broker(folder / "broker") as broker, ExitStack() as stack:
        pids = [pid for pid in family(os.getpid()) if pid != os.getpid()]
        urls = [broker.vhost_url(stack.enter_context(broker.vhost())) for _ in sizes]
        backlogs = [Backlog(url, folder / f"{size}", size) for url, size in zip(urls, sizes, strict=True)]
        for backlog in backlogs:
            asyncio.run(_fill(backlog, pids))
        for number in range(rounds):
            for backlog in backlogs:
                backlog.drain(pids, counted)
            print(f"round {number + 1} of {rounds}; load {os.getloadavg()[0]:.1f}", flush=True)
        for backlog in backlogs:
            asyncio.run(backlog.require_whole())
        print(f"the broker's memory at the end: {memory_bytes(pids) / MEBIBYTE:.0f} MB\n\n{_table(backlogs)}")
    return [
        f"{what} with {backlogs[-1].size:,} waiting"
        for what, of in (("service", lambda f: f.service), ("broker", lambda f: f.broker))
        if _ratio(backlogs, of) > TARGET
    ]


async def _fill(backlog: Backlog, pids: list[int]) -> None:
    await backlog.declare()
    memory, spent, began = memory_bytes(pids), cpu_seconds(pids), time.monotonic()
    await backlog.publish(backlog.size)
    took = time.monotonic() - began
    print(
        f"{backlog.size:,} put in: {backlog.size / took:.0f}/s, "
        f"{1e6 * (cpu_seconds(pids) - spent) / backlog.size:.0f} us of the broker's processor each; "
        f"its memory went from {memory / MEBIBYTE:.0f} to {memory_bytes(pids) / MEBIBYTE:.0f} MB; "
        f"load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def _message(number: int, keyring: Keyring) -> OutgoingMessage:
    task_id = new_task_id()
    event = sync_event(str(number))
    return OutgoingMessage(
        exchange=EXCHANGE_TASKS,
        routing_key=event.KIND,
        body=keyring.sealed_payload(event, task_id),
        headers=envelope_of(event, task_id).to_headers(),
        correlation_id=task_id,
    )


def _ratio(backlogs: Sequence[Backlog], of: Callable[[Figures], list[float]]) -> float:
    """The largest size to the smallest: the median of each round's own."""
    first, last = of(backlogs[0].figures), of(backlogs[-1].figures)
    return median(many / few for few, many in zip(first, last, strict=True))


def _table(backlogs: Sequence[Backlog]) -> str:
    rows: Sequence[tuple[str, Callable[[Figures], list[float]], str]] = (
        ("service, us a task", lambda f: f.service, ".0f"),
        ("broker, us a task", lambda f: f.broker, ".0f"),
        ("broker, us a message put in", lambda f: f.put, ".0f"),
        ("drained, 1/s", lambda f: f.rate, ".0f"),
        ("start of the process to its first task, s", lambda f: f.first, ".2f"),
    )
    lines = [
        f"| | {' | '.join(f'{each.size:,} waiting' for each in backlogs)} | ratio |",
        "|---|" + "---:|" * (len(backlogs) + 1),
    ]
    for name, of, form in rows:
        cells = " | ".join(f"{median(of(each.figures)):{form}}" for each in backlogs)
        lines.append(f"| {name} | {cells} | {_ratio(backlogs, of):.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
