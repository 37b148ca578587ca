from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    event,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.types import JSON

from waybill_database import (
    DriverStatement,
    Fault,
    Instant,
    among,
    fault_of,
    open_engine,
    sent_together,
)

METADATA = MetaData()
THINGS = Table(
    "things",
    METADATA,
    Column("id", String(4), primary_key=True),
    Column("number", Integer),
    Column("at", Instant),
    Column("is_good", Boolean),
    Column("body", LargeBinary),
    Column("details", JSON(none_as_null=True)),
)
NAMES = [column.name for column in THINGS.c]
INSERT = DriverStatement(insert(THINGS).inline())
NUMBERED = DriverStatement(insert(THINGS).returning(THINGS.c.id, THINGS.c.number))
AMONG = DriverStatement(
    lambda dialect: select(THINGS).where(among(dialect, THINGS.c.id, "ids")).order_by(THINGS.c.id)
)
WHOLE = DriverStatement(insert(THINGS).returning(THINGS.c.id, THINGS.c.number), whole=True)
CHANGE = DriverStatement(
    update(THINGS)
    .where(THINGS.c.id == bindparam("b_id"), THINGS.c.number == 7)
    .values(details=bindparam("b_details"), number=8, at=bindparam("b_at"))
    .returning(THINGS.c.id),
    whole=True,
    key=(THINGS.c.id, "b_id"),
)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@contextmanager
def statements(connection: Connection) -> Iterator[list[tuple[str, Any]]]:
    """What is executed in the block, and with which values."""
    executed: list[tuple[str, Any]] = []

    def listen(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        executed.append((statement, parameters))

    event.listen(connection.engine, "before_cursor_execute", listen)
    yield executed
    event.remove(connection.engine, "before_cursor_execute", listen)


def thing(**values: Any) -> dict[str, Any]:
    return dict.fromkeys(NAMES) | values


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url, connections=1)
    METADATA.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.begin() as connection:
        yield connection


def test_each_value_comes_back_with_its_type(connection: Connection) -> None:
    whole = {"at": NOON, "is_good": True, "body": b"\x00", "details": {"a": [1, None]}, "number": 7}
    INSERT.write(connection, [thing(id="a", **whole), thing(id="b"), thing(id="c", details=[1])])

    first, second, third = AMONG.rows(connection, {"ids": ["a", "b", "c"]})

    assert first._asdict() == {"id": "a", **whole}
    assert first.is_good is True
    assert second._asdict() == thing(id="b")
    assert third.details == [1]


@pytest.mark.parametrize("number", [0, 1, 3])
def test_all_rows_of_all_executions_are_returned_in_order(connection: Connection, number: int) -> None:
    rows = NUMBERED.rows(connection, *({"id": f"n{n}", "number": n} for n in range(number)))

    assert [(row.id, row.number) for row in rows] == [(f"n{n}", n) for n in range(number)]


@pytest.mark.parametrize("number", [1, 3])
def test_rows_in_one_value_are_written_as_one_by_one(
    connection: Connection, database_system: str, number: int
) -> None:
    filled = {
        "at": NOON,
        "is_good": True,
        "body": b"\x00\xff\\",
        "details": {"a": [1, None, '"\\\n'], "é": "\x1f"},
        "number": 7,
    }
    rows = [thing(id="a", **filled), thing(id="b"), thing(id="c", details=[], number=-1)][:number]
    one_by_one = [thing(id=f"x{row['id']}") | {k: v for k, v in row.items() if k != "id"} for row in rows]
    NUMBERED.rows(connection, *one_by_one)

    with statements(connection) as executed:
        returned = WHOLE.rows(connection, *rows)

    assert [(row.id, row.number) for row in returned] == [(row["id"], row["number"]) for row in rows]
    found = AMONG.rows(connection, {"ids": [row["id"] for row in rows]})
    compared = AMONG.rows(connection, {"ids": [row["id"] for row in one_by_one]})
    assert [row[1:] for row in found] == [row[1:] for row in compared]
    assert ("json_to_recordset" in executed[0][0]) is (database_system == "postgresql" and number > 1)


def test_each_row_of_a_whole_update_changes_its_own_and_only_if_the_condition_holds(
    connection: Connection,
) -> None:
    INSERT.write(connection, [thing(id=name, number=7 if name != "c" else 6) for name in "abc"])

    changed = CHANGE.rows(
        connection,
        {"b_id": "a", "b_details": {"is": "a"}, "b_at": NOON},
        {"b_id": "b", "b_details": None, "b_at": None},
        {"b_id": "c", "b_details": {}, "b_at": NOON},
        # The beginning of this one is the whole id of none, and of a longer one it must not become it.
        {"b_id": "abcdefg", "b_details": {}, "b_at": NOON},
    )

    assert sorted(row.id for row in changed) == ["a", "b"]
    rows = AMONG.rows(connection, {"ids": ["a", "b", "c"]})
    assert [(row.id, row.number, row.details, row.at) for row in rows] == [
        ("a", 8, {"is": "a"}, NOON),
        ("b", 8, None, None),
        ("c", 6, None, None),
    ]


def test_whole_rows_may_hold_the_nul_of_json(connection: Connection) -> None:
    with_nul = {"text": "a\0b"}
    WHOLE.write(connection, [thing(id="a", number=7, details=with_nul), thing(id="b", number=7)])
    CHANGE.rows(
        connection,
        {"b_id": "a", "b_details": with_nul, "b_at": NOON},
        {"b_id": "b", "b_details": with_nul, "b_at": NOON},
    )

    rows = AMONG.rows(connection, {"ids": ["a", "b"]})
    assert [row.details for row in rows] == [with_nul, with_nul]


