"""The application outbox: what a row costs an application, and how fast a relay posts 100,000 of them.

    python -m bench.large.outbox --rows 100000

A PostgreSQL that flushes each commit has both the application's database and the ledger. Rates are those of
one machine that does all of it: the database, the gateway, the relay. What is compared is measured in turns,
so that a slow machine affects both.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    func,
    insert,
    make_url,
    select,
    text,
    update,
)
from sqlalchemy import Text as SqlText
from sqlalchemy.engine import URL

from waybill import outbox
from waybill.client import Client
from waybill.kinds import SyncRequested
from waybill.outbox.rows import LOCK
from waybill_contracts.privacy import Keyring
from waybill_ledger.migrations import upgrade
from waybill_testkit.gateway.process import gateway
from waybill_testkit.postgres import private_postgres

METADATA = MetaData()
ORDERS = Table(
    "orders",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("customer", SqlText),
    Column("note", SqlText),
)
#: As wide as a row of the outbox, with its indexes.
NOTES = Table(
    "notes",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("key", String(36)),
    Column("text", SqlText),
    Index("notes_by_key", "key", "id"),
)
STOCK = Table("stock", METADATA, Column("id", Integer, primary_key=True), Column("left", Integer))
OUTBOX = outbox.add_table(METADATA)
NOTE: Final = json.dumps({"text": "one of many", "more": "x" * 110})

Do = Callable[[Connection, int], None]

SINGLE_POSTS: Final = 2000
CALLERS: Final = 8
#: Transactions of a turn, and turns of each sort.
TRANSACTIONS: Final = 50
TURNS: Final = 12
#: Threads of an application that commit at the same time, and transactions of each in a turn.
THREADS: Final = 8
OF_THREAD: Final = 25
#: Rows of one transaction that fills the outbox.
FILLING: Final = 500


def event_of(number: int) -> SyncRequested:
    """An event of 150 bytes or so."""
    data = {"customer": f"customer {number}", "note": "one of many", "total": number}
    return SyncRequested(target="crm", resource="orders", id=str(number), data=data)


def main() -> None:
    """Measures, and prints the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.large.outbox", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    rows: int = parser.parse_args().rows
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="waybill-bench-")))
        server = stack.enter_context(private_postgres(careless=False))
        ledger_url = server.new_database()
        upgrade(ledger_url)
        url = make_url(server.new_database()).set(drivername="postgresql+psycopg")
        engine = create_engine(url, pool_size=THREADS + 1)
        stack.callback(engine.dispose)
        METADATA.create_all(engine)
        with engine.begin() as connection:
            connection.execute(insert(STOCK), {"id": 1, "left": 1_000_000})
        keys = {"sealing_keys": Keyring.new_key(), "persons_key": Keyring.new_key()}
        running = stack.enter_context(gateway(folder, ledger_url, **keys))
        figures = measured(engine, url, running.address, rows)
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


def measured(engine: Engine, url: URL, address: str, rows: int) -> dict[str, Any]:
    """All figures."""
    transaction = in_turns(engine, {"an event": with_row, "an insert": with_insert, "neither": without_row})
    clear(engine)
    idle = application_beside(engine, url, address)
    both = {"an event": with_order_and_row, "neither": with_order}
    together = {"no relay waits": at_once(engine, both)}
    with relay_that_waits(engine):
        together["each commit notifies"] = at_once(engine, both)
    clear(engine)
    say("filling the outbox")
    fill(engine, rows)
    single = single_posts(address, rows)
    with relay(url, address) as process:
        drained = drain(engine, process, rows)
    return {
        "single posts, 1/s": {"one caller": round(single[0]), f"{CALLERS} callers": round(single[1])},
        "rows relayed, 1/s": round(drained["rate"]),
        "times as fast as single posts": round(drained["rate"] / single[1], 1),
        "memory of the relay, MiB": drained["memory"],
        "an application's transaction, ms": transaction,
        "beside an idle relay": idle,
        f"commits of {THREADS} threads": together,
    }


