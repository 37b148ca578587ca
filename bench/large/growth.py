"""Cost of a large ledger: each operation with 10,000, 100,000 and 1,000,000 tasks, on both databases.

With `--backlog` no task has begun, and half of them are in the outbox. The ledgers are measured in turn, so
that a slow machine affects all of them. Reports processor time, including that of the database server: wall
time means little on a busy machine.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

from sqlalchemy import Engine, text

from bench.kit.filling import BACKLOG, PAST, Mix, fill_inbox, fill_ledger
from bench.large.growth_steps import (
    COUNTING_STEPS,
    LOOK_STEPS,
    TASK_STEPS,
    WHOLE_STEPS,
    InboxUnderTest,
    Step,
    Subject,
)
from waybill_database import open_engine
from waybill_testkit.postgres import private_postgres

SIZES: Final = (10_000, 100_000, 1_000_000)
QUICK_SIZES: Final = (2_000, 20_000)
#: Each step on each size, one after the other; the first are not counted.
ROUNDS, FEW_ROUNDS, WARMING = 40, 6, 4
INBOX_STEP: Final = "claim and record"
#: What a task at the largest size may cost of one at the smallest.
TARGET: Final = 1.2


@dataclass(slots=True)
class Cost:
    """What one step cost at one size, in microseconds a round."""

    cpu: list[float] = field(default_factory=list)
    clock: list[float] = field(default_factory=list)

    @property
    def middle(self) -> float:
        """Processor time of the median round."""
        return median(self.cpu)

    @property
    def slowest(self) -> float:
        """By the clock, one round in a hundred takes longer."""
        return quantiles(self.clock, n=100)[-1]


_CLIENTS: Final = text(
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
)
#: Of each step at each size.
Costs = Mapping[str, Mapping[int, Cost]]


def main() -> int:
    """Runs the command line; 1 if the target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.large.growth", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small ledgers, to see it work")
    parser.add_argument("--backlog", action="store_true", help="ledgers whose tasks all wait")
    parser.add_argument("--folder", type=Path, help="where SQLite's files are (default: the system's)")
    arguments = parser.parse_args()
    results = Path(__file__).parents[1] / "results"
    results.mkdir(exist_ok=True)
    return measure_growth(
        results / ("growth-backlog" if arguments.backlog else "growth"),
        folder=arguments.folder,
        sizes=QUICK_SIZES if arguments.quick else SIZES,
        mix=BACKLOG if arguments.backlog else PAST,
    )


