"""Connections to PostgreSQL whose server has to answer in time.

The kernel notices a server that is gone (`waybill_database.engine`). One that is there and does
nothing, such as a frozen machine, acknowledges all that is sent and answers nothing: a statement would wait
for ever.
"""

from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, event

#: Seconds that the server has, beyond its own limit for a statement, to say that this has run out.
GRACE_SECONDS: Final = 1.0


class _Answered(psycopg.Connection[Any]):
    """A connection that is closed once its server has not answered a statement in time."""

    #: Until it is told otherwise.
    answer_seconds: float = 10.0

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """As its parent's, but not for ever.

        Raises:
            psycopg.OperationalError: no answer came. Whether the statement, or the commit, has happened or
                will yet is unknown.
        """
        seconds = self.answer_seconds + GRACE_SECONDS if timeout is None else timeout
        try:
            return super().wait(gen, interval, seconds)
        except psycopg.OperationalError as error:
            if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            # It could not be used for anything else: the answer may come yet.
            self.close()
            raise psycopg.OperationalError(f"the server has not answered for {seconds:g} s") from error


def expect_answers(engine: Engine, seconds: float) -> None:
    """Has every statement on a new connection of `engine` end within `seconds`.

    The server ends those that take long; where it does not answer at all, the connection is closed.
    """

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, arguments: Any, parameters: Any) -> Any:
        connection = _Answered.connect(*arguments, autocommit=True, **parameters)
        connection.answer_seconds = seconds
        # Not as an option of the connection, which poolers refuse.
        connection.execute(f"SET statement_timeout = {round(seconds * 1000)}".encode())
        connection.autocommit = False
        return connection
