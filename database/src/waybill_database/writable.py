"""Whether a database can be written to, asked without a write."""

import os
from pathlib import Path

from sqlalchemy import Connection, text


def can_write(connection: Connection) -> bool:
    """Whether a write could succeed now.

    PostgreSQL tells of a standby and of `default_transaction_read_only`. Of a SQLite file the file system
    tells whether it and its folder, where SQLite keeps its log, can be written, and whether there is room.
    """
    if connection.dialect.name == "postgresql":
        return bool(connection.scalar(text("SHOW transaction_read_only")) == "off")
    # Reads the file; SELECT 1 would not.
    connection.execute(text("PRAGMA schema_version"))
    file = Path(connection.engine.url.database or "")
    return (
        os.access(file, os.W_OK) and os.access(file.parent, os.W_OK) and os.statvfs(file.parent).f_bavail > 0
    )
