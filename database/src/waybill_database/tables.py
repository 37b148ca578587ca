"""Private tables of a process: created and extended at its start, without migrations."""

from sqlalchemy import Connection, MetaData, inspect
from sqlalchemy.schema import CreateColumn

from waybill_database.columns import one_at_a_time


def make_tables(connection: Connection, metadata: MetaData) -> None:
    """Creates missing tables, and adds missing columns to the others.

    Enough for tables that only get new columns; a new column must be nullable or have a server default.
    Several processes may do this at the same time.
    """
    one_at_a_time(connection)
    metadata.create_all(connection)
    there = inspect(connection)
    quoted = connection.dialect.identifier_preparer.format_table
    for table in metadata.sorted_tables:
        known = {column["name"] for column in there.get_columns(table.name)}
        for column in table.columns:
            if column.name not in known:
                added = CreateColumn(column).compile(dialect=connection.dialect)
                connection.exec_driver_sql(f"ALTER TABLE {quoted(table)} ADD COLUMN {added}")
