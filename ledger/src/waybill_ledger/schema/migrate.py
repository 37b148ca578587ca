"""Bringing a ledger's schema up to what this release needs."""

import time
from collections.abc import Callable
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from waybill_database import is_held_up, open_engine, schema_turn
from waybill_ledger.schema.version import SCRIPTS, SchemaError, require_known, revision_of

#: The revision of the first release: whatever comes after it is done while others work (CONTRIBUTING.md).
FIRST_RELEASE: Final = "0010"
#: Seconds that a migration may hold up others while it waits for a lock itself.
LOCK_SECONDS: Final = 2
#: Seconds that the others then have for themselves, and after which an upgrade no longer tries again; the
#: building of indexes counts.
PAUSE_SECONDS: Final = 1
PATIENCE_SECONDS: Final = 600


def upgrade(url: str, revision: str = "head") -> str:
    """Brings the ledger at `url` to the newest schema, while others go on working with it.

    Each migration happens or does not; where one is cut off, the next upgrade goes on from there. On
    PostgreSQL a change that would wait long for a table lets everybody else go first, again and again.

    Args:
        url: the ledger's database.
        revision: the one to stop at, for a test of what comes after it.

    Returns:
        The revision it is at now.

    Raises:
        SchemaError: it is newer than this release, or others did not let go of a table for minutes.
    """
    # One that holds the turn, and one that works.
    engine = open_engine(url, connections=2)
    try:
        with schema_turn(engine), engine.connect() as connection:
            require_known(revision_of(connection))
            connection.rollback()
            _patiently(lambda: _migrate(connection, revision))
            reached = revision_of(connection)
    finally:
        engine.dispose()
    if reached is None:
        raise SchemaError("this installation has no migrations")
    return reached


def _migrate(connection: Connection, revision: str) -> None:
    if connection.dialect.name == "postgresql":
        # Whoever comes later for the same table waits behind us, readers too: so we do not wait for long.
        connection.execute(text(f"SET lock_timeout = '{LOCK_SECONDS}s'"))
        connection.commit()
    config = configuration()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _patiently(migrate: Callable[[], None]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            migrate()
        except OperationalError as error:
            if not is_held_up(error):
                raise
            if time.monotonic() > deadline:
                raise SchemaError(
                    f"others hold a table of the ledger, {PATIENCE_SECONDS} s after the upgrade began: look "
                    "for transactions that stay open (pg_stat_activity), end them, and upgrade again. "
                    "What was done so far stays done"
                ) from error
            time.sleep(PAUSE_SECONDS)
        else:
            return


def configuration() -> Config:
    """Where Alembic finds the migrations."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.set_main_option("path_separator", "os")
    return config
