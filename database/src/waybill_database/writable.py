"""Checks without a write whether a database is writable."""

import os
from pathlib import Path

from sqlalchemy import Connection, text


def can_write(connection: Connection) -> bool:
    """Whether a write could succeed now.

    PostgreSQL reports a standby and `default_transaction_read_only`. For SQLite the file system shows whether
    the file and its folder, which holds the log, are writable, and whether there is free space.
    """
    if connection.dialect.name == "postgresql":
        return bool(connection.scalar(text("SHOW transaction_read_only")) == "off")
    # Reads the file, unlike SELECT 1.
    connection.execute(text("PRAGMA schema_version"))
    file = Path(connection.engine.url.database or "")
    return (
        os.access(file, os.W_OK) and os.access(file.parent, os.W_OK) and os.statvfs(file.parent).f_bavail > 0
    )
