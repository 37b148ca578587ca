"""Tables that a process keeps for itself alone: made when they are missing, and grown by what is new."""

from sqlalchemy import Connection, MetaData, inspect
from sqlalchemy.schema import CreateColumn

from waybill_database.columns import one_at_a_time


def make_tables(connection: Connection, metadata: MetaData) -> None:
    """Creates the tables that are missing, and adds to the others the columns that they lack.

    Enough for tables that only ever grow; a column that is new must be nullable or have a server default.
    Other processes may be at it at the same time.
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
