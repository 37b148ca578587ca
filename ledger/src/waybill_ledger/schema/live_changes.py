"""Changing tables that others work on meanwhile: what migrations use for tables that may be large.

On PostgreSQL an index of such a table is built while rows come and go. That takes longer, cannot be part of a
transaction, and leaves an index behind that nobody uses when it is cut off; so each of these can be run
again. SQLite has one writer in any case.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op


def create_index(
    name: str, table: str, columns: Sequence[str], *, unique: bool = False, where: str | None = None
) -> None:
    """Creates an index of an existing table. One that replaces another has another name.

    Args:
        name: of the index.
        table: which has it.
        columns: in their order.
        unique: whether no two rows may have the same values.
        where: SQL, the condition of a partial index; the same on both databases.
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
    """Drops an index, if it is there: no running release may need it any more."""
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
        # Without a connection SQL is only written, and what it sets no script has set before.
        before = None if context.as_sql else op.get_bind().scalar(sa.text("SHOW lock_timeout"))
        # It waits for the transactions under way, but nobody waits for it meanwhile: so it may take its time.
        op.execute("SET lock_timeout = 0")
        yield
        # A RESET goes to the server's default, and whatever comes next would wait without limit.
        op.execute("RESET lock_timeout" if before is None else f"SET lock_timeout = '{before}'")
