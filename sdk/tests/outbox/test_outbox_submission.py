"""Writing events into the outbox, in the application's own transaction."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from shop import METADATA, ORDERS, OUTBOX, Ordered
from sqlalchemy import Engine, create_engine, insert, make_url, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from waybill import outbox
from waybill.outbox.rows import LOCK
from waybill_testkit.postgres import Postgres

ORDERED = Ordered(order_id="7", email="ann@example.com")


def rows(engine: Engine) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return [row._asdict() for row in connection.execute(select(OUTBOX).order_by(OUTBOX.c.position))]


def test_a_row_is_written_with_the_transaction_of_a_session(application: Engine) -> None:
    with Session(application) as session, session.begin():
        session.execute(insert(ORDERS), {"id": "7"})
        id_ = outbox.submit(session, ORDERED)
    [row] = rows(application)
    assert (row["id"], row["kind"], row["version"], row["state"]) == (id_, "order.placed", 1, "waiting")
    assert json.loads(row["data"]) == {"order_id": "7", "email": "ann@example.com"}
    assert UUID(id_).version == 7
    assert (row["available_at"], row["attempts"], row["tried_at"]) == (0, 0, None)


def test_a_row_is_rolled_back_with_the_transaction(application: Engine) -> None:
    with Session(application) as session:
        session.execute(insert(ORDERS), {"id": "7"})
        outbox.submit(session, ORDERED)
        session.rollback()
    with application.connect() as connection:
        outbox.submit(connection, ORDERED)
    assert rows(application) == []


def test_connections_and_scoped_sessions_are_taken_too(application: Engine) -> None:
    registry = scoped_session(sessionmaker(application))
    outbox.submit(registry, ORDERED)
    registry.commit()
    registry.remove()
    with application.begin() as connection:
        outbox.submit(connection, ORDERED)
    assert len(rows(application)) == 2


async def test_async_sessions_and_connections_of_psycopg_and_sqlalchemy(postgres: Postgres) -> None:
    with postgres.database() as url:
        engine = create_async_engine(make_url(url).set(drivername="postgresql+psycopg"))
        async with engine.begin() as connection:
            await connection.run_sync(METADATA.create_all)
            await outbox.submit(connection, ORDERED, key="a")
        async with AsyncSession(engine) as session:
            await outbox.submit(session, ORDERED, key="b")
            await session.commit()
            await outbox.submit(session, ORDERED, key="rolled-back")
        await engine.dispose()
        async with await psycopg.AsyncConnection.connect(url) as raw:
            await outbox.submit(raw, ORDERED, key="c")
        with psycopg.connect(url) as plain:
            outbox.submit(plain, ORDERED, key="d")
        with psycopg.connect(url) as plain:
            keys = plain.execute("SELECT idempotency_key FROM waybill_outbox ORDER BY position").fetchall()
            plain.rollback()
    assert [key for (key,) in keys] == ["a", "b", "c", "d"]


async def test_several_events_are_written_together(application: Engine, postgres: Postgres) -> None:
    with Session(application) as session, session.begin():
        ids = outbox.submit_many(session, [ORDERED] * 3, order_key="ann")
        assert outbox.submit_many(session, []) == []
        # A fault of one is found before any is written.
        with pytest.raises(outbox.OutboxError, match="/note"):
            outbox.submit_many(session, [ORDERED, ORDERED.model_copy(update={"note": "too long"})])
    assert [(row["id"], row["order_key"]) for row in rows(application)] == [(id_, "ann") for id_ in ids]
    with postgres.database() as url, psycopg.connect(url) as plain:
        plain.execute(outbox.schema_sql("postgresql").encode())
        plain.commit()
        assert outbox.submit_many(plain, []) == []
        ids = outbox.submit_many(plain, [ORDERED] * 2)
        plain.commit()
        async with await psycopg.AsyncConnection.connect(url) as raw:
            assert await outbox.submit_many(raw, []) == []
            ids += await outbox.submit_many(raw, [ORDERED] * 2)
        with plain.pipeline():
            ids.append(outbox.submit(plain, ORDERED))
            plain.commit()
        written = plain.execute("SELECT id FROM waybill_outbox ORDER BY position").fetchall()
        assert [id_ for (id_,) in written] == ids


def hold_lock(relay: psycopg.Connection[Any]) -> None:
    """Has transactions notify, as a relay does that waits."""
    oid = "'waybill_outbox'::regclass::oid::int4"
    relay.execute(f"SELECT pg_advisory_lock({LOCK}, {oid})".encode())


def test_postgresql_notifies_a_relay_that_waits_at_the_commit_and_not_before(postgres: Postgres) -> None:
    with (
        postgres.database() as url,
        psycopg.connect(url, autocommit=True) as relay,
        psycopg.connect(url) as writing,
    ):
        writing.execute(outbox.schema_sql("postgresql").encode())
        writing.commit()
        relay.execute("LISTEN waybill_outbox")
        outbox.submit(writing, ORDERED)
        writing.commit()
        assert list(relay.notifies(timeout=0.2)) == [], "it does not wait, and looks by itself"
        hold_lock(relay)
        outbox.submit(writing, ORDERED)
        assert list(relay.notifies(timeout=0)) == []
        writing.commit()
        assert len(list(relay.notifies(timeout=10, stop_after=1))) == 1


def test_a_transaction_in_two_phases_notifies_nobody_so_that_it_can_be_prepared(postgres: Postgres) -> None:
    with (
        postgres.database() as url,
        psycopg.connect(url, autocommit=True) as relay,
    ):
        engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
        METADATA.create_all(engine)
        relay.execute("LISTEN waybill_outbox")
        hold_lock(relay)
        with engine.connect() as connection, connection.begin_twophase():
            outbox.submit(connection, ORDERED)
        assert len(rows(engine)) == 1
        assert list(relay.notifies(timeout=0.2)) == []
        engine.dispose()


def test_all_options_are_columns(application: Engine) -> None:
    before = datetime.now(UTC)
    at = before + timedelta(days=365)
    with application.begin() as connection:
        outbox.submit(connection, ORDERED, key="k", priority="low", order_key="ann", send_at=at)
        outbox.submit(connection, ORDERED, delay_seconds=60, priority="normal")
        outbox.submit(connection, ORDERED, delay_seconds=timedelta(0))
    first, second, third = rows(application)
    assert [first[name] for name in ("idempotency_key", "priority", "order_key")] == ["k", "low", "ann"]
    assert datetime.fromisoformat(first["send_at"]) == at
    # The delay counts from the submission, however late a relay comes.
    due = datetime.fromisoformat(second["send_at"])
    assert before <= due - timedelta(seconds=60) <= datetime.now(UTC)
    assert (second["priority"], third["send_at"]) == (None, None)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"key": ""}, "key is 1 to 255"),
        ({"key": "with space"}, "key is 1 to 255"),
        ({"order_key": ""}, "order_key is 1 to 255"),
        ({"order_key": "a\0b"}, "order_key is 1 to 255"),
        ({"priority": "urgent"}, "priority is one of"),
        ({"delay_seconds": -1}, "delay_seconds is 0 to"),
        ({"delay_seconds": 1, "send_at": datetime(2099, 1, 1, tzinfo=UTC)}, "not both"),
        ({"send_at": datetime(2099, 1, 1)}, "no time zone"),  # noqa: DTZ001 - what is refused
        ({"send_at": datetime(2150, 1, 1, tzinfo=UTC)}, "ten years"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(
    application: Engine, options: dict[str, Any], says: str
) -> None:
    with application.begin() as connection, pytest.raises(outbox.OutboxError, match=says):
        outbox.submit(connection, ORDERED, **options)
    assert rows(application) == []


def test_data_is_checked_by_the_contract_and_no_value_is_shown(application: Engine) -> None:
    wrong = ORDERED.model_copy(update={"note": "s3cret"})
    with application.begin() as connection:
        with pytest.raises(outbox.OutboxError, match="/note") as error:
            outbox.submit(connection, wrong)
        with pytest.raises(outbox.OutboxError, match="limit is 1000000"):
            outbox.submit(connection, Ordered(order_id="x" * 1_000_000))
        with pytest.raises(outbox.OutboxError, match="cannot be JSON"):
            outbox.submit(connection, Ordered.model_construct(order_id="\ud800"))
    assert "s3cret" not in str(error.value)
    assert rows(application) == []


def test_a_database_that_no_relay_takes_rows_from_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = create_engine("sqlite://")
    METADATA.create_all(engine)
    with engine.connect() as connection:
        for name in ("mysql", "mariadb"):
            monkeypatch.setattr(engine.dialect, "name", name)
            with pytest.raises(outbox.OutboxError, match=f"for postgresql and sqlite, not {name}"):
                outbox.submit(connection, ORDERED)
            django = type("ConnectionProxy", (), {"vendor": name, "__module__": "django.utils.connection"})
            with pytest.raises(outbox.OutboxError, match=f"not {name}"):
                outbox.submit(django(), ORDERED)
        monkeypatch.undo()
        assert connection.scalar(select(OUTBOX.c.id)) is None
    op = Operations(MigrationContext.configure(dialect_name="mysql", opts={"as_sql": True}))
    with pytest.raises(outbox.OutboxError, match="not mysql"):
        outbox.create_table(op)
    engine.dispose()


def test_what_has_no_transaction_is_refused(application: Engine) -> None:
    with pytest.raises(TypeError, match="Engine has no transaction"):
        outbox.submit(application, ORDERED)  # type: ignore[call-overload]
