"""Lateness of tasks that are due at one instant: `python -m bench.large.due`.

A thousand schedules and a thousand delayed tasks are due, each group at one instant, among many that
wait for years. Reports the time from the instant until their messages are at the broker, and until their
handlers run; on SQLite and on PostgreSQL.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import aio_pika
import httpx
from aio_pika.abc import AbstractIncomingMessage

from bench.figures import nearest_rank
from bench.kit.filling import SCHEDULED_ONLY, fill_ledger
from bench.kit.installation import PATIENCE_SECONDS, Installation
from bench.kit.load import ANSWER_SECONDS
from bench.kit.payload import ROUTE, body
from bench.kit.place import Place
from bench.kit.programs import start, stop
from bench.measure import NANOSECONDS
from waybill_contracts.wire import EXCHANGE_TASKS
from waybill_testkit.broker import Broker, private_broker
from waybill_testkit.postgres import private_postgres

DUE: Final = 1000
#: Others that wait, scheduled for years ahead.
WAITING: Final = 100_000
ROUNDS: Final = 3
#: The shortest time between two slots of a schedule.
EVERY_SECONDS: Final = 60
#: Where in that time the delayed tasks are due: far from the schedules.
BESIDE_SECONDS: Final = 30
#: For all that is to be due to be posted before the first of it is.
AHEAD_SECONDS: Final = 90
#: Before an instant: nothing of the one before is under way any more.
SETTLE_SECONDS: Final = 1
#: Posts under way at once.
UNDER_WAY: Final = 16
POLL_SECONDS: Final = 0.05


class Tap:
    """A queue of our own beside the service's, which records when messages arrive at the broker."""

    def __init__(self) -> None:
        self.arrived: list[float] = []

    @asynccontextmanager
    async def open(self, amqp_url: str) -> AsyncIterator[None]:
        """Notes for the time of the block when each task's message comes."""
        async with await aio_pika.connect(amqp_url) as connection, connection.channel() as channel:
            queue = await channel.declare_queue(exclusive=True)
            await queue.bind(EXCHANGE_TASKS, "#")
            await queue.consume(self._note, no_ack=True)
            yield

    async def _note(self, message: AbstractIncomingMessage) -> None:
        del message
        self.arrived.append(time.time())


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.large.due", description=__doc__)
    parser.add_argument("--due", type=int, default=DUE, help="at one instant (default: %(default)s)")
    parser.add_argument("--waiting", type=int, default=WAITING, help="beside them (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="instants (default: %(default)s)")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="waybill-due-")))
        broker = stack.enter_context(private_broker(folder / "broker"))
        server = stack.enter_context(private_postgres())
        for name, ledger in (
            ("SQLite", f"sqlite:///{folder}/ledger.db"),
            ("PostgreSQL", stack.enter_context(server.database())),
        ):
            fill_ledger(ledger, arguments.waiting, SCHEDULED_ONLY)
            measure_due(name, broker, folder / name, ledger, due=arguments.due, rounds=arguments.rounds)


def measure_due(name: str, broker: Broker, folder: Path, ledger: str, *, due: int, rounds: int) -> None:
    """Measures on one ledger, and prints; refuses if a task is missing, twice or early."""
    with broker.vhost() as vhost, ExitStack() as stack:
        place = Place.fresh(folder, amqp_url=broker.vhost_url(vhost), redis_url="")
        installation = Installation(place, ledger, f"sqlite:///{folder}/inbox.db")
        programs = [
            installation.status(),
            installation.gateway(max_schedules=due),
            *installation.services(1, {"WAYBILL_PREFETCH": "100"}),
        ]
        running = start(programs, folder)
        stack.callback(stop, running)
        status = running[0]
        asyncio.run(_Instants(name, place, status.cpu_seconds, due=due).measure(rounds))


class _Instants:
    def __init__(self, name: str, place: Place, status_cpu: Callable[[], float], *, due: int) -> None:
        self._name = name
        self._place = place
        self._status_cpu = status_cpu
        self._due = due
        self._tap = Tap()
        self._late: dict[str, dict[str, list[float]]] = {}
        self._cpu: dict[str, list[float]] = {}

    async def measure(self, rounds: int) -> None:
        first = datetime.now(UTC) + timedelta(seconds=AHEAD_SECONDS)
        instants = [first + number * timedelta(seconds=EVERY_SECONDS) for number in range(rounds)]
        beside = [slot + timedelta(seconds=BESIDE_SECONDS) for slot in instants]
        schedules, *delayed = (range(n * self._due, (n + 1) * self._due) for n in range(rounds + 1))
        await self._post("/v1/schedules", [_schedule(number, first) for number in schedules])
        for numbers, at in zip(delayed, beside, strict=True):
            await self._post(ROUTE, [_record(number) | {"send_at": at.isoformat()} for number in numbers])
        if datetime.now(UTC) > first - timedelta(seconds=SETTLE_SECONDS):
            raise SystemExit(f"posting took more than {AHEAD_SECONDS} s: the machine is too busy")
        async with self._tap.open(self._place.amqp_url):
            for number in range(rounds):
                await self._wait_for("schedules", instants[number], schedules, runs=number + 1)
                await self._wait_for("delayed tasks", beside[number], delayed[number], runs=1)
        self._tell()

    async def _post(self, route: str, bodies: Sequence[dict[str, Any]]) -> None:
        waiting = iter(bodies)

        async def post_next(client: httpx.AsyncClient) -> None:
            for each in waiting:  # shared by all that post
                (await client.post(route, json=each)).raise_for_status()

        async with httpx.AsyncClient(base_url=self._place.api_url, timeout=ANSWER_SECONDS) as client:
            await asyncio.gather(*(post_next(client) for _ in range(UNDER_WAY)))

    async def _wait_for(self, what: str, at: datetime, numbers: range, *, runs: int) -> None:
        await asyncio.sleep((at - datetime.now(UTC)).total_seconds() - SETTLE_SECONDS)
        self._tap.arrived.clear()
        cpu = self._status_cpu()
        until = time.monotonic() + PATIENCE_SECONDS
        last = numbers[-1] + 1
        while len(self._tap.arrived) < len(numbers) or any(
            n < runs for n in self._place.stamps.runs(last)[numbers[0] :]
        ):
            if time.monotonic() > until:
                raise SystemExit(f"{what} on {self._name}: not all were run")
            await asyncio.sleep(POLL_SECONDS)
        self._cpu.setdefault(what, []).append(self._status_cpu() - cpu)
        if any(n > runs for n in self._place.stamps.runs(last)[numbers[0] :]):
            raise SystemExit(f"{what} on {self._name}: some were run twice")
        # The stamps' clock begins elsewhere.
        ahead = time.time() - time.monotonic_ns() / NANOSECONDS
        begun = [n / NANOSECONDS + ahead for n in self._place.stamps.begun(last)[numbers[0] :]]
        for step, moments in (("at the broker", self._tap.arrived), ("run", begun)):
            late = lateness(moments, at, what=f"{what} on {self._name}")
            self._late.setdefault(what, {}).setdefault(step, []).extend(late)

    def _tell(self) -> None:
        for what, steps in self._late.items():
            cpu = sum(self._cpu[what]) / len(self._cpu[what])
            measured = "; ".join(f"{step}: {_in_words(seconds)}" for step, seconds in steps.items())
            print(
                f"{self._name}, {self._due:,} {what} at one instant: {measured}; the status service took "
                f"{cpu:.2f} s of processor for each instant; load {os.getloadavg()[0]:.1f}",
                flush=True,
            )


def lateness(moments: Sequence[float], due: datetime, *, what: str) -> list[float]:
    """How many seconds after `due` each of these is, in seconds since 1970.

    Raises:
        SystemExit: one is before it.
    """
    late = [moment - due.timestamp() for moment in moments]
    if min(late) < 0:
        raise SystemExit(f"{what}: early by {-min(late):.3f} s")
    return late


def _record(number: int) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(body(number))
    return record


def _schedule(number: int, first: datetime) -> dict[str, Any]:
    return {
        "name": f"due-{number}",
        "kind": "sync.requested",
        "every_seconds": EVERY_SECONDS,
        "starts_at": first.isoformat(),
        "body": _record(number),
    }


def _in_words(seconds: list[float]) -> str:
    shares = {"p50": 0.5, "p99": 0.99, "most": 1.0}
    return ", ".join(f"{name} {nearest_rank(seconds, share):.2f} s" for name, share in shares.items())


if __name__ == "__main__":
    main()