def measure_growth(written: Path, *, folder: Path | None, sizes: Sequence[int], mix: Mix) -> int:
    """Measures, prints and writes what came of it; 1 if the target is missed.

    Args:
        written: the files for what comes of it, without their suffixes.
        folder: where SQLite's files are; None: the system's folder for such.
        sizes: numbers of tasks, the smallest first.
        mix: what has become of the tasks.
    """
    with (
        tempfile.TemporaryDirectory(prefix="waybill-growth-", dir=folder) as place,
        private_postgres() as server,
        ExitStack() as stack,
    ):
        files = {n: (f"sqlite:///{place}/ledger-{n}.db", f"sqlite:///{place}/inbox-{n}.db") for n in sizes}
        served = {
            n: (stack.enter_context(server.database()), stack.enter_context(server.database())) for n in sizes
        }
        measured: dict[str, Costs] = {}
        for database, urls in (("SQLite", files), ("PostgreSQL", served)):
            measured[database] = _measured(urls, mix)
            print(f"\n{_table(database, measured[database])}\n", flush=True)
    text = "\n\n".join(_table(database, costs) for database, costs in measured.items())
    written.with_suffix(".md").write_text(text + "\n")
    written.with_suffix(".json").write_text(json.dumps(_figures(measured), indent=1) + "\n")
    missed = [
        f"{name} on {database}"
        for database, costs in measured.items()
        for name in (*TASK_STEPS, INBOX_STEP)
        if _ratio(costs[name]) > TARGET
    ]
    if missed:
        print(f"more than {TARGET} times as dear: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


def _measured(urls: Mapping[int, tuple[str, str]], mix: Mix) -> Costs:
    ledgers: dict[int, Subject] = {}
    inboxes: dict[int, InboxUnderTest] = {}
    for size, (ledger, inbox) in urls.items():
        started = time.monotonic()
        fill_ledger(ledger, size, mix)
        fill_inbox(inbox, size)
        print(f"{size:,} tasks made in {time.monotonic() - started:.0f} s", flush=True)
        ledgers[size] = Subject(open_engine(ledger, connections=1))
        ledgers[size].look()
        inboxes[size] = InboxUnderTest(inbox)
    few = WHOLE_STEPS.keys() | (COUNTING_STEPS if mix is BACKLOG else frozenset())
    costs: dict[str, dict[int, Cost]] = {}
    for name, step in {**TASK_STEPS, **LOOK_STEPS, **WHOLE_STEPS}.items():
        costs[name] = _compared(
            {size: partial(_in_transaction, step, subject) for size, subject in ledgers.items()},
            {size: subject.engine for size, subject in ledgers.items()},
            FEW_ROUNDS if name in few else ROUNDS,
        )
    costs[INBOX_STEP] = _compared(
        {size: inbox.claim_and_record for size, inbox in inboxes.items()},
        {size: inbox.engine for size, inbox in inboxes.items()},
        ROUNDS,
    )
    for size in urls:
        ledgers[size].engine.dispose()
        inboxes[size].close()
    return costs


def _in_transaction(step: Step, subject: Subject) -> None:
    with subject.engine.begin() as connection:
        step(connection, subject)


def _compared(
    works: Mapping[int, Callable[[], None]], engines: Mapping[int, Engine], rounds: int
) -> dict[int, Cost]:
    costs = {size: Cost() for size in works}
    servers: dict[int, list[int]] = {}
    for number in range(rounds + WARMING):
        for size, work in works.items():
            if number < WARMING:
                work()
                servers[size] = _server(engines[size])
                continue
            # The server's clock is read outside of our own, for that costs us some time.
            theirs, ours, clock = _ran(servers[size]), time.process_time(), time.perf_counter()
            work()
            took, spent = time.perf_counter() - clock, time.process_time() - ours
            costs[size].cpu.append((spent + _ran(servers[size]) - theirs) * 1e6)
            costs[size].clock.append(took * 1e6)
    return costs


def _server(engine: Engine) -> list[int]:
    """The processes of the database server that work for this database, if there is a server."""
    if engine.dialect.name == "sqlite":
        return []
    with engine.begin() as connection:
        return list(connection.scalars(_CLIENTS))


def _ran(pids: Sequence[int]) -> float:
    """Seconds of processor time: the scheduler's own count, for that of `stat` is in hundredths."""
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) / 1e9


def _ratio(cost: Mapping[int, Cost]) -> float:
    return cost[max(cost)].middle / cost[min(cost)].middle


def _table(database: str, costs: Costs) -> str:
    sizes = list(next(iter(costs.values())))
    lines = [
        f"| {database} | {' | '.join(f'{n:,} tasks' for n in sizes)} | ratio | p99 at the last |",
        "|---|" + "---:|" * (len(sizes) + 2),
    ]
    for name, cost in costs.items():
        cells = " | ".join(f"{cost[size].middle / 1000:.2f} ms" for size in sizes)
        lines.append(f"| {name} | {cells} | {_ratio(cost):.2f} | {cost[max(sizes)].slowest / 1000:.1f} ms |")
    return "\n".join(lines)


def _figures(measured: Mapping[str, Costs]) -> dict[str, Any]:
    return {
        database: {
            name: {
                size: {"cpu_us": round(each.middle), "clock_p99_us": round(each.slowest)}
                for size, each in cost.items()
            }
            for name, cost in costs.items()
        }
        for database, costs in measured.items()
    }


if __name__ == "__main__":
    sys.exit(main())
