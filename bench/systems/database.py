"""Looking into the database of a system, while it works."""

import sqlite3
from pathlib import Path
from typing import Any

import psycopg


class Reading:
    """One connection that only reads.

    Args:
        where: file of SQLite, or URL of PostgreSQL.
    """

    def __init__(self, where: Path | str) -> None:
        self._connection: sqlite3.Connection | psycopg.Connection[Any] = (
            sqlite3.connect(f"file:{where}?mode=ro", uri=True)
            if isinstance(where, Path)
            else psycopg.connect(where, autocommit=True)
        )

    def count(self, query: str) -> int:
        """What a counting query answers."""
        return int(self.rows(query)[0][0])

    def rows(self, query: str) -> list[Any]:
        """All rows of a query."""
        return self._connection.execute(query).fetchall()

    def close(self) -> None:
        """Closes it."""
        self._connection.close()
