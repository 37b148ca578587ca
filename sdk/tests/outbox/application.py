"""An application's database with an outbox, and a gateway."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from shop import METADATA, OUTBOX, record
from sqlalchemy import Engine, create_engine, make_url, select

from waybill import outbox
from waybill.outbox.relay.database import open_database, parse_database
from waybill.outbox.relay.leases import LeaseLimits, Leases
from waybill_testkit.empty_ledger import put_empty_ledger
from waybill_testkit.gateway.process import gateway


@dataclass(frozen=True)
class GatewayWithLedger:
    """A gateway that accepts tasks of built-in kinds, and the file of its ledger."""

    url: str
    ledger: Path

    def accepted(self) -> dict[str, str]:
        """The id of the task of each idempotency key."""
        with closing(sqlite3.connect(self.ledger)) as connection:
            return dict(connection.execute("SELECT key, reference FROM idempotency ORDER BY reference"))

    def tasks(self) -> list[str]:
        """The ids of all tasks, in the order of their acceptance."""
        with closing(sqlite3.connect(self.ledger)) as connection:
            return [id_ for (id_,) in connection.execute("SELECT id FROM tasks ORDER BY id")]


@pytest.fixture(scope="session")
def accepting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayWithLedger]:
    folder = tmp_path_factory.mktemp("gateway")
    with gateway(folder, put_empty_ledger(folder / "ledger.db")) as running:
        yield GatewayWithLedger(running.address, folder / "ledger.db")


@pytest.fixture
def leasing(application: Engine, database_url: str) -> Iterator[Callable[..., Leases]]:
    """Makes relays' ways to the rows, with fields of `LeaseLimits`."""
    assert application.url.database, "its tables exist"
    engines: list[Engine] = []

    def made(**limits: Any) -> Leases:
        engines.append(open_database(parse_database(database_url)))
        return Leases(engines[-1], LeaseLimits(**limits))

    yield made
    for engine in engines:
        engine.dispose()


def states(engine: Engine) -> dict[str, str]:
    """The state of each row, by its id."""
    with engine.connect() as connection:
        return dict(connection.execute(select(OUTBOX.c.id, OUTBOX.c.state)).all())


def submitted(engine: Engine, *order_keys: str | None) -> list[str]:
    """The ids of new rows, one for each order key."""
    with engine.begin() as connection:
        return [outbox.submit(connection, record(n), order_key=key) for n, key in enumerate(order_keys)]


@pytest.fixture
def application(database_url: str) -> Iterator[Engine]:
    """The database of an application, with its tables."""
    url = make_url(database_url)
    engine = create_engine(url.set(drivername="postgresql+psycopg") if "postgres" in database_url else url)
    METADATA.create_all(engine)
    yield engine
    engine.dispose()
