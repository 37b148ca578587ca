"""Changes of tables in use: what migrations call for tables that may be large.

On PostgreSQL an index of such a table is built while rows are written. That takes longer, cannot be part of a
transaction, and leaves an unused index behind if it is interrupted; so each function here can be run again.
SQLite has one writer in any case.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op


def create_index(
    name: str, table: str, columns: Sequence[str], *, unique: bool = False, where: str | None = None
) -> None:
    """Creates an index of an existing table. An index that replaces another one needs another name.

    Args:
        name: of the index.
        table: that is indexed.
        columns: of the index, in order.
        unique: whether no two rows may have the same values.
        where: condition of a partial index in SQL that both databases read.
    """
    condition = None if where is None else sa.text(where)
    with _while_others_work():
        _drop(name, table)
        op.create_index(
            name,
            table,
            list(columns),
            unique=unique,
            postgresql_concurrently=True,
            postgresql_where=condition,
            sqlite_where=condition,
        )


def drop_index(name: str, table: str) -> None:
    """Drops an index if it exists. No running release may need it any more."""
    with _while_others_work():
        _drop(name, table)


def _drop(name: str, table: str) -> None:
    op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)


@contextmanager
def _while_others_work() -> Iterator[None]:
    context = op.get_context()
    if context.dialect.name != "postgresql":
        yield
        return
    with context.autocommit_block():
        # Without a connection the SQL is only printed, and no earlier script has set a timeout.
        before = None if context.as_sql else op.get_bind().scalar(sa.text("SHOW lock_timeout"))
        # It waits for running transactions, but blocks none: so it may wait long.
        op.execute("SET lock_timeout = 0")
        yield
        # RESET would restore the server's default, and the next statement could wait without limit.
        op.execute("RESET lock_timeout" if before is None else f"SET lock_timeout = '{before}'")
