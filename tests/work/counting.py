"""Counts what a task costs: statements, commits, flushes to the disk, messages published and acknowledged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, event

from waybill_database.engine import RELAXED
from waybill_worker.broker.delivery import Delivery
from waybill_worker.publish.publisher import OutgoingMessage, PublishError


@dataclass(frozen=True)
class Work:
    """What was done. A statement that writes many rows at once is one statement."""

    statements: int
    commits: int
    #: Commits that wait for the disk.
    flushes: int
    publishes: int = 0
    #: Writes of such messages to the broker.
    writes: int = 0
    acks: int = 0


class Counter:
    """Counts the work of one process from now on."""

    def __init__(self, engine: Engine) -> None:
        self._statements = 0
        self._commits = 0
        self._flushes = 0
        self._acks = 0
        self._writes = 0
        self.published: list[OutgoingMessage] = []
        event.listen(engine, "before_cursor_execute", self._on_statement)
        event.listen(engine, "commit", self._on_commit)

    async def publish(self, message: OutgoingMessage) -> None:
        """Takes the place of the publisher's: what is published counts as confirmed."""
        self._writes += 1
        self.published.append(message)

    def publish_each(
        self, messages: Sequence[OutgoingMessage], answered: Callable[[int, PublishError | None], None]
    ) -> None:
        """The same, for many that nobody waits for: they are one write to the socket."""
        self._writes += 1
        self.published += messages
        for position in range(len(messages)):
            answered(position, None)

    def delivery(self, message: OutgoingMessage) -> Delivery:
        """The message as its consumer gets it, whose acknowledgement is counted."""
        return Delivery(
            message.body, message.headers, message.correlation_id, message.priority, _Acknowledger(self._ack)
        )

    def done(self) -> Work:
        """All that was counted."""
        return Work(
            self._statements, self._commits, self._flushes, len(self.published), self._writes, self._acks
        )

    def _ack(self) -> None:
        self._acks += 1

    def _on_statement(self, _connection: object, _cursor: object, statement: str, *_: object) -> None:
        # On SQLite the engine says BEGIN itself.
        self._statements += not statement.startswith("BEGIN")

    def _on_commit(self, connection: Connection) -> None:
        self._commits += 1
        self._flushes += not connection.get_execution_options().get(RELAXED, False)


class _Acknowledger:
    def __init__(self, acknowledged: Callable[[], None]) -> None:
        self._acknowledged = acknowledged
        self.is_lost = False

    async def ack(self) -> None:
        self._acknowledged()
