"""The ledger as the counting reads it: past all of our own code, straight from the file."""

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any


class LedgerFile:
    """A ledger in SQLite."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def number_of_tasks(self) -> int:
        """How many tasks it holds."""
        ((number,),) = self._query("SELECT count(*) FROM tasks")
        return int(number)

    def rows_in_outbox(self) -> int:
        """How many messages are to be published, now or later."""
        ((number,),) = self._query("SELECT count(*) FROM outbox")
        return int(number)

    def states(self, task_ids: Iterable[str]) -> dict[str, str]:
        """Where those of these tasks are that it knows."""
        ids = list(task_ids)
        return dict(self._query(f"SELECT id, state FROM tasks WHERE id IN ({_marks(ids)})", *ids))

    def in_doubt(self, task_ids: Iterable[str]) -> set[str]:
        """Those of these tasks of whose record a part says that its effect may have happened."""
        ids = list(task_ids)
        query = f"SELECT task_id, error FROM subtasks WHERE error IS NOT NULL AND task_id IN ({_marks(ids)})"
        return {task_id for task_id, error in self._query(query, *ids) if "MayHaveHappened" in error}

    def results(self, service: str) -> dict[str, dict[str, Any]]:
        """What the subtasks of a service have left, by task; empty for those that have not ended."""
        rows = self._query("SELECT task_id, result FROM subtasks WHERE service = ?", service)
        return {task_id: json.loads(result or "{}") for task_id, result in rows}

    def _query(self, query: str, *values: str) -> list[Any]:
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)) as connection:
            return connection.execute(query, values).fetchall()


def _marks(values: list[str]) -> str:
    return ",".join("?" * len(values))
