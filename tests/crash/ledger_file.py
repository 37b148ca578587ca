"""The ledger as the counting reads it: past all of our own code, straight from the file."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from waybill_contracts.wire.lifecycle import LifecycleType


@dataclass(frozen=True, slots=True)
class SubtaskRow:
    """A subtask as the ledger has it."""

    task_id: str
    service: str
    state: str
    error: str | None

    @property
    def is_in_doubt(self) -> bool:
        """Whether it says that its effect may have happened."""
        return "MayHaveHappened" in (self.error or "")


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

    def children(self, task_ids: Iterable[str]) -> dict[str, list[str]]:
        """The tasks that each of these tasks has spawned; nothing of those that have spawned none."""
        ids = list(task_ids)
        found: dict[str, list[str]] = {}
        query = f"SELECT parent_id, id FROM tasks WHERE parent_id IN ({_marks(ids)})"
        for parent, child in self._query(query, *ids):
            found.setdefault(parent, []).append(child)
        return found

    def references(self, keys: Iterable[str]) -> dict[str, str]:
        """The id of the task of each idempotency key; nothing for those that are not known."""
        each = list(keys)
        return dict(
            self._query(f"SELECT key, reference FROM idempotency WHERE key IN ({_marks(each)})", *each)
        )

    def in_doubt(self, task_ids: Iterable[str]) -> set[str]:
        """Those of these tasks of whose record a part says that its effect may have happened."""
        ids = list(task_ids)
        query = f"SELECT task_id, service, state, error FROM subtasks WHERE task_id IN ({_marks(ids)})"
        rows = [SubtaskRow(*row) for row in self._query(query, *ids)]
        return {row.task_id for row in rows if row.is_in_doubt}

    def results(self, service: str) -> dict[str, dict[str, Any]]:
        """What the subtasks of a service have left, by task; empty for those that have not ended."""
        rows = self._query("SELECT task_id, result FROM subtasks WHERE service = ?", service)
        return {task_id: json.loads(result or "{}") for task_id, result in rows}

    def subtasks(self) -> list[SubtaskRow]:
        """All subtasks."""
        rows = self._query("SELECT task_id, service, state, error FROM subtasks")
        return [SubtaskRow(*row) for row in rows]

    def outcomes(self) -> Counter[tuple[str, str]]:
        """How many different outcomes each subtask has had, by task and service."""
        rows = self._query(
            "SELECT task_id, service, count(DISTINCT type) FROM timeline "
            "WHERE type IN (?, ?, ?) GROUP BY task_id, service",
            LifecycleType.COMPLETED,
            LifecycleType.DEAD,
            LifecycleType.CANCELLED,
        )
        return Counter({(task_id, service): number for task_id, service, number in rows})

    def number_by_state(self) -> dict[str, int]:
        """How many tasks are where."""
        return dict(self._query("SELECT state, count(*) FROM tasks GROUP BY 1"))

    def tasks_about(self, about: str) -> set[str]:
        """The tasks that are about an address, a record or a file of that name."""
        return {task_id for (task_id,) in self._query("SELECT id FROM tasks WHERE about = ?", about)}

    def dead_letters(self) -> set[tuple[str, str]]:
        """The task and service of each dead letter that was taken in; none where no desk takes them."""
        known = self._query("SELECT name FROM sqlite_master WHERE name = 'dead_letters'")
        return set(self._query("SELECT task_id, service FROM dead_letters")) if known else set()

    def _query(self, query: str, *values: str) -> list[Any]:
        return query_file(self._path, query, *values)


def query_file(path: Path, query: str, *values: str) -> list[Any]:
    """The rows that a query finds in a file of SQLite."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(query, values).fetchall()


def _marks(values: list[str]) -> str:
    return ",".join("?" * len(values))
