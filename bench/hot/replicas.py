"""One, two and four processes of gateway and service, by `--processes`: `python -m bench.hot.replicas`.

Ledger and inbox are in PostgreSQL, which flushes each commit. First the gateway accepts as much as it can in
each number of processes; then a service does the tasks. Each of its tasks waits, as one does that calls the
outside: so processes add up beyond the cores, until those are full. Reports rates, the processor time of a
task, memory, and whether any task was run twice.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Final

import uvloop

from bench.apps.waybill_service import WAIT_VARIABLE
from bench.kit.installation import Installation, until
from bench.kit.load import Load, Posted
from bench.kit.place import Place
from bench.kit.programs import Program, Running, start, stop
from bench.kit.usage import cpu_seconds
from bench.measure import CONNECTIONS, MEBIBYTE, NANOSECONDS
from waybill_testkit.broker import Broker, private_broker
from waybill_testkit.postgres import Postgres, private_postgres

#: How many processes, one measurement each.
STEPS: Final = (1, 2, 4)
#: How long a task waits, and how many of them one process has under way: 100 tasks a second at the best.
WAIT_SECONDS: Final = 0.1
PREFETCH: Final = 10
#: How long tasks are posted for.
POSTING_SECONDS: Final = 4.0
#: And before, for the first requests open connections and fill caches.
WARM_UP_SECONDS: Final = 1.0


def main() -> None:
    """Runs the command line."""
    argparse.ArgumentParser(prog="python -m bench.hot.replicas", description=__doc__).parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="waybill-replicas-")))
        broker = stack.enter_context(private_broker(folder / "broker"))
        server = stack.enter_context(private_postgres(careless=False))
        for processes in STEPS:
            with _measurements(broker, server, folder / f"gateway-{processes}") as measurements:
                measurements.gateway(processes)
        for processes in STEPS:
            with _measurements(broker, server, folder / f"service-{processes}") as measurements:
                measurements.service(processes)


@contextmanager
def _measurements(broker: Broker, server: Postgres, folder: Path) -> Iterator["_Measurements"]:
    """A virtual host and a ledger of their own, and a status service."""
    with ExitStack() as stack:
        vhost = stack.enter_context(broker.vhost())
        place = Place.fresh(folder, amqp_url=broker.vhost_url(vhost), redis_url="")
        urls = [stack.enter_context(server.database()) for _ in range(2)]
        installation = Installation(place, *urls)
        stack.callback(installation.close)
        installation.make_ledger()
        stack.enter_context(_running(installation.status(), place))
        yield _Measurements(installation, place)


class _Measurements:
    """What is measured, in one ledger."""

    def __init__(self, installation: Installation, place: Place) -> None:
        self._installation, self._place = installation, place
        self._numbers = count()
        self._posted = 0

    def gateway(self, processes: int) -> None:
        """The rate at which so many processes of a gateway accept, with nobody to do the tasks."""
        with _running(self._installation.gateway(processes=processes), self._place) as gateway:
            self._post(WARM_UP_SECONDS)
            self._until_published()
            before = _spent(gateway)
            posted = self._post(POSTING_SECONDS)
            self._until_published()
            spent = _since(gateway, before)
            tasks = len(posted.accepted)
            print(
                f"gateway, {processes} processes: {tasks / posted.seconds:,.0f} accepted/s; "
                f"{sum(spent.values()) / tasks * 1e6:.0f} us of processor a task; "
                f"the busiest process did {max(spent.values()) / sum(spent.values()):.0%} of it; "
                f"{gateway.memory_bytes() / MEBIBYTE:.0f} MB",
                flush=True,
            )

    def service(self, processes: int) -> None:
        """The rate at which so many processes of a service do tasks that wait in the queue."""
        with _running(self._installation.gateway(), self._place):
            self._post(POSTING_SECONDS)
            self._until_published()
        special = {
            "WAYBILL_PROCESSES": str(processes),
            "WAYBILL_PREFETCH": str(PREFETCH),
            WAIT_VARIABLE: str(WAIT_SECONDS),
        }
        (program,) = self._installation.services(1, special)
        with _running(program, self._place) as service:
            self._drained(service, processes)

    def _drained(self, service: Running, processes: int) -> None:
        completed = "SELECT count(*) FROM tasks WHERE state = 'completed'"
        # The first have begun while the last process still started: from here on all are at work.
        before, since = _spent(service), time.monotonic_ns()
        until(lambda: self._installation.count(completed) == self._posted)
        stamps = self._place.stamps
        begun = [at for at in stamps.begun(self._posted) if at >= since]
        if not begun:
            raise SystemExit("all tasks had begun before all processes were there: post for longer")
        took = (max(begun) - since) / NANOSECONDS + WAIT_SECONDS
        spent = _since(service, before)
        twice = sum(times != 1 for times in stamps.runs(self._posted))
        print(
            f"service, {processes} processes: {len(begun):,} tasks at {len(begun) / took:.0f}/s "
            f"(at most {processes * PREFETCH / WAIT_SECONDS:.0f}/s); "
            f"{sum(spent.values()) / len(begun) * 1e6:.0f} us of processor a task; "
            f"the busiest process did {max(spent.values()) / sum(spent.values()):.0%} of it; "
            f"{service.memory_bytes() / MEBIBYTE:.0f} MB; {twice} not run exactly once",
            flush=True,
        )

    def _post(self, seconds: float) -> Posted:
        load = Load(self._place.api_port, self._place.stamps, self._numbers)
        posted = uvloop.run(load.closed(CONNECTIONS, seconds))
        if posted.failures:
            raise SystemExit(f"posts failed: {posted.failures[0]}")
        self._posted += len(posted.accepted)
        return posted

    def _until_published(self) -> None:
        until(lambda: self._installation.count("SELECT count(*) FROM outbox") == 0, what="all are published")


@contextmanager
def _running(program: Program, place: Place) -> Iterator[Running]:
    running = start([program], place.folder)
    try:
        yield running[0]
    finally:
        stop(running)


def _spent(program: Running) -> dict[int, float]:
    """Seconds of processor time of each process so far."""
    return {pid: cpu_seconds([pid]) for pid in program.pids()}


def _since(program: Running, before: Mapping[int, float]) -> dict[int, float]:
    """Seconds of processor time of each process since then."""
    return {pid: spent - before.get(pid, 0.0) for pid, spent in _spent(program).items()}


if __name__ == "__main__":
    main()
