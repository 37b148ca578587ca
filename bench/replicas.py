"""What one, two and four processes of a service make of the same work: `python -m bench.replicas`.

Ledger and inbox are in PostgreSQL, which the processes share. Each task waits, as one does that calls the
outside: so processes add up beyond the cores, until those are full. Told are the rate, whether the processor
time of a task stays what it was, and whether any task was run twice.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Final

import uvloop
from sqlalchemy import text

import ledger
from bench.apps.waybill_service import WAIT_VARIABLE
from bench.load import Load
from bench.measure import CONNECTIONS, NANOSECONDS
from bench.place import Place
from bench.programs import Program, Running, answers, python, start, stop
from contracts.sealing import Keyring
from database import open_engine
from devstack.broker import private_broker
from devstack.ports import LOOPBACK, free_ports
from devstack.postgres import private_postgres

#: How many processes, one measurement each.
STEPS: Final = (1, 2, 4)
#: How long a task waits, and how many of them one process has under way: 100 tasks a second at the best.
WAIT_SECONDS: Final = 0.1
PREFETCH: Final = 10
#: How long tasks are posted for, ahead of each measurement.
POSTING_SECONDS: Final = 4.0
LOOK_SECONDS: Final = 0.05
#: For each step, on the slowest machine.
PATIENCE_SECONDS: Final = 300.0


class Installation:
    """Gateway, status and a service on one PostgreSQL, the service in as many processes as wanted."""

    def __init__(self, place: Place, ledger_url: str, inbox_url: str) -> None:
        self._place = place
        self._sealing_key = Keyring.new_key()
        self._ledger_url, self._inbox_url = ledger_url, inbox_url
        ledger.upgrade(ledger_url)
        self._engine = open_engine(ledger_url, connections=1)

    def accepting(self) -> Sequence[Program]:
        """Gateway and status."""
        (port,) = free_ports(1)
        objects = {"WAYBILL_OBJECT_STORE_URL": f"file://{self._place.folder}/objects"}
        return (
            self._program(
                "status", "status_service", port, {"WAYBILL_LEDGER_URL": self._ledger_url} | objects
            ),
            Program(
                "gateway",
                python("gateway"),
                self._environment
                | objects
                | {
                    "WAYBILL_LEDGER_URL": self._ledger_url,
                    "WAYBILL_PORT": str(self._place.api_port),
                    "WAYBILL_SYNC_TARGETS": '["crm"]',
                },
                answers(f"{self._place.api_url}/readyz", saying='"broker":true'),
            ),
        )

    def working(self, processes: int) -> Sequence[Program]:
        """The service, so many times."""
        special = {
            "WAYBILL_INBOX_URL": self._inbox_url,
            "WAYBILL_PREFETCH": str(PREFETCH),
            WAIT_VARIABLE: str(WAIT_SECONDS),
        }
        return [
            self._program(f"service {number + 1}", "bench.apps.waybill_service", port, special)
            for number, port in enumerate(free_ports(processes))
        ]

    def count(self, query: str) -> int:
        """What a counting query over the ledger answers."""
        with self._engine.begin() as connection:
            return int(connection.execute(text(query)).scalar_one())

    def close(self) -> None:
        """Lets the database go."""
        self._engine.dispose()

    @property
    def _environment(self) -> dict[str, str]:
        return {
            **self._place.environment,
            "WAYBILL_AMQP_URL": self._place.amqp_url,
            "WAYBILL_SEALING_KEYS": self._sealing_key,
            "WAYBILL_PERSONS_KEY": self._sealing_key,
            "WAYBILL_LOG_LEVEL": "warning",
        }

    def _program(self, role: str, module: str, port: int, special: dict[str, str]) -> Program:
        environment = self._environment | special | {"WAYBILL_HEALTH_PORT": str(port)}
        return Program(role, python(module), environment, answers(f"http://{LOOPBACK}:{port}/readyz"))


def main() -> None:
    """Runs the command line."""
    argparse.ArgumentParser(prog="python -m bench.replicas", description=__doc__).parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="waybill-replicas-")))
        broker = stack.enter_context(private_broker(folder / "broker"))
        server = stack.enter_context(private_postgres())
        vhost = stack.enter_context(broker.vhost())
        place = Place.fresh(folder / "place", amqp_url=broker.vhost_url(vhost), redis_url="")
        urls = [stack.enter_context(server.database()) for _ in range(2)]
        installation = Installation(place, *urls)
        stack.callback(installation.close)
        running = start(installation.accepting(), place.folder)
        stack.callback(stop, running)
        numbers, posted = count(), 0
        for processes in STEPS:
            accepted = uvloop.run(
                Load(place.api_port, place.stamps, numbers).closed(CONNECTIONS, POSTING_SECONDS)
            )
            if accepted.failures:
                raise SystemExit(f"posts failed: {accepted.failures[0]}")
            first, posted = posted, posted + len(accepted.accepted)
            _until(lambda: installation.count("SELECT count(*) FROM outbox") == 0)
            workers = start(installation.working(processes), place.folder)
            try:
                _measure(installation, place, workers, first, posted)
            finally:
                stop(workers)


def _measure(
    installation: Installation, place: Place, workers: Sequence[Running], first: int, posted: int
) -> None:
    completed = "SELECT count(*) FROM tasks WHERE state = 'completed'"
    # The first have begun while the last still started: from here on all are at work. By the stamps' clock.
    before, since = [worker.cpu_seconds() for worker in workers], time.monotonic_ns()
    _until(lambda: installation.count(completed) == posted)
    begun = [at for at in place.stamps.begun(posted)[first:] if at >= since]
    if not begun:
        raise SystemExit("all tasks had begun before all processes were there: post for longer")
    took = (max(begun) - since) / NANOSECONDS + WAIT_SECONDS
    processor = [worker.cpu_seconds() - spent for worker, spent in zip(workers, before, strict=True)]
    twice = sum(times != 1 for times in place.stamps.runs(posted)[first:])
    print(
        f"{len(workers)} processes: {len(begun):,} tasks at {len(begun) / took:.0f}/s "
        f"(at most {len(workers) * PREFETCH / WAIT_SECONDS:.0f}/s); "
        f"{sum(processor) / len(begun) * 1e6:.0f} us of processor a task; "
        f"the busiest process did {max(processor) / sum(processor):.0%} of it; "
        f"{twice} not run exactly once",
        flush=True,
    )


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise SystemExit(f"accepted tasks are not done after {PATIENCE_SECONDS:g} s")
        time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    main()
