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
from operator import itemgetter
from typing import Any, NoReturn

from pydantic_core import to_json
from sqlalchemy import (
    ARRAY,
    JSON,
    BindParameter,
    ColumnElement,
    Connection,
    Dialect,
    Insert,
    LargeBinary,
    String,
    Text,
    any_,
    bindparam,
    cast,
    column,
    func,
    select,
)
from sqlalchemy.exc import StatementError
from sqlalchemy.sql.visitors import replacement_traverse
from sqlalchemy.types import TypeEngine

#: Values of one execution, by the names of parameters or columns.
Values = Mapping[str, Any]
#: A statement of SQLAlchemy's that is not text: its columns and parameters have types.
Core = Any
#: Converts a value for the driver, or one of the driver.
Convert = Callable[[Any], Any]


#: NUL in JSON. PostgreSQL stores it in a JSON column, but makes no rows of a JSON text that has one.
_NUL = "\\u0000"


class DriverStatement:
    """A statement that is compiled once for each dialect and each set of values.

    Args:
        statement: the same for both dialects, or a function that makes it for the name of one. It compares
            with lists by `among`. An INSERT sets the columns that its first row has; a later row
            with others is refused.
        whole: PostgreSQL gets all rows of a call in one value of one statement, not one by one. For an INSERT
            or UPDATE of which no two rows of a call change the same row.
        key: of an UPDATE that is `whole`: a column that an index begins with, and the parameter for it.
    """

    def __init__(
        self,
        statement: Core | Callable[[str], Core],
        *,
        whole: bool = False,
        key: tuple[ColumnElement[Any], str] | None = None,
    ) -> None:
        self._statement = statement
        self._is_whole = whole
        self._key = key
        self._forms: dict[tuple[Any, ...], _Form] = {}

    def write(self, connection: Connection, rows: Sequence[Values]) -> None:
        """Executes it for each of `rows`.

        Raises:
            StatementError: as `Connection.execute` does.
        """
        if not rows:
            return
        form = self._form(connection, rows)
        try:
            parameters = form.bound(rows)
            if form.is_whole and _NUL in parameters[0]["rows"]:
                form = self._form(connection, rows, row_by_row=True)
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
        form = self._form(connection, rows)
        try:
            parameters = form.bound(rows)
            if form.is_whole and _NUL in parameters[0]["rows"]:
                form = self._form(connection, rows, row_by_row=True)
                parameters = form.bound(rows)
            with closing(_begun(connection, form.sql, parameters)) as cursor:
                return [form.row(row) for row in form.fetch(cursor, parameters)]
        except Exception as error:  # noqa: BLE001 - it is raised again
            fail(connection, error, form.sql)

    def _form(self, connection: Connection, rows: Sequence[Values], *, row_by_row: bool = False) -> "_Form":
        dialect, names = connection.dialect, tuple(rows[0])
        if any(len(row) != len(names) for row in rows):
            raise ValueError(f"all rows of one call must have the columns of the first: {', '.join(names)}")
        is_whole = self._is_whole and len(rows) > 1 and dialect.name == "postgresql" and not row_by_row
        known_by = (dialect.name, is_whole, *names)
        form = self._forms.get(known_by)
        if form is None:
            statement = self._statement(dialect.name) if callable(self._statement) else self._statement
            form = (
                _WholeForm(statement, names, dialect, self._key)
                if is_whole
                else _Form(statement, names, dialect)
            )
            self._forms[known_by] = form
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
    """A statement as compiled for a dialect, executed for each row of values."""

    is_whole = False

    def __init__(self, statement: Core, names: Sequence[str], dialect: Dialect) -> None:
        columns = list(names) if isinstance(statement, Insert) and names else None
        compiled = statement.compile(dialect=dialect, column_keys=columns)
        binds = {name: bind for bind, name in compiled.bind_names.items()}
        order = compiled.positiontup if compiled.positional else list(binds)
        self.sql = str(compiled)
        self.row = _row_maker(statement.exported_columns, dialect)
        self.binds = [binds[name] for name in order]
        self._picked = _picker(
            [bind.key for bind in self.binds], [_converter(b, dialect) for b in self.binds]
        )
        #: Values that are part of the statement.
        self._constants = {bind.key: bind.value for bind in self.binds if not bind.required}
        #: Names of the driver's values; None: it takes them in this order.
        self._names = None if compiled.positional else order

    def bound(self, rows: Sequence[Values]) -> Sequence[Any]:
        """The values of each execution, as the driver takes them."""
        if self._constants:
            rows = [{**values, **self._constants} for values in rows]
        picked = map(self._picked, rows)
        if self._names is None:
            return list(picked)
        return [dict(zip(self._names, values, strict=True)) for values in picked]

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


