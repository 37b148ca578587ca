"""Bringing a ledger's schema up to what this release needs."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from database import one_at_a_time, open_engine

_SCRIPTS = Path(__file__).parent / "migrations"


class SchemaError(Exception):
    """The ledger's schema is not the one this release was made for."""


def upgrade(url: str) -> str:
    """Brings the ledger at `url` to the newest schema; one that is there already stays untouched.

    Returns:
        The revision it is at now.

    Raises:
        SchemaError: it is newer than this release.
    """
    engine = open_engine(url, connections=1)
    try:
        config = _config()
        # The whole upgrade in one transaction: it happens, or it does not.
        with engine.begin() as connection:
            one_at_a_time(connection)
            _require_known(_revision(connection))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        return _head()
    finally:
        engine.dispose()


def require_current(engine: Engine) -> None:
    """Checks the schema before a process works on it.

    Raises:
        SchemaError: it is older or newer; the message says what to do.
    """
    with engine.connect() as connection:
        found = _revision(connection)
    _require_known(found)
    if found != _head():
        raise SchemaError(
            f"the ledger's schema is at {found or 'nothing'}, this release needs {_head()}: "
            "run `python -m ledger upgrade`"
        )


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _require_known(found: str | None) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found is not None and found not in known:
        raise SchemaError(
            f"the ledger's schema is at {found}, which this release does not know, it ends at {_head()}: "
            "run a release that is as new as the one that upgraded it"
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.set_main_option("path_separator", "os")
    return config


def _head() -> str:
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise SchemaError("this installation has no migrations")
    return head
