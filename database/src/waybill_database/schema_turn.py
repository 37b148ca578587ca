"""A lock for upgrades: one process upgrades a database at a time, without blocking its users."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Engine, func, select

from waybill_database.write_turn import write_turn

#: Advisory lock of PostgreSQL; the number is "upgrade" as ASCII. Not that of `one_at_a_time`: processes wait
#: for that one in a transaction, and CREATE INDEX CONCURRENTLY would wait for the transaction.
_LOCK: Final = 0x75706772616465
#: Seconds between two tries.
_PAUSE: Final = 0.1


@contextmanager
def schema_turn(engine: Engine) -> Iterator[None]:
    """Waits until no other process holds the lock for the database; takes one connection of the pool.

    On SQLite it is the turn of a writer. On PostgreSQL it is a lock of an idle session, polled instead of
    waited for: a waiting statement is an open transaction, and CREATE INDEX CONCURRENTLY waits for those to
    end.
    """
    if engine.dialect.name != "postgresql":
        with write_turn(engine)():
            yield
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as holder:
        while not holder.scalar(select(func.pg_try_advisory_lock(_LOCK))):
            time.sleep(_PAUSE)
        try:
            yield
        finally:
            # Otherwise the pool keeps the session, and with it the lock.
            holder.scalar(select(func.pg_advisory_unlock(_LOCK)))
