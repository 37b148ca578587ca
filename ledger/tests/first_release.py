"""What the first release does to a ledger, in the words in which it did it; it runs while that is upgraded.

Statements of revision 0010, never to be brought up to date: that they go on working is what they are for.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from uuid import uuid4

from sqlalchemy import Connection, Engine, text

from waybill_database.write_turn import write_turn

_TASK = """
    INSERT INTO tasks (id, kind, state, created_at, correlation_id, about, dataschema, payload)
    VALUES (:id, 'email.requested', 'pending', :at, :id, 'somebody', 'v1', :payload)"""
_SUBTASK = """
    INSERT INTO subtasks (task_id, service, state, position, redrive_no, attempt, updated_at, expected_at)
    VALUES (:id, 'email', 'pending', 0, 0, 0, :at, :at)"""
_OUTBOX = """
    INSERT INTO outbox (task_id, exchange, routing_key, attempt, redrive_no, available_at)
    VALUES (:id, 'tasks', 'email.requested', 1, 0, :at)"""
_DUE = """
    SELECT outbox.id, tasks.id AS task_id, tasks.payload FROM outbox JOIN tasks ON tasks.id = outbox.task_id
    WHERE NOT outbox.held AND outbox.available_at <= :at ORDER BY outbox.available_at LIMIT 20"""
_TAKE = "UPDATE outbox SET available_at = :until WHERE id = :id"
_LOCK = "SELECT id, kind, state, about FROM tasks WHERE id = :id"
_FACT = """
    INSERT INTO timeline (task_id, service, redrive_no, attempt, snooze_no, type, at, details)
    VALUES (:id, 'email', 0, 1, 0, 'task.completed', :at, '{}') ON CONFLICT DO NOTHING"""
_END_SUBTASK = """
    UPDATE subtasks SET state = 'completed', position = 1, attempt = 1, updated_at = :at, expected_at = NULL
    WHERE task_id = :id AND service = 'email'"""
_END_TASK = "UPDATE tasks SET state = 'completed', completed_at = :at WHERE id = :id"
_FORGET = "DELETE FROM outbox WHERE task_id = :id"
_LIST = "SELECT id, kind, state, created_at FROM tasks WHERE state = 'pending' ORDER BY id DESC LIMIT 20"

#: A point in time, in microseconds, after all that `fill` writes.
LATE = 10**9


def fill(engine: Engine, tasks: int) -> None:
    """Puts many tasks into a ledger, half of them completed."""
    rows = [{"id": f"old-{number:08}", "at": number, "payload": b"{}"} for number in range(tasks)]
    with engine.begin() as connection:
        for statement in (_TASK, _SUBTASK, _OUTBOX):
            connection.execute(text(statement), rows)
        for statement in (_FACT, _END_SUBTASK, _END_TASK, _FORGET):
            connection.execute(text(statement), rows[::2])


@dataclass
class FirstRelease:
    """Gateways and status services of the first release, each in a loop of its own."""

    engine: Engine
    accepted: list[str] = field(default_factory=list)
    completed: list[str] = field(default_factory=list)
    read: int = 0
    errors: list[str] = field(default_factory=list)
    #: Seconds.
    longest_wait: float = 0

    def __post_init__(self) -> None:
        self._turn = write_turn(self.engine)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Accepts, completes and reads for the time of the block."""
        ended = threading.Event()
        threads = [
            threading.Thread(target=self._repeat, args=(work, ended))
            for work in (self._accept, self._accept, self._complete, self._complete, self._read)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            ended.set()
            for thread in threads:
                thread.join()

    def _repeat(self, work: Callable[[Connection], None], ended: threading.Event) -> None:
        while not ended.wait(0.002):
            began = monotonic()
            try:
                with self._turn(), self.engine.begin() as connection:
                    work(connection)
            except Exception as error:  # noqa: BLE001 - a thread would end of it without a word
                self.errors.append(repr(error))
            self.longest_wait = max(self.longest_wait, monotonic() - began)

    def _accept(self, connection: Connection) -> None:
        task = {"id": str(uuid4()), "at": LATE, "payload": b"{}"}
        for statement in (_TASK, _SUBTASK, _OUTBOX):
            connection.execute(text(statement), task)
        self.accepted.append(str(task["id"]))

    def _complete(self, connection: Connection) -> None:
        locked = " FOR UPDATE OF outbox SKIP LOCKED" if connection.dialect.name == "postgresql" else ""
        due = connection.execute(text(_DUE + locked), {"at": LATE}).all()
        for row in due:
            connection.execute(text(_TAKE), {"id": row.id, "until": 2 * LATE})
        for row in due:
            connection.execute(text(_LOCK), {"id": row.task_id}).one()
            for statement in (_FACT, _END_SUBTASK, _END_TASK, _FORGET):
                connection.execute(text(statement), {"id": row.task_id, "at": LATE})
        self.completed.extend(row.task_id for row in due)

    def _read(self, connection: Connection) -> None:
        self.read += len(connection.execute(text(_LIST)).all())
