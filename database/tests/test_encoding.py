from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from waybill_database import Fault, fault_of, open_engine
from waybill_database.waiting import reason_of, until_reachable
from waybill_ledger.migrations.migrate import upgrade
from waybill_testkit.postgres.private import Postgres


@pytest.fixture
def ascii_url(postgres: Postgres) -> Iterator[str]:
    """The URL of a database in SQL_ASCII."""
    name = "in_ascii"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'".encode()
        )
        yield postgres.url.removesuffix("postgres") + name
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.mark.parametrize("answer_seconds", [None, 5.0])
def test_a_database_that_is_not_utf8_is_refused_with_what_to_do(
    ascii_url: str, answer_seconds: float | None
) -> None:
    engine = open_engine(ascii_url, connections=1, answer_seconds=answer_seconds)
    with pytest.raises(OperationalError) as refused:
        engine.connect()
    assert fault_of(refused.value) is Fault.REFUSED
    assert reason_of(refused.value) == (
        'the database "in_ascii" has the unsupported encoding SQL_ASCII: '
        "create it with TEMPLATE template0 ENCODING 'UTF8'"
    )
    engine.dispose()


def test_the_server_of_such_a_database_is_reached(ascii_url: str) -> None:
    # As the database of a superuser often is, by which the command of deploy makes others in UTF-8.
    lines: list[str] = []
    until_reachable(ascii_url, lines.append)
    assert lines == []


def test_the_upgrade_of_a_ledger_ends_at_such_a_database(ascii_url: str) -> None:
    with pytest.raises(OperationalError, match="SQL_ASCII"):
        upgrade(ascii_url)


def test_a_database_in_utf8_is_used(postgres: Postgres) -> None:
    with postgres.database() as url:
        engine = open_engine(url, connections=1)
        engine.connect().close()
        engine.dispose()
