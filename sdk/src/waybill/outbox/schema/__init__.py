"""The table of the application outbox in SQLAlchemy, and the ways to create it."""

from waybill.outbox.schema.table import (
    REFUSED,
    TABLE,
    WAITING,
    add_table,
    create_table,
    drop_table,
    schema_sql,
)
from waybill.outbox.schema.writing import write_rows

__all__ = [
    "REFUSED",
    "TABLE",
    "WAITING",
    "add_table",
    "create_table",
    "drop_table",
    "schema_sql",
    "write_rows",
]
