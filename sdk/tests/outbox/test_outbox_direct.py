"""Tasks that are accepted in an application's own transaction, in the ledger's PostgreSQL."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Annotated

import pytest
from docstring_examples import documented, example_in, executed
from pydantic import Field
from shop import Ordered
from sqlalchemy import Engine, create_engine, insert, make_url, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from waybill import Event, FileRef, Sensitive
from waybill.outbox import OutboxError
from waybill.outbox.direct import Direct, grants_sql
from waybill_contracts.privacy import Keyring, is_sealed
from waybill_contracts.registry import HandledKind, Manifest
from waybill_ledger import Sweep, take_due
from waybill_ledger.migrations import upgrade
from waybill_ledger.registry import ApplyManifest, apply_manifests, confirm_declared
from waybill_ledger.schema import FILES
from waybill_testkit.postgres import Postgres

KEY = Keyring.new_key()
FILE = f"files/default/9f/9f{'0' * 62}"


class Scanned(Event, kind="page.scanned", about="page {page}"):
    page: str = Field(max_length=8)
    author: Annotated[str, Sensitive] = ""
    scan: FileRef | None = None


@dataclass(frozen=True)
class Shop:
    """An application that has its tables in `public`, and the ledger in the schema `waybill` beside it."""

    engine: Engine
    #: Of the owner of the ledger, whose names of tables mean the ledger's.
    ledger: Engine
    user: str

    def tasks(self) -> list[str]:
        with self.ledger.connect() as connection:
            return list(connection.scalars(text("SELECT id FROM tasks ORDER BY id")))

    def orders(self) -> int:
        with self.engine.connect() as connection:
            return connection.scalar(text("SELECT count(*) FROM tasks_of_shop")) or 0


def register(ledger: Engine, release: str = "1") -> None:
    handled = HandledKind(kind="page.scanned", version=1, reads=(1,), data=Scanned.model_json_schema())
    now = datetime.now(UTC)
    with ledger.begin() as connection:
        stated = Manifest(service="pages", release=release, handles=(handled,))
        [application] = apply_manifests(connection, [ApplyManifest(stated, now, "ann")])
        assert application.refusals == ()
        confirm_declared(connection, [(application.registry, now)])


@pytest.fixture(scope="module")
def shop(postgres: Postgres) -> Iterator[Shop]:
    user = f"shop_{token_hex(4)}"
    with postgres.database() as url:
        owner = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
        with owner.begin() as connection:
            connection.execute(text("CREATE SCHEMA waybill"))
            connection.execute(text("CREATE TABLE public.tasks_of_shop (id text PRIMARY KEY)"))
            # It has the name of a table of the ledger.
            connection.execute(text("CREATE TABLE public.tasks (id text PRIMARY KEY)"))
            connection.execute(text(f"CREATE ROLE {user} LOGIN PASSWORD 'secret'"))
            connection.execute(text(f"GRANT ALL ON public.tasks_of_shop, public.tasks TO {user}"))
        ledger_url = f"{url}?options=-csearch_path%3Dwaybill"
        upgrade(ledger_url)
        ledger = create_engine(make_url(ledger_url).set(drivername="postgresql+psycopg"))
        register(ledger)
        with ledger.begin() as connection:
            connection.execute(text(grants_sql("waybill", user)))
            now = datetime.now(UTC)
            connection.execute(insert(FILES), {"key": FILE, "tasks": 0, "touched_at": now, "stored_at": now})
        engine = create_engine(
            make_url(url).set(drivername="postgresql+psycopg", username=user, password="secret")
        )
        yield Shop(engine, ledger, user)
        for each in (engine, ledger):
            each.dispose()
        with owner.begin() as connection:
            connection.execute(text(f"DROP OWNED BY {user}"))
            connection.execute(text(f"DROP ROLE {user}"))
        owner.dispose()


@pytest.fixture(scope="module")
def direct() -> Direct:
    return Direct(schema="waybill", sealing_keys=KEY, persons_key="p" * 20)


def test_a_task_is_accepted_with_the_transaction_and_the_sweep_takes_it(shop: Shop, direct: Direct) -> None:
    with Session(shop.engine) as session, session.begin():
        session.execute(text("INSERT INTO tasks_of_shop VALUES ('committed')"))
        task = direct.submit(session, Scanned(page="7", author="Ann"))
        session.execute(text("INSERT INTO tasks VALUES ('of the shop again')"))
        later = direct.submit(session, Scanned(page="8"), delay_seconds=60, priority="low")
    with shop.ledger.begin() as connection:
        row = connection.execute(text("SELECT * FROM tasks WHERE id = :id"), {"id": task}).one()
        now = datetime.now(UTC) + timedelta(seconds=1)
        [taken] = take_due(connection, [Sweep(now, now + timedelta(seconds=60), 100)])
    assert (row.kind, row.about, row.state) == ("page.scanned", "page 7", "pending")
    payload = json.loads(row.payload)
    assert is_sealed(payload["author"])
    assert Keyring.of(KEY).open_fields(payload, task)["author"] == "Ann"
    assert task in {message.envelope.task_id for message in taken}
    assert later not in {message.envelope.task_id for message in taken}


def test_a_task_is_rolled_back_with_the_transaction(shop: Shop, direct: Direct) -> None:
    before = shop.tasks()
    with Session(shop.engine) as session:
        session.execute(text("INSERT INTO tasks_of_shop VALUES ('rolled back')"))
        direct.submit(session, Scanned(page="7"))
        session.rollback()
    assert shop.tasks() == before


def test_the_names_of_the_application_mean_its_own_tables_again(shop: Shop, direct: Direct) -> None:
    with shop.engine.begin() as connection:
        direct.submit(connection, Scanned(page="1"))
        for wrong in (Scanned.model_construct(page="123456789"), Ordered(order_id="7")):
            with pytest.raises(OutboxError):
                direct.submit(connection, wrong)
        gone = FileRef(key=FILE.replace("9f", "8e"))
        with pytest.raises(OutboxError, match="no such files"):
            direct.submit(connection, Scanned(page="1", scan=gone))
        path = connection.scalar(text("SELECT current_setting('search_path')"))
        connection.execute(text("SELECT id FROM tasks"))
    assert path == '"$user", public'


def test_a_release_that_is_registered_later_is_seen(shop: Shop, direct: Direct) -> None:
    with shop.engine.begin() as connection:
        direct.submit(connection, Scanned(page="1"))
    register(shop.ledger, release="2")
    with shop.engine.begin() as connection:
        direct.submit(connection, Scanned(page="2"))
    assert direct._registry.services["pages"].manifest.release == "2"  # noqa: SLF001 - nothing shows it


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT payload FROM waybill.tasks",
        "UPDATE waybill.tasks SET state = 'completed'",
        "DELETE FROM waybill.tasks",
        "SELECT routing_key FROM waybill.outbox",
        "UPDATE waybill.outbox SET held = true",
        "DELETE FROM waybill.outbox",
        "SELECT result FROM waybill.subtasks",
        "SELECT fingerprint FROM waybill.idempotency",
        "UPDATE waybill.registry SET revision = 7",
        "INSERT INTO waybill.kinds VALUES ('a.b', 'c')",
        "DELETE FROM waybill.originals",
        "SELECT * FROM waybill.api_keys",
        "CREATE TABLE waybill.mine (id text)",
    ],
)
def test_the_user_of_the_application_may_do_no_more(shop: Shop, statement: str) -> None:
    with shop.engine.connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
        connection.execute(text(statement))


def test_each_of_the_rights_is_needed(shop: Shop) -> None:
    grants = [line for line in grants_sql("waybill", shop.user).splitlines() if line.startswith("GRANT")]
    assert len(grants) == 8
    for grant in grants:
        with shop.ledger.begin() as connection:
            connection.execute(text(grant.replace("GRANT", "REVOKE").replace(" TO ", " FROM ")))
        fresh = Direct(schema="waybill", sealing_keys=KEY, persons_key="p" * 20)
        with shop.engine.connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
            fresh.submit(connection, Scanned(page="1", scan=FileRef(key=FILE)))
        with shop.ledger.begin() as connection:
            connection.execute(text(grant))
    with shop.engine.begin() as connection:
        fresh = Direct(schema="waybill", sealing_keys=KEY, persons_key="p" * 20)
        fresh.submit(connection, Scanned(page="1", scan=FileRef(key=FILE)))


def test_what_has_no_transaction_in_postgresql_is_refused(shop: Shop, direct: Direct) -> None:
    with create_engine("sqlite://").connect() as connection, pytest.raises(TypeError, match="psycopg"):
        direct.submit(connection, Scanned(page="1"))
    with shop.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        before = shop.tasks()
        with pytest.raises(TypeError, match="commits each statement"):
            direct.submit(connection, Scanned(page="1"))
    assert shop.tasks() == before


def test_keys_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAYBILL_SEALING_KEYS")
    with pytest.raises(ValueError, match="WAYBILL_SEALING_KEYS"):
        Direct(schema="waybill")
    with pytest.raises(ValueError, match="no name of a schema"):
        Direct(schema='a"b', sealing_keys=KEY, persons_key="p" * 20)


@pytest.mark.parametrize("name", [each for each in documented() if each.startswith("waybill.outbox.direct")])
async def test_an_example_works(
    name: str, shop: Shop, direct: Direct, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAYBILL_SEALING_KEYS", KEY)
    monkeypatch.setenv("WAYBILL_PERSONS_KEY", "p" * 20)

    class Base(DeclarativeBase):
        """Of the tables of the shop."""

    class Order(Base):
        __tablename__ = "tasks_of_shop"
        id: Mapped[str] = mapped_column(primary_key=True)
        task_id = ""

    before, number = len(shop.tasks()), shop.orders()
    given = {
        "Direct": Direct,
        "InvoiceRequested": lambda order_id: Scanned(page=order_id),
        "Order": lambda **_: Order(id=f"order of {name}"),
        "Session": Session,
        "direct": direct,
        "engine": shop.engine,
        "grants_sql": grants_sql,
        "order": Order(id=f"order of {name}"),
    }
    await executed(example_in(documented()[name]) or "", name, given)
    accepted = 0 if name.endswith("grants_sql") else 1
    assert (len(shop.tasks()), shop.orders()) == (before + accepted, number + accepted)
