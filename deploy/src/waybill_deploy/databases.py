"""Roles and databases in PostgreSQL: each service owns its inbox; a separate role owns the ledger.

Processes that work on the ledger may read and write its rows, but not change its tables. Missing roles and
databases are created, existing ones are updated. That includes passwords: write a new one into its file to
change it.
"""

from collections.abc import Iterable

import psycopg
from psycopg import sql
from yarl import URL

from waybill_contracts.registry import Registry
from waybill_database import open_engine
from waybill_deploy.processes import LEDGER
from waybill_ledger import require_current
from waybill_ledger.migrations import upgrade
from waybill_ledger.registry import load_registry

#: Seconds for the server to answer.
CONNECT_SECONDS = 10


def prepare(superuser: URL, ledger_url: str, processes: Iterable[tuple[str, URL]]) -> str:
    """Creates roles and databases, and upgrades the schema of the ledger to this release.

    Args:
        superuser: URL of the server, with its superuser.
        ledger_url: URL of the ledger, with its owner.
        processes: name and URL of the database of each process.

    Returns:
        The revision of the ledger's schema.

    Raises:
        psycopg.Error: the server refused.
        waybill_ledger.SchemaError: the ledger is newer than this release.
    """
    owner = URL(ledger_url)
    users = []
    with _connected(superuser) as connection:
        _role_and_database(connection, owner)
        for database, url in processes:
            if database == LEDGER:
                _role(connection, url)
                users.append(url.user or "")
            else:
                _role_and_database(connection, url)
    with _connected(superuser.with_path(owner.path)) as connection:
        for user in users:
            _may_work_on_rows(connection, owner.user or "", user)
    return upgrade(ledger_url)


def prepare_inboxes(superuser: URL, processes: Iterable[tuple[str, URL]]) -> None:
    """Creates the roles and databases of services, also while the installation runs.

    Args:
        superuser: URL of the server, with its superuser.
        processes: name and URL of the database of each process; those that share the ledger are left out.

    Raises:
        psycopg.Error: the server refused.
    """
    with _connected(superuser) as connection:
        for database, url in processes:
            if database != LEDGER:
                _role_and_database(connection, url)


def registry_in(ledger_url: str) -> Registry:
    """The registry of a ledger.

    Raises:
        SQLAlchemyError: it cannot be read.
        waybill_ledger.SchemaError: the ledger is not of this release.
    """
    engine = open_engine(ledger_url, connections=1)
    try:
        require_current(engine)
        with engine.connect() as connection:
            return load_registry(connection)
    finally:
        engine.dispose()


def _connected(url: URL) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(str(url), autocommit=True, connect_timeout=CONNECT_SECONDS)


def _role_and_database(connection: psycopg.Connection[tuple[object, ...]], url: URL) -> None:
    _role(connection, url)
    name = url.path.removeprefix("/")
    known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
    if known is None:
        # Explicit, because the defaults of servers differ between images.
        created = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'")
        connection.execute(created.format(sql.Identifier(name), sql.Identifier(url.user or "")))
    # By default every role may connect to every database.
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))


def _role(connection: psycopg.Connection[tuple[object, ...]], url: URL) -> None:
    known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (url.user,)).fetchone()
    verb = sql.SQL("CREATE" if known is None else "ALTER")
    connection.execute(
        sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(
            verb, sql.Identifier(url.user or ""), sql.Literal(url.password or "")
        )
    )


def _may_work_on_rows(connection: psycopg.Connection[tuple[object, ...]], owner: str, user: str) -> None:
    names = {"owner": sql.Identifier(owner), "user": sql.Identifier(user), "ledger": sql.Identifier(LEDGER)}
    for statement in (
        "GRANT CONNECT ON DATABASE {ledger} TO {user}",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {user}",
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {user}",
        # For tables of later migrations.
        (
            "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public "
            "GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {user}"
        ),
        "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT USAGE ON SEQUENCES TO {user}",
    ):
        connection.execute(sql.SQL(statement).format(**names))
