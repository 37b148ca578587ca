"""The INSERT of a row for drivers that take SQL as text."""

from dataclasses import astuple, fields
from typing import Final

from waybill.outbox.rows.row import NewRow

#: The channel on which PostgreSQL tells relays that rows were committed.
CHANNEL: Final = "waybill_outbox"

_COLUMNS: Final = tuple(field.name for field in fields(NewRow))
#: With the placeholders of psycopg and Django.
INSERT: Final = (
    f"INSERT INTO waybill_outbox ({', '.join(_COLUMNS)}) VALUES ({', '.join(['%s'] * len(_COLUMNS))})"  # noqa: S608 - made of names alone
)
#: In one statement, so that it costs no second way to the server; it is sent at the commit.
INSERT_AND_NOTIFY: Final = f"{INSERT} RETURNING pg_notify('{CHANNEL}', '')"


def values_of(row: NewRow) -> tuple[object, ...]:
    """The values of the placeholders."""
    return astuple(row)
