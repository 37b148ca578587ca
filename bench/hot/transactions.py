"""Processor time of the hot transactions in two source trees: `python -m bench.hot.transactions ../other`.

One process of each tree runs the same transactions in turn, on a SQLite file and on a PostgreSQL database of
its own, so that a slow machine affects both. The figures are medians of the rounds, in µs of a processor for
a transaction: in the process, and in the server of PostgreSQL.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final, cast

from bench.hot.trees import source_path
from bench.kit.programs import ROOT
from bench.kit.usage import cpu_seconds, family
from waybill_testkit.postgres import private_postgres

ROUNDS: Final = 9
#: Transactions of each case and round.
TIMES: Final = 60
#: Transaction, and how many tasks it is about.
CASES: Final = (
    *(("accept", size) for size in (1, 5, 25, 100)),
    *(("mark", size) for size in (1, 5, 25)),
    *(("claim", size) for size in (1, 4, 25)),
    *(("record", size) for size in (1, 4, 25)),
    *(("merge", size) for size in (1, 5, 25, 100)),
)


class Tree:
    """A process of one source tree that runs transactions on one database."""

    def __init__(self, tree: Path, url: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - fixed, no input
            [sys.executable, "-m", "bench.hot.transaction_cases", url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": source_path(tree)},
        )
        self._input, self._output = cast("Any", self._process.stdin), cast("Any", self._process.stdout)
        self.origin = self._line()

    def run(self, name: str, size: int, times: int) -> float:
        """Processor time of a transaction in µs."""
        self._input.write(f"{name} {size} {times}\n")
        self._input.flush()
        return float(self._line())

    def stop(self) -> None:
        """Ends the process."""
        self._process.communicate()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def _line(self) -> str:
        line: str = self._output.readline()
        if not line:
            raise SystemExit("a process has ended, see above")
        return line.strip()


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.hot.transactions", description=__doc__)
    parser.add_argument("other", type=Path, help="root folder of another checkout of Waybill")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of each tree (default: %(default)s)")
    parser.add_argument("--times", type=int, default=TIMES, help="transactions of a round and case")
    parser.add_argument("--only", nargs="*", help="names of transactions; default: all")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], help="default: both")
    arguments = parser.parse_args()
    cases = [case for case in CASES if not arguments.only or case[0] in arguments.only]
    trees = (arguments.other.resolve(), ROOT)
    for database in (arguments.database,) if arguments.database else ("sqlite", "postgresql"):
        with ExitStack() as stack:
            urls = stack.enter_context(_databases(database))
            both = [Tree(tree, url) for tree, url in zip(trees, urls, strict=True)]
            for tree in both:
                stack.callback(tree.stop)
            _compare(database, both, cases, arguments.rounds, arguments.times)


@contextmanager
def _databases(database: str) -> Iterator[tuple[str, str]]:
    if database == "sqlite":
        with tempfile.TemporaryDirectory(prefix="waybill-transactions-") as folder:
            yield f"sqlite:///{folder}/one.db", f"sqlite:///{folder}/two.db"
    else:
        with private_postgres() as server, server.database() as one, server.database() as two:
            yield one, two


def _compare(database: str, trees: list[Tree], cases: list[tuple[str, int]], rounds: int, times: int) -> None:
    print(f"\n{database}: {trees[0].origin} beside {trees[1].origin}")
    figures = defaultdict[tuple[str, int, int], list[float]](list)
    servers = defaultdict[tuple[str, int, int], list[float]](list)
    for number in range(rounds):
        for name, size in cases:
            # The first of a round has the same advantage or disadvantage as often.
            for which in (0, 1) if number % 2 else (1, 0):
                before = _of_server(trees)
                figures[name, size, which].append(trees[which].run(name, size, times))
                # With what was prepared for the transactions.
                servers[name, size, which].append((_of_server(trees) - before) * 1e6 / times)
    for name, size in cases:
        other, this = (median(figures[name, size, which]) for which in (0, 1))
        line = f"{name:>7} {size:3}: {other:7.0f} {this:7.0f} us; ratio {this / other:.2f}"
        if database == "postgresql":
            of_server = [median(servers[name, size, which]) for which in (0, 1)]
            line += f"; server {of_server[0]:7.0f} {of_server[1]:7.0f} us"
        print(line, flush=True)


def _of_server(trees: list[Tree]) -> float:
    ours = {os.getpid(), *(pid for tree in trees for pid in family(tree.pid))}
    return cpu_seconds([pid for pid in family(os.getpid()) if pid not in ours])


if __name__ == "__main__":
    main()
