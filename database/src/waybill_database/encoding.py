"""The encoding of PostgreSQL databases: only UTF-8 can hold every text that callers send."""

from typing import Any, Final

import psycopg
from sqlalchemy import Engine, event

#: The only supported encoding, as PostgreSQL names it.
SUPPORTED: Final = "UTF8"


class EncodingError(psycopg.OperationalError):
    """The encoding of the database is not supported; only people can correct that, at the database."""

    #: Invalid catalog name: a database of that URL with a supported encoding does not exist.
    sqlstate = "3D000"


def expect_utf8(engine: Engine) -> None:
    """Makes every new connection of `engine` fail with `EncodingError` if its database is not UTF-8.

    The server reports its encoding when a connection is opened, so the check needs no query.
    """

    # Before SQLAlchemy's own first queries, which fail on the bytes that the driver returns for SQL_ASCII.
    @event.listens_for(engine, "connect", insert=True)
    def connect(connection: Any, _record: Any) -> None:
        encoding = connection.info.parameter_status("server_encoding")
        # A pooler may leave it out.
        if encoding not in {None, SUPPORTED}:
            raise EncodingError(
                f'the database "{connection.info.dbname}" has the unsupported encoding {encoding}: '
                f"create it with TEMPLATE template0 ENCODING '{SUPPORTED}'"
            )
