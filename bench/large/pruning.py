"""Effect of pruning on the time to accept a task: `python -m bench.large.pruning`.

Posts arrive at a steady rate while, in turn, nothing is pruned, the status service prunes in the background,
and an operator prunes by hand (`waybill prune`). Reports the time to a 202 in each turn, and the number of
pruned tasks; on SQLite and on PostgreSQL, both flushed at each commit.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import median
from typing import Final

import uvloop

from bench.figures import nearest_rank
from bench.kit.filling import APART, fill_ledger
from bench.kit.installation import Installation
from bench.kit.load import Load
from bench.kit.place import Place
from bench.kit.programs import Program, python, start, stop
from waybill_testkit.broker import Broker, private_broker
from waybill_testkit.postgres import private_postgres

#: Tasks in the ledger, all but the newest of them old enough to go.
TASKS: Final = 400_000
ROUNDS: Final = 4
#: How long posts come in each turn, and how many a second.
SECONDS: Final = 15.0
RATE: Final = 60.0
#: Posts under way at most: each connection is used again well before the gateway closes it.
UNDER_WAY: Final = 128
#: Highest p99 relative to that without pruning.
TARGET: Final = 1.5
FINISHED: Final = "SELECT count(*) FROM tasks WHERE state IN ('completed', 'failed', 'cancelled')"


@dataclass
class Turn:
    """One way of pruning, over all its turns."""

    name: str
    doing: Callable[[], AbstractContextManager[None]]
    #: Seconds, of each turn.
    waits: list[list[float]] = field(default_factory=list)
    pruned: int = 0

    def middle(self, share: float) -> float:
        """The median of the turns' own percentiles, in milliseconds."""
        return 1000 * median(nearest_rank(each, share) for each in self.waits)


class Pruning:
    """An installation whose ledger is full of old tasks."""

    def __init__(self, installation: Installation, place: Place) -> None:
        self._installation = installation
        self._place = place
        self._load = Load(place.api_port, place.stamps, count())

    def turns(self) -> list[Turn]:
        """The ways of pruning that are compared."""
        return [
            Turn("nothing is pruned", self._not_at_all),
            Turn("the status service prunes", self._in_the_background),
            Turn("`waybill prune` runs", self._by_hand),
        ]

    def take(self, turn: Turn, seconds: float, rate: float) -> None:
        """Posts for one turn.

        Raises:
            SystemExit: a post failed, or nothing was pruned where it should have been.
        """
        with turn.doing():
            before = self._installation.count(FINISHED)
            posted = uvloop.run(self._load.steady(rate, seconds, most_under_way=UNDER_WAY))
            pruned = before - self._installation.count(FINISHED)
        if posted.failures:
            raise SystemExit(f"{len(posted.failures)} posts failed: {posted.failures[0]}")
        if (pruned == 0) is not (turn.doing == self._not_at_all):
            raise SystemExit(f"{turn.name}: {pruned} tasks went")
        turn.waits.append(posted.waits)
        print(
            f"{turn.name}: p99 {1000 * nearest_rank(posted.waits, 0.99):.0f} ms, {pruned:,} pruned; "
            f"load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
        turn.pruned += pruned

    @contextmanager
    def _not_at_all(self) -> Iterator[None]:
        with self._status(keep_days=0, keep_failed_days=0, keep_keys_days=0):
            yield

    @contextmanager
    def _in_the_background(self) -> Iterator[None]:
        # An hour, which is the age of the newest.
        with self._status(keep_days=APART.total_seconds() / 86_400, prune_look_seconds=0.1):
            yield

    @contextmanager
    def _by_hand(self) -> Iterator[None]:
        arguments = ("prune", "--older-than", "2h", "--state", "completed", "--yes")
        with self._not_at_all():
            before = self._installation.count(FINISHED)
            command = Program(
                "by hand",
                python("waybill_cli", *arguments),
                {"WAYBILL_URL": self._place.api_url},
                lambda: self._installation.count(FINISHED) < before,
            )
            (running,) = start([command], self._place.folder)
            try:
                yield
                # If there had been too few tasks it would have ended, and the rest of the turn had been calm.
                running.require_alive()
            finally:
                stop([running])

    @contextmanager
    def _status(self, **settings: object) -> Iterator[None]:
        running = start([self._installation.status(**settings)], self._place.folder)
        try:
            yield
        finally:
            stop(running)


def main() -> None:
    """Runs the command line; ends with 1 if the target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.large.pruning", description=__doc__)
    parser.add_argument("--tasks", type=int, default=TASKS, help="in each ledger (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of all turns (default: %(default)s)")
    parser.add_argument("--only", choices=("SQLite", "PostgreSQL"), help="leave out the other")
    parser.add_argument("--rate", type=float, default=RATE, help="posts a second (default: %(default)s)")
    arguments = parser.parse_args()
    missed = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="waybill-pruning-")))
        broker = stack.enter_context(private_broker(folder / "broker"))
        server = stack.enter_context(private_postgres(careless=False))
        for name, ledger in (
            ("SQLite", f"sqlite:///{folder}/ledger.db"),
            ("PostgreSQL", stack.enter_context(server.database())),
        ):
            if arguments.only not in (None, name):
                continue
            fill_ledger(ledger, arguments.tasks)
            turns = measure_pruning(
                broker, folder / name, ledger, rounds=arguments.rounds, seconds=SECONDS, rate=arguments.rate
            )
            print(f"{_table(name, turns)}\nload {os.getloadavg()[0]:.1f}\n", flush=True)
            missed += [turn for turn in turns if ratio(turn, turns[0]) > TARGET]
    sys.exit(1 if missed else 0)


def measure_pruning(
    broker: Broker, folder: Path, ledger: str, *, rounds: int, seconds: float, rate: float
) -> list[Turn]:
    """Measures on one ledger: all turns, one after the other, so many times.

    Args:
        broker: receives the accepted tasks, without consumers.
        folder: for logs and files, new.
        ledger: the database's URL, full of old tasks.
        rounds: how often.
        seconds: of posts in each turn.
        rate: posts a second.
    """
    with broker.vhost() as vhost, ExitStack() as stack:
        place = Place.fresh(folder, amqp_url=broker.vhost_url(vhost), redis_url="")
        installation = Installation(place, ledger, f"sqlite:///{folder}/inbox.db")
        stack.callback(installation.close)
        # The topology is declared by the status service, which comes and goes with the turns.
        stop(start([installation.status()], folder))
        stack.callback(stop, start([installation.gateway()], folder))
        pruning = Pruning(installation, place)
        turns = pruning.turns()
        for _ in range(rounds):
            for turn in turns:
                pruning.take(turn, seconds, rate)
    return turns


def ratio(turn: Turn, without: Turn) -> float:
    """Its p99 to that without pruning: the median of each round's own."""
    pairs = zip(turn.waits, without.waits, strict=True)
    return median(nearest_rank(each, 0.99) / nearest_rank(other, 0.99) for each, other in pairs)


def _table(name: str, turns: list[Turn]) -> str:
    lines = [
        f"| {name}: a 202 while | p50 | p99 | most | p99 ratio | pruned |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {turn.name} | {turn.middle(0.5):.1f} ms | {turn.middle(0.99):.1f} ms "
        f"| {turn.middle(1):.1f} ms | {ratio(turn, turns[0]):.2f} | {turn.pruned:,} |"
        for turn in turns
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
