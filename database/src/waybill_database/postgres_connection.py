"""Connections to PostgreSQL: their settings, and a limit on the time of an answer.

The kernel detects a server that is gone (`waybill_database.engine`). A server that hangs, such as a frozen
machine, acknowledges everything and answers nothing: a statement would wait forever.
"""

from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, event

#: Seconds that the server has after its own limit for a statement to report the timeout.
GRACE_SECONDS: Final = 1.0
#: The plan of a hot statement is kept: made while a table is small, it would read all of it when it has
#: grown. Where no index leads to the rows the table is read as before. To the planner, tables that are read
#: whole are then so dear that it would compile the statement.
_PLANS: Final = ("SET enable_seqscan = off", "SET jit = off")


class _Answered(psycopg.Connection[Any]):
    """A connection that closes if the server does not answer a statement in time."""

    #: Default, until it is set; None: no limit.
    answer_seconds: float | None = 10.0

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Waits like the base class, but with a limit.

        Raises:
            psycopg.OperationalError: no answer came. It is unknown whether the statement or commit has
                happened or will.
        """
        seconds = timeout
        if seconds is None and self.answer_seconds is not None:
            seconds = self.answer_seconds + GRACE_SECONDS
        try:
            return super().wait(gen, interval, seconds)
        except psycopg.OperationalError as error:
            if seconds is None or self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            # It cannot be used again: the answer may still come.
            self.close()
            raise psycopg.OperationalError(f"the server has not answered for {seconds:g} s") from error


def configure_connections(engine: Engine, answer_seconds: float | None) -> None:
    """Configures every new connection of `engine`, in one request to the server.

    Args:
        engine: on PostgreSQL.
        answer_seconds: limit of every statement: the server cancels a slower one; if it does not answer at
            all, the connection is closed. None: no limit.
    """
    settings = list(_PLANS)
    if answer_seconds is not None:
        settings.append(f"SET statement_timeout = {round(answer_seconds * 1000)}")
    request = "; ".join(settings).encode()

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, arguments: Any, parameters: Any) -> Any:
        connection = _Answered.connect(*arguments, autocommit=True, **parameters)
        connection.answer_seconds = answer_seconds
        try:
            # Not as connection options, which poolers refuse.
            connection.execute(request)
            connection.autocommit = False
        except BaseException:
            # Its pool does not know it yet.
            connection.close()
            raise
        return connection
