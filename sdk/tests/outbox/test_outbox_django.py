"""The outbox of a Django application: its migration, and rows in its transactions."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from application import GatewayWithLedger, states
from shop import METADATA
from sqlalchemy import create_engine, inspect, make_url, text
from sqlalchemy.engine import URL

from waybill import outbox

SITE = Path(__file__).with_name("outbox_site.py")


def site(url: URL, *commands: str) -> Any:
    """What the Django application prints, as JSON."""
    done = subprocess.run(
        [sys.executable, SITE, url.render_as_string(hide_password=False), *commands],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def described(url: URL) -> dict[str, Any]:
    """What a database has of the table."""
    engine = create_engine(url)
    found = inspect(engine)
    columns = {
        each["name"]: (str(each["type"]), each["nullable"]) for each in found.get_columns("waybill_outbox")
    }
    indexes = sorted((each["name"], each["column_names"]) for each in found.get_indexes("waybill_outbox"))
    key = found.get_pk_constraint("waybill_outbox")["constrained_columns"]
    engine.dispose()
    return {"columns": columns, "indexes": indexes, "key": key}


@pytest.fixture
def url(database_url: str) -> URL:
    made = make_url(database_url)
    return made.set(drivername="postgresql+psycopg") if "postgres" in database_url else made


def test_the_migration_makes_the_table_that_sqlalchemy_makes(url: URL) -> None:
    assert site(url, "migrate") == "done"
    of_django = described(url)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE waybill_outbox"))
    METADATA.create_all(engine)
    engine.dispose()
    of_sqlalchemy = described(url)
    assert of_django["indexes"] == of_sqlalchemy["indexes"]
    assert of_django["key"] == of_sqlalchemy["key"]
    assert {name: null for name, (_, null) in of_django["columns"].items()} == {
        name: null for name, (_, null) in of_sqlalchemy["columns"].items()
    }
    if url.get_backend_name() == "postgresql":
        assert of_django["columns"] == of_sqlalchemy["columns"]


def test_the_migration_is_that_of_the_model(url: URL) -> None:
    assert site(url, "check") == "done"


def test_rows_belong_to_the_transactions_of_django_and_are_relayed(
    url: URL, accepting: GatewayWithLedger, database_url: str
) -> None:
    site(url, "migrate")
    committed = site(url, "submit")
    engine = create_engine(url)
    assert states(engine) == dict.fromkeys(committed, "waiting")
    with outbox.run(database_url, gateway=accepting.url):
        deadline = time.monotonic() + 60
        while states(engine) and time.monotonic() < deadline:
            time.sleep(0.02)
    assert states(engine) == {}
    engine.dispose()
    assert accepting.accepted().keys() >= set(committed)
