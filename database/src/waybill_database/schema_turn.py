"""Having processes that upgrade one database wait for each other, but hold up nobody who works on it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Engine, func, select

from waybill_database.write_turn import write_turn

#: Of PostgreSQL's advisory locks this one; the number is "upgrade" as ASCII. Not that of `one_at_a_time`: who
#: waits for that one does so in a transaction, which building an index concurrently would wait for in turn.
_LOCK: Final = 0x75706772616465
#: Seconds between two tries for it.
_PAUSE: Final = 0.1


@contextmanager
def schema_turn(engine: Engine) -> Iterator[None]:
    """Waits until no other process is in here for the same database; takes one connection of the pool.

    On SQLite it is the turn of a writer. On PostgreSQL it is a lock of a session that is idle meanwhile,
    asked for again and again rather than waited for: a statement that waits is a transaction under way, and
    CREATE INDEX CONCURRENTLY waits for those to end.
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
            # The pool would keep the session, and the lock with it.
            holder.scalar(select(func.pg_advisory_unlock(_LOCK)))
