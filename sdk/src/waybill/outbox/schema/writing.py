"""Writing rows through SQLAlchemy."""

from collections.abc import Sequence

from sqlalchemy import Connection, TwoPhaseTransaction

from waybill.outbox.rows import NewRow, checked_database, insert_for, values_of


def write_rows(connection: Connection, rows: Sequence[NewRow]) -> None:
    """Writes rows in the transaction of a connection, by one call of the driver.

    Raises:
        OutboxError: the outbox is not made for its database.
    """
    if not rows:
        return
    dialect = connection.dialect
    # PostgreSQL prepares no transaction that notifies; a relay finds its rows by looking.
    notifies = checked_database(dialect.name) == "postgresql" and not isinstance(
        connection.get_transaction(), TwoPhaseTransaction
    )
    values = [values_of(row) for row in rows]
    # As text: to compile the statement would take as long as to run it.
    connection.exec_driver_sql(
        insert_for(dialect.paramstyle, notifies=notifies), values if len(values) > 1 else values[0]
    )
