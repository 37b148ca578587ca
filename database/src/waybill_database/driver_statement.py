"""Statements of the hot path: compiled once, executed by the driver.

SQLAlchemy takes several times as long to execute a small statement as the driver does: each time it looks up
the compiled form, and builds a context, a cursor result and rows. A `DriverStatement` is written with the
same constructs and types, but compiled only once. It runs in a transaction of SQLAlchemy, its errors are
SQLAlchemy's, and listeners of `before_cursor_execute` are called.

    INSERT = DriverStatement(insert(TASKS))
    INSERT.write(connection, [{"id": "1", "state": "pending"}, {"id": "2", "state": "pending"}])
"""

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, NoReturn

from sqlalchemy import (
    ARRAY,
    JSON,
    BindParameter,
    ColumnElement,
    Connection,
    Dialect,
    Insert,
    String,
    any_,
    bindparam,
    func,
    select,
)
from sqlalchemy.exc import StatementError
from sqlalchemy.types import TypeEngine

#: Values of one execution, by the names of parameters or columns.
Values = Mapping[str, Any]
#: A statement of SQLAlchemy's that is not text: its columns and parameters have types.
Core = Any


class DriverStatement:
    """A statement that is compiled once for each dialect and each set of values.

    Args:
        statement: the same for both dialects, or a function that makes it for the name of one. It compares
            with lists by `among`. An INSERT sets the columns that its first row has.
    """

    def __init__(self, statement: Core | Callable[[str], Core]) -> None:
        self._statement = statement
        self._forms: dict[tuple[str, ...], _Form] = {}

    def write(self, connection: Connection, rows: Sequence[Values]) -> None:
        """Executes it for each of `rows`.

        Raises:
            StatementError: as `Connection.execute` does.
        """
        if not rows:
            return
        form = self._form(connection, rows[0])
        try:
            parameters = form.bound(rows)
            with closing(_begun(connection, form.sql, parameters)) as cursor:
                if len(parameters) == 1:
                    cursor.execute(form.sql, parameters[0])
                else:
                    cursor.executemany(form.sql, parameters)
        except Exception as error:  # noqa: BLE001 - it is raised again
            fail(connection, error, form.sql)

    def rows(self, connection: Connection, *rows: Values) -> list[Any]:
        """Executes it for each of `rows`.

        Returns:
            All rows that the database returns, as named tuples.

        Raises:
            StatementError: as `Connection.execute` does.
        """
        if not rows:
            return []
        form = self._form(connection, rows[0])
        try:
            parameters = form.bound(rows)
            with closing(_begun(connection, form.sql, parameters)) as cursor:
                return [form.row(row) for row in form.fetch(cursor, parameters)]
        except Exception as error:  # noqa: BLE001 - it is raised again
            fail(connection, error, form.sql)

    def _form(self, connection: Connection, values: Values) -> "_Form":
        dialect = connection.dialect
        known_by = (dialect.name, *values)
        form = self._forms.get(known_by)
        if form is None:
            statement = self._statement(dialect.name) if callable(self._statement) else self._statement
            form = self._forms[known_by] = _Form(statement, list(values), dialect)
        return form


def among(dialect: str, column: ColumnElement[Any], parameter: str) -> ColumnElement[bool]:
    """Condition: `column` is in the list `parameter`, which is one value of the statement, however long."""
    if dialect == "postgresql":
        # Without its length: a cast to that would cut longer values, which then equal others.
        element: TypeEngine[Any] = String() if isinstance(column.type, String) else column.type
        return column == any_(bindparam(parameter, type_=ARRAY(element)))
    listed = func.json_each(bindparam(parameter, type_=JSON)).table_valued("value")
    return column.in_(select(listed.c.value))


@contextmanager
def sent_together(connection: Connection) -> Iterator[None]:
    """Has PostgreSQL answer the driver's statements of the block together: none waits for the one before.

    Only for `DriverStatement.write`; an error of one may be raised by a later one, or at the end.
    """
    if connection.dialect.name != "postgresql":
        yield
        return
    try:
        with _driver(connection).pipeline():
            yield
    except StatementError:
        raise
    except Exception as error:  # noqa: BLE001 - it is raised again
        fail(connection, error, "several statements that were sent together")


