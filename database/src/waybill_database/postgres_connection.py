"""Connections to PostgreSQL with a limit on the time of an answer.

The kernel detects a server that is gone (`waybill_database.engine`). A server that hangs, such as a frozen
machine, acknowledges everything and answers nothing: a statement would wait forever.
"""

from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, event

#: Seconds that the server has after its own limit for a statement to report the timeout.
GRACE_SECONDS: Final = 1.0


class _Answered(psycopg.Connection[Any]):
    """A connection that closes if the server does not answer a statement in time."""

    #: Default, until it is set.
    answer_seconds: float = 10.0

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Waits like the base class, but with a limit.

        Raises:
            psycopg.OperationalError: no answer came. It is unknown whether the statement or commit has
                happened or will.
        """
        seconds = self.answer_seconds + GRACE_SECONDS if timeout is None else timeout
        try:
            return super().wait(gen, interval, seconds)
        except psycopg.OperationalError as error:
            if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            # It cannot be used again: the answer may still come.
            self.close()
            raise psycopg.OperationalError(f"the server has not answered for {seconds:g} s") from error


def expect_answers(engine: Engine, seconds: float) -> None:
    """Limits every statement on new connections of `engine` to `seconds`.

    The server cancels slow statements; if it does not answer at all, the connection is closed.
    """

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, arguments: Any, parameters: Any) -> Any:
        connection = _Answered.connect(*arguments, autocommit=True, **parameters)
        connection.answer_seconds = seconds
        try:
            # Not as a connection option, which poolers refuse.
            connection.execute(f"SET statement_timeout = {round(seconds * 1000)}".encode())
            connection.autocommit = False
        except BaseException:
            # Its pool does not know it yet.
            connection.close()
            raise
        return connection
