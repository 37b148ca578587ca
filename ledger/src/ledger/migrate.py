"""Bringing a ledger's schema up to what this release needs."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from database import open_engine

_SCRIPTS = Path(__file__).parent / "migrations"


class SchemaError(Exception):
    """The ledger's schema is not the one this release was made for."""


def upgrade(url: str) -> str:
    """Brings the ledger at `url` to the newest schema; one that is there already stays untouched.

    Returns:
        The revision it is at now.
    """
    engine = open_engine(url, connections=1)
    try:
        config = _config()
        # The whole upgrade in one transaction: it happens, or it does not.
        with engine.begin() as connection:
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
        found = MigrationContext.configure(connection).get_current_revision()
    if found != _head():
        raise SchemaError(
            f"the ledger's schema is at {found or 'nothing'}, this release needs {_head()}: "
            "run `python -m ledger upgrade`"
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
