"""What is in an application outbox, for people and metrics, and what people decide about refused rows."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, delete, func, or_, select, update

from waybill.outbox.rows import made_at
from waybill.outbox.schema import REFUSED, TABLE, WAITING


@dataclass(frozen=True, slots=True)
class ListedRow:
    """A row without its data, which may be private."""

    id: str
    kind: str
    state: str
    created_at: datetime
    order_key: str | None
    attempts: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Depth:
    """How much is in the outbox."""

    waiting: int
    refused: int
    #: Age of the oldest row that waits, in seconds; 0: none waits.
    lag_seconds: float


class Inspection:
    """Looks into an application outbox, and changes refused rows."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def depth(self) -> Depth:
        """How much is in it."""
        counted = select(TABLE.c.state, func.count()).group_by(TABLE.c.state)
        oldest = select(TABLE.c.id).where(TABLE.c.state == WAITING).order_by(TABLE.c.position).limit(1)
        with self._engine.connect() as connection:
            rows: dict[str, int] = dict(connection.execute(counted).all())
            first = connection.scalar(oldest)
        lag = 0.0 if first is None else max(time.time() - made_at(first).timestamp(), 0.0)
        return Depth(rows.get(WAITING, 0), rows.get(REFUSED, 0), lag)

    def rows(self, *, most: int | None, refused: bool) -> list[ListedRow]:
        """The oldest rows.

        Args:
            most: number of rows at most; None: all.
            refused: only those that were refused.
        """
        query = select(
            TABLE.c.id, TABLE.c.kind, TABLE.c.state, TABLE.c.order_key, TABLE.c.attempts, TABLE.c.error
        )
        if refused:
            query = query.where(TABLE.c.state == REFUSED)
        with self._engine.connect() as connection:
            found = connection.execute(query.order_by(TABLE.c.position).limit(most))
            return [ListedRow(created_at=made_at(row.id), **row._asdict()) for row in found]

    def retry(self, beginnings: Sequence[str] | None) -> int:
        """Has refused rows posted again.

        Args:
            beginnings: of their ids; None: all refused rows.

        Returns:
            Number of rows.
        """
        values = {"state": WAITING, "available_at": 0, "tried_at": None, "error": None}
        return self._run(update(TABLE).values(values), beginnings)

    def drop(self, beginnings: Sequence[str] | None) -> int:
        """Deletes refused rows, so that their tasks never exist; see `retry`."""
        return self._run(delete(TABLE), beginnings)

    def _run(self, statement: Any, beginnings: Sequence[str] | None) -> int:
        statement = statement.where(TABLE.c.state == REFUSED)
        if beginnings is not None:
            statement = statement.where(
                or_(*(TABLE.c.id.startswith(each, autoescape=True) for each in beginnings))
            )
        with self._engine.begin() as connection:
            return int(connection.execute(statement).rowcount)