class _WholeForm(_Form):
    """A statement for PostgreSQL that is executed once, with all rows of values in one as JSON."""

    is_whole = True

    def __init__(
        self,
        statement: Core,
        names: Sequence[str],
        dialect: Dialect,
        key: tuple[ColumnElement[Any], str] | None,
    ) -> None:
        sent = [bind for bind in _Form(statement, names, dialect).binds if bind.required]
        # Plain texts: names of columns are objects, which are slow to write.
        self._sent = [str(bind.key) for bind in sent]
        self._values = _picker(self._sent, [_json_converter(bind, dialect) for bind in sent])
        super().__init__(_with_rows_in_one(statement, sent, key), (), dialect)

    def bound(self, rows: Sequence[Values]) -> Sequence[Any]:
        """The values of the one execution."""
        sent = [dict(zip(self._sent, values, strict=True)) for values in map(self._values, rows)]
        return super().bound([{"rows": to_json(sent).decode()}])


def _with_rows_in_one(
    statement: Core, sent: Sequence[BindParameter[Any]], key: tuple[ColumnElement[Any], str] | None
) -> Core:
    """The statement with a table that is made of its parameter `rows`, instead of the parameters `sent`."""
    one = cast(bindparam("rows", type_=Text()), JSON())
    columns = [column(bind.key, _type_in_rows(bind.type)) for bind in sent]
    table = func.json_to_recordset(one).table_valued(*columns).render_derived("sent", with_types=True)
    if isinstance(statement, Insert):
        return statement.from_select([bind.key for bind in sent], select(table))
    if key is None:
        raise ValueError("an UPDATE of whole rows needs a key")
    rows = select(table).cte("rows_sent")

    def replaced(element: Any, **_: Any) -> Any:
        return rows.c.get(element.key) if isinstance(element, BindParameter) else None

    changed: Core = replacement_traverse(statement, {}, replaced)
    # The join says it already. But of a small table PostgreSQL would join all rows, and its plan is kept when
    # the table has grown; with this condition it reads only those of the key, however it joins.
    indexed, name = key
    return changed.where(indexed == any_(func.array(select(rows.c[name]).scalar_subquery())))


def _type_in_rows(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    # A text that is longer than the column must not equal what it would be cut to.
    return Text() if isinstance(type_, String) else type_


def _picker(keys: Sequence[str], converts: Sequence[Convert | None]) -> Callable[[Values], Sequence[Any]]:
    """Picks values by these keys, in this order, and converts them."""
    # With one key it returns a bare value, and none at all it does not take.
    pick = itemgetter(*keys) if len(keys) > 1 else lambda values: [values[key] for key in keys]
    changes = [(at, convert) for at, convert in enumerate(converts) if convert is not None]

    def picked(values: Values) -> Sequence[Any]:
        found = list(pick(values))
        for at, convert in changes:
            found[at] = convert(found[at])
        return tuple(found)

    return picked


def _converter(bind: BindParameter[Any], dialect: Dialect) -> Convert | None:
    if bind.expanding:
        raise ValueError(f"the number of values of {bind.key} is part of the statement: use `among`")
    convert: Convert | None = bind.type.dialect_impl(dialect).bind_processor(dialect)
    return convert


def _json_converter(bind: BindParameter[Any], dialect: Dialect) -> Convert | None:
    """The same for a value within JSON."""
    if isinstance(bind.type, JSON):
        if not bind.type.none_as_null:
            raise ValueError(f"{bind.key} may be the null of JSON or no value: among all rows that is one")
        return None
    return _hexadecimal if isinstance(bind.type, LargeBinary) else _converter(bind, dialect)


def _hexadecimal(value: bytes | None) -> str | None:
    """As PostgreSQL reads bytes."""
    return None if value is None else f"\\x{value.hex()}"


def _row_maker(columns: Any, dialect: Dialect) -> Convert:
    # Its names are known only here.
    named: Any = namedtuple("Row", columns.keys(), rename=True)  # type: ignore[misc] # noqa: PYI024 - as said
    make: Convert = named._make
    converts = [each.type.dialect_impl(dialect).result_processor(dialect, None) for each in columns]
    changes = [(at, convert) for at, convert in enumerate(converts) if convert is not None]
    if not changes:
        return make

    def row(values: Sequence[Any]) -> Any:
        found = list(values)
        for at, convert in changes:
            # Most of those that are converted are missing, and stay so.
            if found[at] is not None:
                found[at] = convert(found[at])
        return make(found)

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