def test_whole_rows_are_found_by_the_key_however_small_the_table_was(
    connection: Connection, database_system: str
) -> None:
    if database_system != "postgresql":
        pytest.skip("SQLite plans without counting")
    INSERT.write(connection, [thing(id="a")])
    with statements(connection) as executed:
        CHANGE.rows(connection, *({"b_id": name, "b_details": {}, "b_at": NOON} for name in "ab"))

    ((statement, parameters),) = executed
    plan = "".join(connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars())

    assert "things_pkey" in plan
    # Not a scan of the whole index.
    assert "Index Cond: ((id)::text" in plan


def test_a_column_with_a_null_of_json_takes_no_whole_rows(
    database_system: str, connection: Connection
) -> None:
    notes = Table("notes", MetaData(), Column("text", JSON))
    notes.create(connection)
    insert_notes = DriverStatement(insert(notes), whole=True)

    insert_notes.write(connection, [{"text": None}])
    if database_system == "postgresql":
        with pytest.raises(ValueError, match="may be the null of JSON or no value"):
            insert_notes.write(connection, [{"text": None}, {"text": 1}])


def test_nothing_is_written_for_no_rows(connection: Connection) -> None:
    INSERT.write(connection, [])

    assert AMONG.rows(connection, {"ids": []}) == []


def test_a_longer_id_equals_no_shorter_one(connection: Connection) -> None:
    INSERT.write(connection, [thing(id="abcd")])

    assert AMONG.rows(connection, {"ids": ["abcdefg"]}) == []


def test_an_error_is_that_of_sqlalchemy_and_shows_no_values(engine: Engine) -> None:
    with pytest.raises(IntegrityError) as caught, engine.begin() as connection:
        INSERT.write(connection, [thing(id="ab", body=b"secret"), thing(id="ab", body=b"secret")])

    assert fault_of(caught.value) is Fault.VALUES
    assert "secret" not in str(caught.value)
    with engine.begin() as connection:
        assert AMONG.rows(connection, {"ids": ["ab"]}) == []


@pytest.mark.parametrize("values", [{"at": datetime(2026, 3, 1)}, {"number": 1 << 80}])  # noqa: DTZ001 - refused
def test_values_that_cannot_be_bound_are_the_fault_of_the_values(
    engine: Engine, values: dict[str, Any]
) -> None:
    with pytest.raises(StatementError) as caught, engine.begin() as connection:
        INSERT.write(connection, [thing(id="a", **values)])

    assert fault_of(caught.value) is Fault.VALUES


def test_it_begins_a_transaction_where_there_is_none(engine: Engine) -> None:
    with engine.connect() as connection:
        INSERT.write(connection, [thing(id="a")])
        connection.rollback()
        assert AMONG.rows(connection, {"ids": ["a"]}) == []


def test_a_statement_that_would_change_with_its_values_is_refused(connection: Connection) -> None:
    changing = DriverStatement(select(THINGS).where(THINGS.c.id.in_(bindparam("ids", expanding=True))))

    with pytest.raises(ValueError, match="use `among`"):
        changing.rows(connection, {"ids": ["a"]})


def test_listeners_are_told_of_it(engine: Engine, connection: Connection) -> None:
    told: list[tuple[Any, ...]] = []

    @event.listens_for(engine, "before_cursor_execute")
    def listen(_connection: Any, _cursor: Any, statement: str, parameters: Any, _: Any, many: bool) -> None:  # noqa: FBT001 - the call is SQLAlchemy's
        told.append((statement.split(maxsplit=1)[0], len(parameters), many))

    INSERT.write(connection, [thing(id="a"), thing(id="b")])
    AMONG.rows(connection, {"ids": ["a", "b"]})
    event.remove(engine, "before_cursor_execute", listen)

    assert told == [("INSERT", 2, True), ("SELECT", 1, False)]


def test_statements_that_are_sent_together_are_all_executed(connection: Connection) -> None:
    with sent_together(connection):
        INSERT.write(connection, [thing(id="a"), thing(id="b")])
        INSERT.write(connection, [thing(id="c")])
        INSERT.write(connection, [])

    assert [row.id for row in AMONG.rows(connection, {"ids": list("abc")})] == list("abc")


def test_an_error_among_statements_that_are_sent_together_undoes_all(engine: Engine) -> None:
    def fail() -> None:
        with engine.begin() as connection, sent_together(connection):
            INSERT.write(connection, [thing(id="a")])
            INSERT.write(connection, [thing(id="a")])
            INSERT.write(connection, [thing(id="b"), thing(id="c")])

    with pytest.raises(IntegrityError) as caught:
        fail()

    assert fault_of(caught.value) is Fault.VALUES
    with engine.begin() as connection:
        assert AMONG.rows(connection, {"ids": list("abc")}) == []


def test_an_insert_sets_the_columns_that_its_rows_have(connection: Connection) -> None:
    INSERT.write(connection, [{"id": "a", "number": 1}])
    INSERT.write(connection, [{"id": "b", "is_good": True, "number": 2}])
    assert NUMBERED.rows(connection) == []
    assert NUMBERED.rows(connection, {"number": 3, "id": "c"}) == [("c", 3)]
    stored = connection.execute(select(THINGS.c.id, THINGS.c.number, THINGS.c.is_good).order_by(THINGS.c.id))
    assert stored.all() == [("a", 1, None), ("b", 2, True), ("c", 3, None)]


def test_no_column_of_a_later_row_is_dropped(connection: Connection) -> None:
    rows = [{"id": "a", "number": 1}, {"id": "b", "number": 2, "is_good": True}]
    for execute in (INSERT.write, lambda connection, rows: NUMBERED.rows(connection, *rows)):
        for given in (rows, rows[::-1]):
            with pytest.raises(ValueError, match="must have the columns of the first: id, number"):
                execute(connection, given)
