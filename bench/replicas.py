"""One, two and four processes of a service with equal work: `python -m bench.replicas`.

Ledger and inbox are in PostgreSQL, which the processes share. Each task waits, as one does that calls the
outside: so processes add up beyond the cores, until those are full. Reports the rate, the processor time of a
task, and whether any task was run twice.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Final

import uvloop

from bench.apps.waybill_service import WAIT_VARIABLE
from bench.installation import Installation, until
from bench.load import Load
from bench.measure import CONNECTIONS, NANOSECONDS
from bench.place import Place
from bench.programs import Running, start, stop
from waybill_testkit.broker import private_broker
from waybill_testkit.postgres import private_postgres

#: How many processes, one measurement each.
STEPS: Final = (1, 2, 4)
#: How long a task waits, and how many of them one process has under way: 100 tasks a second at the best.
WAIT_SECONDS: Final = 0.1
PREFETCH: Final = 10
#: How long tasks are posted for, ahead of each measurement.
POSTING_SECONDS: Final = 4.0


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
        installation.make_ledger()
        running = start([installation.status(), installation.gateway()], place.folder)
        stack.callback(stop, running)
        numbers, posted = count(), 0
        special = {"WAYBILL_PREFETCH": str(PREFETCH), WAIT_VARIABLE: str(WAIT_SECONDS)}
        for processes in STEPS:
            accepted = uvloop.run(
                Load(place.api_port, place.stamps, numbers).closed(CONNECTIONS, POSTING_SECONDS)
            )
            if accepted.failures:
                raise SystemExit(f"posts failed: {accepted.failures[0]}")
            first, posted = posted, posted + len(accepted.accepted)
            until(lambda: installation.count("SELECT count(*) FROM outbox") == 0)
            workers = start(installation.services(processes, special), place.folder)
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
    until(lambda: installation.count(completed) == posted)
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


if __name__ == "__main__":
    main()
