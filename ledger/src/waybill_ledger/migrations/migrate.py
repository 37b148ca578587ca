"""Bringing a ledger's schema up to what this release needs."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from waybill_contracts.registry import built_in_manifests
from waybill_database import is_held_up, open_engine, schema_turn
from waybill_ledger.registry import ApplyManifest, apply_manifests, load_registry
from waybill_ledger.schema import SCRIPTS, SchemaError, require_known, revision_of

#: Revision of the first release: later migrations run while the ledger is in use (CONTRIBUTING.md).
FIRST_RELEASE: Final = "0010"
#: Seconds that a migration waits for a lock, and so may block others.
LOCK_SECONDS: Final = 2
#: Seconds between two tries, in which others proceed, and after which an upgrade does not try again; the
#: building of indexes counts.
PAUSE_SECONDS: Final = 1
UPGRADE_TIMEOUT_SECONDS: Final = 600


def upgrade(url: str, revision: str = "head") -> str:
    """Upgrades the ledger at `url` to the newest schema while others use it.

    Each migration is applied whole or not at all; after an interruption the next upgrade continues there. On
    PostgreSQL a change that would wait long for a table gives way to all others, and is tried again.

    Args:
        url: the ledger's database.
        revision: the last one to apply, for tests of later ones.

    Returns:
        The revision of the ledger.

    Raises:
        SchemaError: it is newer than this release, others locked a table for minutes, or a service that comes
            with Waybill cannot be registered.
    """
    # One connection holds the lock on upgrades, the other one works.
    engine = open_engine(url, connections=2)
    try:
        with schema_turn(engine), engine.connect() as connection:
            require_known(revision_of(connection))
            connection.rollback()
            _retry_when_locked(lambda: _migrate(connection, revision))
            reached = revision_of(connection)
            connection.rollback()
            if revision == "head":
                _register_built_in(connection)
    finally:
        engine.dispose()
    if reached is None:
        raise SchemaError("this installation has no migrations")
    return reached


def _register_built_in(connection: Connection) -> None:
    """Registers the services that come with Waybill, as any other, unless they are retired."""
    now = datetime.now(UTC)
    with connection.begin():
        services = load_registry(connection).services
        requests = [
            ApplyManifest(manifest, now, None)
            for manifest in built_in_manifests()
            if not ((known := services.get(manifest.service)) and known.is_retired)
        ]
        for request, application in zip(requests, apply_manifests(connection, requests), strict=True):
            if application.refusals:
                raise SchemaError(
                    f"{request.manifest.service} cannot be registered: {'; '.join(application.refusals)}"
                )


def _migrate(connection: Connection, revision: str) -> None:
    if connection.dialect.name == "postgresql":
        # All later users of the table queue behind this lock request, readers too: so it must not wait long.
        connection.execute(text(f"SET lock_timeout = '{LOCK_SECONDS}s'"))
        connection.commit()
    config = configuration()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _retry_when_locked(migrate: Callable[[], None]) -> None:
    deadline = time.monotonic() + UPGRADE_TIMEOUT_SECONDS
    while True:
        try:
            migrate()
        except OperationalError as error:
            if not is_held_up(error):
                raise
            if time.monotonic() > deadline:
                raise SchemaError(
                    f"a table of the ledger is locked, {UPGRADE_TIMEOUT_SECONDS} s after the upgrade began: "
                    "look for transactions that stay open (pg_stat_activity), end them, and upgrade again. "
                    "What was done so far stays done"
                ) from error
            time.sleep(PAUSE_SECONDS)
        else:
            return


def configuration() -> Config:
    """Alembic's configuration, with the folder of the migrations."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.set_main_option("path_separator", "os")
    return config
