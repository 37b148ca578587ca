"""Committed means accepted, once; rolled back means never: whichever process is killed, wherever it is."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, func, select, text

from tests.crash.outbox import application, relaying
from tests.crash.outbox.application import METADATA, ORDERS
from waybill.outbox.schema import TABLE
from waybill_database import open_engine
from waybill_ledger.schema.tables import IDEMPOTENCY, TASKS
from waybill_testkit.gateway.process import gateway
from waybill_testkit.machine import free_ports
from waybill_testkit.machine.forked import ForkedProcess

NUMBER = 60
#: Of the transactions of one application: all but each third one, and the last.
COMMITTED = 41
SECONDS = 120.0


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.02)


@dataclass
class Place:
    """The databases, and the processes that were started."""

    folder: Path
    database_url: str
    ledger_url: str
    port: int
    stack: ExitStack
    application: Engine
    ledger: Engine
    started: list[ForkedProcess] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def gateway(self) -> ExitStack:
        """Starts a gateway; returns what ends it."""
        stack = ExitStack()
        self.stack.push(stack)
        running = stack.enter_context(gateway(self.folder, self.ledger_url, self.port))
        self.gateway_pid = running.pid
        return stack

    def run(self, module: str, *arguments: str, point: str = "-") -> tuple[ForkedProcess, Path]:
        """Starts a process; returns it, and the file that it makes at its point."""
        reached = self.folder / f"reached-{len(self.started)}"
        log = self.folder / f"process-{len(self.started)}.log"
        process = ForkedProcess(module, *arguments, point, reached, log=log)
        self.started.append(process)
        return process, reached

    def applying(self, point: str = "-") -> tuple[ForkedProcess, Path]:
        return self.run("tests.crash.outbox.application", self.database_url, str(NUMBER), point=point)

    def relaying(self, point: str = "-") -> tuple[ForkedProcess, Path]:
        return self.run("tests.crash.outbox.relaying", self.database_url, self.url, point=point)

    def commit_all(self) -> None:
        process, _ = self.applying()
        assert process.wait(SECONDS) == 0

    def kill_at(self, process: ForkedProcess, reached: Path) -> None:
        until(reached.exists, "the point")
        process.kill()
        assert process.wait(SECONDS) == -signal.SIGKILL

    def rows(self) -> int:
        with self.application.connect() as connection:
            return connection.scalar(select(func.count()).select_from(TABLE)) or 0

    def accepted(self) -> int:
        with self.ledger.connect() as connection:
            return connection.scalar(select(func.count()).select_from(TASKS)) or 0

    def is_accounted_for(self, *, committed: int) -> None:
        """Has a relay finish, and compares the orders with the ledger."""
        relay, _ = self.relaying()
        until(lambda: self.rows() == 0, "all rows accepted")
        relay.kill()
        with self.application.connect() as connection:
            orders = list(connection.scalars(select(ORDERS.c.id)))
        with self.ledger.connect() as connection:
            keys = dict(connection.execute(select(IDEMPOTENCY.c.key, IDEMPOTENCY.c.reference)).all())
            tasks = list(connection.scalars(select(TASKS.c.id)))
        assert len(orders) == committed
        assert keys.keys() == set(orders), "committed is accepted, rolled back is not"
        assert sorted(keys.values()) == sorted(tasks), "each once"


@pytest.fixture
def place(database_url: str, ledger_url: str, tmp_path: Path) -> Iterator[Place]:
    if database_url.startswith("sqlite"):
        database_url = f"sqlite:///{tmp_path}/shop.db"
    app_url = database_url.replace("postgresql://", "postgresql+psycopg://")
    engine, ledger = create_engine(app_url), open_engine(ledger_url, connections=2)
    METADATA.create_all(engine)
    (port,) = free_ports(1)
    with ExitStack() as stack:
        made = Place(tmp_path, app_url, ledger_url, port, stack, engine, ledger)
        yield made
        for process in made.started:
            process.kill()
            process.wait(SECONDS)
    engine.dispose()
    ledger.dispose()


@pytest.mark.parametrize(
    ("point", "committed"),
    [(application.BEFORE_COMMIT, COMMITTED - 1), (application.COMMITTED, COMMITTED)],
)
def test_an_application_that_is_killed_around_its_commit(place: Place, point: str, committed: int) -> None:
    place.gateway()
    place.kill_at(*place.applying(point))
    assert place.accepted() == 0, "no relay yet"
    place.is_accounted_for(committed=committed)


def test_a_relay_that_is_killed_before_its_post(place: Place) -> None:
    place.gateway()
    place.commit_all()
    place.kill_at(*place.relaying(relaying.LEASED))
    assert (place.accepted(), place.rows()) == (0, COMMITTED)
    place.is_accounted_for(committed=COMMITTED)


def test_a_relay_that_is_killed_amid_its_post(place: Place) -> None:
    place.gateway()
    place.commit_all()
    os.kill(place.gateway_pid, signal.SIGSTOP)
    process, reached = place.relaying(relaying.POSTING)
    until(reached.exists, "the whole post is sent")
    process.kill()
    os.kill(place.gateway_pid, signal.SIGCONT)
    assert process.wait(SECONDS) == -signal.SIGKILL
    assert place.rows() == COMMITTED
    place.is_accounted_for(committed=COMMITTED)


def test_a_relay_that_is_killed_after_the_202_and_before_the_deletion(place: Place) -> None:
    place.gateway()
    place.commit_all()
    place.kill_at(*place.relaying(relaying.ACCEPTED))
    assert (place.accepted(), place.rows()) == (COMMITTED, COMMITTED)
    place.is_accounted_for(committed=COMMITTED)


def test_a_gateway_that_is_away_for_a_while(place: Place) -> None:
    relay, tried = place.relaying(relaying.TRIED)
    place.commit_all()
    running = place.gateway()
    until(lambda: place.accepted() == COMMITTED and not place.rows(), "all accepted")
    running.close()
    before = relaying.tries(tried)
    place.commit_all()
    until(lambda: relaying.tries(tried) >= before + 3, "several tries of the relay")
    assert (place.accepted(), place.rows()) == (COMMITTED, COMMITTED)
    place.gateway()
    until(lambda: place.accepted() == 2 * COMMITTED, "the same relay goes on")
    relay.terminate()
    assert relay.wait(SECONDS) == 0
    place.is_accounted_for(committed=2 * COMMITTED)


def test_several_relays_of_which_one_is_killed_while_applications_commit(place: Place) -> None:
    place.gateway()
    relays = [place.relaying()[0] for _ in range(3)]
    applications = [place.applying()[0] for _ in range(3)]
    until(lambda: place.accepted() > COMMITTED, "some are accepted")
    relays[0].kill()
    assert [process.wait(SECONDS) for process in applications] == [0, 0, 0]
    until(lambda: place.rows() == 0, "the others take over")
    for relay in relays[1:]:
        relay.terminate()
        # On a busy machine one may be about to begin, and does not handle signals yet.
        assert relay.wait(SECONDS) in {0, -signal.SIGTERM}
    place.is_accounted_for(committed=3 * COMMITTED)


def test_the_count_sees_a_task_that_is_lost_and_one_that_is_doubled(place: Place) -> None:
    place.gateway()
    place.commit_all()
    with place.application.begin() as connection:
        connection.execute(text("DELETE FROM waybill_outbox WHERE position = 1"))
    with pytest.raises(AssertionError, match="committed is accepted"):
        place.is_accounted_for(committed=COMMITTED)