def with_row(connection: Connection, number: int) -> None:
    """A small transaction of an application, with an event."""
    without_row(connection, number)
    outbox.submit(connection, event_of(number))


def without_row(connection: Connection, number: int) -> None:
    """The same without."""
    connection.execute(insert(ORDERS), {"customer": f"customer {number}", "note": "one of many"})
    connection.execute(update(STOCK).where(STOCK.c.id == 1).values(left=STOCK.c.left - 1))
    connection.execute(select(ORDERS.c.customer).order_by(ORDERS.c.id.desc()).limit(1)).all()


def with_insert(connection: Connection, number: int) -> None:
    """The same with one more INSERT of the application."""
    without_row(connection, number)
    connection.execute(insert(NOTES), {"key": str(number), "text": NOTE})


def with_order(connection: Connection, number: int) -> None:
    """A transaction that waits for no other one's locks."""
    connection.execute(insert(ORDERS), {"customer": f"customer {number}", "note": "one of many"})


def with_order_and_row(connection: Connection, number: int) -> None:
    """The same with an event."""
    with_order(connection, number)
    outbox.submit(connection, event_of(number))


def in_turns(engine: Engine, each: Mapping[str, Do]) -> dict[str, Any]:
    """Milliseconds of transactions, and how they compare with the last ones in the same turn.

    The processor time is that of the application and of the server's process for its connection: on a busy
    machine it says more than the time that passes.
    """
    with engine.connect() as connection:
        server = connection.scalar(select(func.pg_backend_pid())) or 0
    passed: dict[str, list[float]] = {name: [] for name in each}
    used: dict[str, list[float]] = {name: [] for name in each}
    for _ in range(TURNS + 1):
        for name, do in each.items():
            before = processor_seconds(server)
            passed[name].append(median(turn_of(engine, do)))
            used[name].append((processor_seconds(server) - before) / TRANSACTIONS)
    return {
        f"with {name}": {
            what: {
                "milliseconds": round(1000 * median(seconds[name][1:]), 2),
                "ratio, median of turns": round(ratio_of_turns(seconds, name), 3),
            }
            for what, seconds in (("time", passed), ("processor time", used))
        }
        for name in each
    }


def processor_seconds(server: int) -> float:
    """What this process and the one that serves it have used."""
    nanoseconds = Path(f"/proc/{server}/schedstat").read_text().split()[0]
    return time.process_time() + int(nanoseconds) / 1e9


def ratio_of_turns(turns: Mapping[str, list[float]], name: str) -> float:
    """How one compares with the last one; the first turn warms up."""
    *_, base = turns.values()
    return median(mine / other for mine, other in zip(turns[name][1:], base[1:], strict=True))


def at_once(engine: Engine, each: Mapping[str, Do]) -> dict[str, Any]:
    """Commits a second of an application's threads, and how they compare with the last ones of the turn."""

    def commit(do: Do) -> None:
        for number in range(OF_THREAD):
            with engine.begin() as connection:
                do(connection, number)

    rates: dict[str, list[float]] = {name: [] for name in each}
    with ThreadPoolExecutor(THREADS) as threads:
        for _ in range(TURNS + 1):
            for name, do in each.items():
                begun = time.perf_counter()
                list(threads.map(commit, [do] * THREADS))
                rates[name].append(THREADS * OF_THREAD / (time.perf_counter() - begun))
    return {
        f"with {name}": {
            "1/s": round(median(counted[1:])),
            "ratio, median of turns": round(ratio_of_turns(rates, name), 3),
        }
        for name, counted in rates.items()
    }


@contextmanager
def relay_that_waits(engine: Engine) -> Iterator[None]:
    """Each commit of a row notifies, as while a relay waits; a real one would soon have work instead."""
    with engine.connect() as connection:
        key = f"({LOCK}, '{OUTBOX.name}'::regclass::oid::int4)"
        connection.execute(text(f"SELECT pg_advisory_lock{key}"))
        yield
        connection.execute(text(f"SELECT pg_advisory_unlock{key}"))


