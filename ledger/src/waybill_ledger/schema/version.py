"""The schema that a ledger has, and the one that this release needs.

Each process checks this at its start, so it does without Alembic, which takes as long to import as the rest
of the ledger: it reads Alembic's table of the revision, and knows the revisions by their file names.
"""

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

#: The folder of the migrations.
SCRIPTS = Path(__file__).parents[1] / "migrations"


class SchemaError(Exception):
    """The ledger's schema is not the one this release was made for."""


def require_current(engine: Engine) -> None:
    """Checks the schema before a process works on it.

    Raises:
        SchemaError: it is older or newer; the message says what to do.
    """
    with engine.connect() as connection:
        found = revision_of(connection)
    require_known(found)
    if found != newest():
        raise SchemaError(
            f"the ledger's schema is at {found or 'nothing'}, this release needs {newest()}: "
            "run `python -m waybill_ledger upgrade`"
        )


def require_known(found: str | None) -> None:
    """Refuses the schema of a newer release.

    Raises:
        SchemaError: this release has no such revision; the message says what to do.
    """
    if found is not None and found not in revisions():
        raise SchemaError(
            f"the ledger's schema is at {found}, which this release does not know, it ends at {newest()}: "
            "run a release that is as new as the one that upgraded it"
        )


def revision_of(connection: Connection) -> str | None:
    """Revision of a ledger; None if it was never migrated."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def newest() -> str:
    """Revision that this release needs.

    Raises:
        SchemaError: the installation is broken.
    """
    if not revisions():
        raise SchemaError("this installation has no migrations")
    return revisions()[-1]


def revisions() -> tuple[str, ...]:
    """Revisions that this release knows, oldest first; each is the prefix of a file name."""
    return tuple(sorted(file.name.partition("_")[0] for file in SCRIPTS.glob("versions/[0-9]*.py")))
