"""What the database user of an application needs in the ledger, and no more."""

import re
from typing import Final

#: Names that PostgreSQL takes in quotation marks as they are.
_NAME: Final = re.compile(r"[^\"\x00-\x1f]{1,63}")
_GRANTS: Final = """\
-- What the registry says of kinds and services is read.
GRANT USAGE ON SCHEMA {schema} TO {user};
GRANT SELECT ON {schema}.registry, {schema}.kinds, {schema}.contracts TO {user};
GRANT SELECT ON {schema}.routes, {schema}.services TO {user};
-- Tasks are added; what others have added can be neither read nor changed.
GRANT INSERT ON {schema}.tasks, {schema}.subtasks, {schema}.outbox, {schema}.task_files TO {user};
GRANT SELECT (id, task_id) ON {schema}.outbox TO {user};
GRANT USAGE ON SEQUENCE {schema}.outbox_id_seq TO {user};
-- Accepted tasks are counted by the minute.
GRANT SELECT, INSERT, UPDATE ON {schema}.counts TO {user};
-- Uses of uploaded files are counted.
GRANT SELECT (key, tasks, removing, stored_at), UPDATE (tasks, touched_at) ON {schema}.originals TO {user};
"""


def grants_sql(schema: str, user: str) -> str:
    """The GRANTs that `Direct` needs, to be run by the owner of the ledger's tables.

        print(grants_sql("waybill", "shop"))

    Args:
        schema: that has the ledger's tables.
        user: of the application.

    Raises:
        ValueError: one is no name that PostgreSQL takes.
    """
    return _GRANTS.format(schema=quoted(schema), user=quoted(user))


def quoted(name: str) -> str:
    """A name as an identifier of SQL.

    Raises:
        ValueError: it is none.
    """
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"{name!r} is no name of a schema or user")
    return f'"{name}"'
