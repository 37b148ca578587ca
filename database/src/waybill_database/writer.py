"""A connection that one thread keeps for its transactions.

To take a connection from the pool and give it back costs as much as a small transaction: it is tested,
reset, and on SQLite so is its lock file opened. The thread of a group commit keeps both, as long as nothing
speaks against it: after an error, a pause, or a word of the server the pool is asked again, and tests what it
hands out.
"""

import select
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

from waybill_database.engine import RELAXED
from waybill_database.write_turn import RepeatedTurn

#: Seconds without a transaction after which the connection may be dead without anybody having said so.
MOST_IDLE_SECONDS = 5.0


class Writer:
    """The transactions of one thread, on a connection that it keeps."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._is_remote = engine.dialect.name == "postgresql"
        self._turn = RepeatedTurn(engine)
        self._connection: Connection | None = None
        self._used_at = 0.0
        self._is_doubtful = False

    @contextmanager
    def transaction(self, *, relaxed: bool) -> Iterator[Connection]:
        """A transaction that is committed at the end of the block.

        Args:
            relaxed: it need not be flushed to the disk; see `GroupCommit.submit`.
        """
        try:
            with self._turn:
                connection = self._kept()
                if connection.get_execution_options().get(RELAXED, False) != relaxed:
                    connection.execution_options(**{RELAXED: relaxed})
                with connection.begin():
                    yield connection
        except BaseException:
            self.release()
            raise
        self._used_at = time.monotonic()

    def doubt(self) -> None:
        """Has the next transaction close the connection and take another one; from any thread."""
        self._is_doubtful = True

    def release(self) -> None:
        """Returns the connection to the pool, and closes the lock file."""
        self._give_back()
        self._turn.close()

    def _kept(self) -> Connection:
        if self._connection is not None and self._is_in_doubt(self._connection):
            self._give_back()
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _give_back(self) -> None:
        connection, self._connection = self._connection, None
        is_doubtful, self._is_doubtful = self._is_doubtful, False
        if connection is None:
            return
        if is_doubtful:
            # Its pool may have been disposed of: nobody else would close it.
            connection.invalidate()
        connection.close()

    def _is_in_doubt(self, connection: Connection) -> bool:
        if self._is_doubtful or time.monotonic() - self._used_at > MOST_IDLE_SECONDS:
            return True
        return self._is_remote and _has_spoken(connection)


def _has_spoken(connection: Connection) -> bool:
    """Whether the server has sent something unasked: mostly that it closes the connection."""
    poll = select.poll()
    poll.register(connection.connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
