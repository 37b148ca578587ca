"""Time until work continues after the broker is back: `python -m bench.large.comeback`.

Tasks are posted at a low rate while the broker is repeatedly stopped and started. Reports the time from the
moment its port accepts connections to the first task that is run, the first recorded outcome, and the last
outcome of the tasks accepted meanwhile.
"""

import argparse
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import median
from typing import Final
from urllib.parse import urlsplit

import uvloop

from bench.kit.installation import POLL_SECONDS, Installation, until
from bench.kit.load import Load, Posted
from bench.kit.place import Place
from bench.kit.programs import start, stop
from bench.measure import NANOSECONDS
from waybill_testkit.broker import Broker, private_broker

ROUNDS: Final = 10
#: Posts a second, and how many of them may be under way.
RATE, UNDER_WAY = 5.0, 8
#: Between a round's end and the next restart: the work is well under way again.
CALM_SECONDS: Final = 3.0
#: From the end of the broker to its start: longer than any process takes to notice.
AWAY_SECONDS: Final = 5.0
#: Between two tries at its port.
TRY_SECONDS: Final = 0.01
TARGET_SECONDS: Final = 5.0
COMPLETED: Final = "SELECT count(*) FROM tasks WHERE state = 'completed'"
ACCEPTED: Final = "SELECT count(*) FROM tasks"


@dataclass(frozen=True, slots=True)
class Comeback:
    """Seconds after the broker's port took connections, in one round."""

    run: float
    recorded: float
    #: All that was accepted until the first outcome.
    caught_up: float


@dataclass
class Trickle:
    """Tasks that are posted all the time, from a thread."""

    load: Load
    posted: list[Posted] = field(default_factory=list)
    _told: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Posts for the time of the `with` block."""
        thread = threading.Thread(target=self._post, name="trickle")
        thread.start()
        try:
            yield
        finally:
            self._told.set()
            thread.join()

    def accepted(self) -> int:
        """How many tasks were answered with 202.

        Raises:
            SystemExit: any was not, or none was posted.
        """
        failures = [failure for each in self.posted for failure in each.failures]
        if failures:
            raise SystemExit(f"{len(failures)} posts failed: {failures[0]}")
        return sum(len(each.accepted) for each in self.posted)

    def _post(self) -> None:
        while not self._told.is_set():
            self.posted.append(uvloop.run(self.load.steady(RATE, 1.0, most_under_way=UNDER_WAY)))


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.large.comeback", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="restarts (default: %(default)s)")
    parser.add_argument("--kill", action="store_true", help="end the broker as a crash would")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="waybill-comeback-") as folder:
        measure_comeback(Path(folder), rounds=arguments.rounds, kill=arguments.kill)


def measure_comeback(folder: Path, *, rounds: int, kill: bool = False) -> list[Comeback]:
    """Restarts a broker so many times, and prints what came of it; refuses if a task is missing."""
    with ExitStack() as stack:
        broker = stack.enter_context(private_broker(folder / "broker"))
        # Its own virtual host: it is there again after a restart.
        vhost = stack.enter_context(broker.vhost())
        place = Place.fresh(folder / "place", amqp_url=broker.vhost_url(vhost), redis_url="")
        installation = Installation(
            place, f"sqlite:///{place.folder}/ledger.db", f"sqlite:///{place.folder}/inbox.db"
        )
        stack.callback(installation.close)
        installation.make_ledger()
        programs = [installation.status(), installation.gateway(), *installation.services(1)]
        running = start(programs, place.folder)
        stack.callback(stop, running)
        trickle = Trickle(Load(place.api_port, place.stamps, count()))
        done: list[Comeback] = []
        with trickle.running():
            for number in range(rounds):
                time.sleep(CALM_SECONDS)
                done.append(_restart(broker, installation, place, kill=kill))
                print(f"{number + 1}: {_in_words(done[-1])}; load {os.getloadavg()[0]:.1f}", flush=True)
                for each in running:
                    each.require_alive()
        accepted = trickle.accepted()
        until(lambda: installation.count(COMPLETED) >= accepted)
        runs = place.stamps.runs(accepted)
    lost, twice = runs.count(0), sum(times > 1 for times in runs)
    if lost:
        raise SystemExit(f"{lost} of {accepted} tasks were not run")
    _summarise(done, accepted, twice)
    return done


def _restart(broker: Broker, installation: Installation, place: Place, *, kill: bool) -> Comeback:
    (broker.kill if kill else broker.stop)()
    time.sleep(AWAY_SECONDS)
    port = urlsplit(broker.amqp_url).port or 0
    opened: list[int] = []
    recorded: list[int] = []

    def watch() -> None:
        opened.append(_when_open(port))
        # What was run before may be reported only now, and proves nothing.
        before = place.stamps.runs(installation.count(ACCEPTED)).count(1)
        until(lambda: installation.count(COMPLETED) > before, what="work goes on")
        recorded.append(time.monotonic_ns())

    watching = threading.Thread(target=watch, name="watch")
    watching.start()
    # In this thread: the broker dies with the one that has started it.
    broker.start()
    watching.join()
    if not recorded:
        raise SystemExit("work did not go on")
    accepted = installation.count(ACCEPTED)
    until(lambda: installation.count(COMPLETED) >= accepted)
    caught_up = time.monotonic_ns()
    run = min(at for at in place.stamps.begun(accepted) if at > opened[0])
    return Comeback(*((at - opened[0]) / NANOSECONDS for at in (run, recorded[0], caught_up)))


def _when_open(port: int) -> int:
    while True:
        with socket.socket() as trying:
            if trying.connect_ex(("127.0.0.1", port)) == 0:
                return time.monotonic_ns()
        time.sleep(TRY_SECONDS)


def _in_words(comeback: Comeback) -> str:
    return (
        f"first task run after {comeback.run:.2f} s, first outcome recorded after {comeback.recorded:.2f} s, "
        f"caught up after {comeback.caught_up:.2f} s"
    )


def _summarise(done: list[Comeback], accepted: int, twice: int) -> None:
    recorded = sorted(each.recorded for each in done)
    print(
        f"{len(done)} restarts, {accepted} tasks accepted, all completed, {twice} run twice; "
        f"seconds from the broker's open port to the first recorded outcome: "
        f"median {median(recorded):.2f}, least {recorded[0]:.2f}, most {recorded[-1]:.2f} "
        f"(target {TARGET_SECONDS:g}, checked every {POLL_SECONDS:g} s); "
        f"caught up: median {median(each.caught_up for each in done):.2f}, "
        f"most {max(each.caught_up for each in done):.2f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