def execute_driver_sql(connection: Connection, sql: str) -> None:
    """Executes a command without parameters or result, such as BEGIN."""
    try:
        _driver(connection).execute(sql)
    except Exception as error:  # noqa: BLE001 - it is raised again
        fail(connection, error, sql)


def fail(connection: Connection, error: Exception, sql: str) -> NoReturn:
    """Raises SQLAlchemy's error for one of the driver, and drops connections that it made unusable."""
    # What `Connection.execute` does with an error; there is no public name for it.
    connection._handle_dbapi_exception(error, sql, None, None, None)  # noqa: SLF001 - as said


class _Form:
    """A statement as compiled for a dialect."""

    def __init__(self, statement: Core, names: list[str], dialect: Dialect) -> None:
        columns = names if isinstance(statement, Insert) else None
        compiled = statement.compile(dialect=dialect, column_keys=columns)
        binds = {name: bind for bind, name in compiled.bind_names.items()}
        order = compiled.positiontup if compiled.positional else list(binds)
        self.sql = str(compiled)
        self.row = _row_maker(statement.exported_columns, dialect)
        #: For each value of the driver its name among the values, and for those that it needs its conversion.
        self._keys = [binds[name].key for name in order]
        self._converts = [
            (position, convert)
            for position, name in enumerate(order)
            if (convert := _converter(binds[name], dialect)) is not None
        ]
        #: Values that are part of the statement.
        self._constants = {bind.key: bind.value for bind in binds.values() if not bind.required}
        #: Names of the driver's values; None: it takes them in this order.
        self._names = None if compiled.positional else order

    def bound(self, rows: Sequence[Values]) -> list[Any]:
        """The values of each execution, as the driver takes them."""
        return [self._bound(values) for values in rows]

    def _bound(self, values: Values) -> Any:
        if self._constants:
            values = {**values, **self._constants}
        bound = [values[key] for key in self._keys]
        for position, convert in self._converts:
            bound[position] = convert(bound[position])
        return tuple(bound) if self._names is None else dict(zip(self._names, bound, strict=True))

    def fetch(self, cursor: Any, parameters: Sequence[Any]) -> list[Any]:
        """The rows of all executions, as the driver returns them."""
        found: list[Any] = []
        if self._names is not None and len(parameters) > 1:
            # All are sent before the first answer is read.
            cursor.executemany(self.sql, parameters, returning=True)
            for each in cursor.results():
                found += each.fetchall()
            return found
        for values in parameters:
            found += cursor.execute(self.sql, values).fetchall()
        return found


def _converter(bind: BindParameter[Any], dialect: Dialect) -> Callable[[Any], Any] | None:
    if bind.expanding:
        raise ValueError(f"the number of values of {bind.key} is part of the statement: use `among`")
    convert: Callable[[Any], Any] | None = bind.type.dialect_impl(dialect).bind_processor(dialect)
    return convert


def _row_maker(columns: Any, dialect: Dialect) -> Callable[[Sequence[Any]], Any]:
    # Its names are known only here.
    named: Any = namedtuple("Row", columns.keys(), rename=True)  # type: ignore[misc] # noqa: PYI024 - as said
    make: Callable[[Sequence[Any]], Any] = named._make
    converts = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
    if not any(converts):
        return make

    def row(values: Sequence[Any]) -> Any:
        return make(
            [
                value if convert is None else convert(value)
                for value, convert in zip(values, converts, strict=True)
            ]
        )

    return row


def _begun(connection: Connection, sql: str, parameters: Sequence[Any]) -> Any:
    """A cursor of the driver, for a statement that is about to be executed."""
    if not connection.in_transaction():
        connection.begin()
    cursor = _driver(connection).cursor()
    listeners = connection.dispatch.before_cursor_execute
    if listeners:
        many = len(parameters) > 1
        for listener in listeners:
            listener(connection, cursor, sql, parameters if many else parameters[0], None, many)
    return cursor


def _driver(connection: Connection) -> Any:
    return connection.connection.dbapi_connection
