"""The INSERT of a row as SQL text, as drivers take it."""

from dataclasses import fields
from functools import cache
from operator import attrgetter
from typing import Final

from waybill.outbox.rows.row import NewRow

#: The channel on which PostgreSQL notifies relays of rows that were committed.
CHANNEL: Final = "waybill_outbox"
#: The first half of the key of an advisory lock of PostgreSQL; the other one is the table. A relay that waits
#: has it, and only then a submission notifies: PostgreSQL commits transactions that notify one after the
#: other. Otherwise they share the lock until they end, so that no relay begins to wait too early.
LOCK: Final = int.from_bytes(b"WBox")

_COLUMNS: Final = tuple(field.name for field in fields(NewRow))
_VALUES: Final = attrgetter(*_COLUMNS)


@cache
def insert_for(paramstyle: str, *, notifies: bool) -> str:
    """The INSERT with the placeholders of a driver.

    Args:
        paramstyle: of PEP 249 or SQLAlchemy.
        notifies: it is for PostgreSQL, which then notifies a relay that waits, at the commit. The same
            statement does that, so that it costs no second way to the server.

    Raises:
        ValueError: the placeholders are not known.
    """
    match paramstyle:
        case "qmark":
            places = ["?"] * len(_COLUMNS)
        case "format" | "pyformat":
            places = ["%s"] * len(_COLUMNS)
        case "numeric_dollar":
            places = [f"${number}" for number in range(1, len(_COLUMNS) + 1)]
        case _:
            raise ValueError(f"the outbox writes by no driver with placeholders of style {paramstyle}")
    columns = _COLUMNS
    if notifies:
        columns, places = (*columns, "error"), [*places, _NOTIFY]
    return f"INSERT INTO waybill_outbox ({', '.join(columns)}) VALUES ({', '.join(places)})"  # noqa: S608 - made of names alone


#: NULL, after it has notified. As a value of the row: what the statement returned would cost a driver more.
_NOTIFY: Final = (
    f"nullif(CASE WHEN NOT pg_try_advisory_xact_lock_shared({LOCK}, 'waybill_outbox'::regclass::oid::int4) "
    f"THEN pg_notify('{CHANNEL}', '')::text END, '')"
)


#: For psycopg and Django.
INSERT: Final = insert_for("format", notifies=False)
INSERT_AND_NOTIFY: Final = insert_for("format", notifies=True)


def values_of(row: NewRow) -> tuple[object, ...]:
    """The values of the placeholders."""
    values: tuple[object, ...] = _VALUES(row)
    return values