def turn_of(engine: Engine, do: Do) -> list[float]:
    """Seconds of each transaction of a turn."""
    seconds = []
    for number in range(TRANSACTIONS):
        begun = time.perf_counter()
        with engine.begin() as connection:
            do(connection, number)
        seconds.append(time.perf_counter() - begun)
    return seconds


def application_beside(engine: Engine, url: URL, address: str) -> dict[str, Any]:
    """The application's transactions while an idle relay runs beside it, and while it is frozen, in turns."""
    ratios = []
    with relay(url, address) as process:
        fill(engine, 1)
        while rows_of(engine):
            time.sleep(0.1)  # it starts
        for turn in range(TURNS + 1):
            beside = median(turn_of(engine, without_row))
            process.send_signal(signal.SIGSTOP)
            alone = median(turn_of(engine, without_row))
            process.send_signal(signal.SIGCONT)
            if turn:  # the first warms up
                ratios.append(beside / alone)
    say(f"beside an idle relay: {' '.join(f'{ratio:.3f}' for ratio in sorted(ratios))}")
    return {"ratio, median of turns": round(median(ratios), 3)}


def fill(engine: Engine, rows: int) -> None:
    """Commits rows."""
    for begin in range(0, rows, FILLING):
        with engine.begin() as connection:
            for number in range(begin, min(begin + FILLING, rows)):
                outbox.submit(connection, event_of(number))


def clear(engine: Engine) -> None:
    """Empties the outbox."""
    with engine.begin() as connection:
        connection.execute(OUTBOX.delete())


def single_posts(address: str, rows: int) -> tuple[float, float]:
    """Tasks a second that callers submit one by one: one caller, and several."""
    number = min(SINGLE_POSTS, rows)

    def post(client: Client, numbers: range) -> None:
        for each in numbers:
            client.submit(event_of(each))

    rates = []
    for callers in (1, CALLERS):
        share = number // callers
        with Client(address) as client, ThreadPoolExecutor(callers) as threads:
            begun = time.perf_counter()
            shares = [range(place * share, (place + 1) * share) for place in range(callers)]
            list(threads.map(partial(post, client), shares))
            rates.append(share * callers / (time.perf_counter() - begun))
    say(f"single posts: {rates[0]:.0f}/s by one caller, {rates[1]:.0f}/s by {CALLERS}")
    return rates[0], rates[1]


@contextmanager
def relay(url: URL, address: str) -> Iterator[subprocess.Popen[bytes]]:
    """`waybill relay`, as a process of its own."""
    environment = os.environ | {
        "WAYBILL_URL": address,
        "WAYBILL_OUTBOX_DATABASE": url.render_as_string(hide_password=False),
    }
    command = [sys.executable, "-m", "waybill_cli", "relay"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:  # noqa: S603 - ours
        try:
            yield process
        finally:
            process.terminate()


def drain(engine: Engine, process: subprocess.Popen[bytes], rows: int) -> dict[str, Any]:
    """The rate of the relay between the first tenth of the rows and the last, and its memory at both."""
    marks: list[tuple[float, int, float]] = []
    for goal in (0.9, 0.5, 0.01):
        while (left := rows_of(engine)) > rows * goal:
            time.sleep(0.1)
        marks.append((time.perf_counter(), left, memory_of(process.pid)))
        say(f"{left} rows left, {marks[-1][2]:.0f} MiB")
    (begun, at_first, _), (ended, at_last, _) = marks[0], marks[-1]
    return {"rate": (at_first - at_last) / (ended - begun), "memory": [round(mark[2], 1) for mark in marks]}


def rows_of(engine: Engine) -> int:
    """Number of rows in the outbox."""
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(OUTBOX)) or 0


def memory_of(pid: int) -> float:
    """Resident memory of a process, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def say(text: str) -> None:
    """A line for who waits."""
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    main()
