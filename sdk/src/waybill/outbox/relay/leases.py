"""Leases of rows: one relay posts a row at a time, and another takes over if it dies."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Connection,
    Engine,
    bindparam,
    cast,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)

from waybill.calls import Priority
from waybill.outbox.schema import REFUSED, TABLE, WAITING

#: Characters of an error that are kept in its row.
_MAX_ERROR: Final = 2000
_SECOND: Final = 1_000_000
_ANSWER_LOST: Final = (
    "answer_lost: it was posted, the answer was lost, and the gateway no longer recognises a repeat after so "
    "long. Look for its task; `waybill outbox retry` posts it again, `waybill outbox drop` deletes it."
)


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it is posted; the fields are columns."""

    position: int
    id: str
    kind: str
    version: int
    data: str
    idempotency_key: str | None
    order_key: str | None
    priority: Priority | None
    send_at: str | None
    traceparent: str | None
    #: Before this lease.
    tried_at: int | None
    attempts: int

    @property
    def key(self) -> str:
        """The idempotency key of its task."""
        return self.idempotency_key or self.id


@dataclass(frozen=True, slots=True)
class Lease:
    """Rows that this relay may post, in the order in which they were written."""

    rows: tuple[Row, ...]
    #: Its end, in microseconds by the clock of the database; rows that it still holds are recognised by it.
    until: int
    #: When this process has to begin no more posts of them, in seconds of `time.monotonic`.
    last_post_at: float
    #: Rows that were refused instead, as nobody knows whether their task was accepted.
    given_up: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class LeaseLimits:
    """How much is taken at once, and for how long."""

    #: Bytes of the data of all rows together: a gateway takes bodies of a mebibyte.
    data_bytes: int = 900_000
    #: How long other relays leave the rows alone.
    lease: timedelta = timedelta(seconds=60)
    #: How long after a post the gateway recognises a repeat of it.
    repeats_known: timedelta = timedelta(days=29)


class Leases:
    """The rows of one database, as relays take them and give them back."""

    def __init__(self, engine: Engine, limits: LeaseLimits) -> None:
        self._engine = engine
        self._limits = limits

    def take(self, most: int) -> Lease:
        """Leases the next rows that are due, at most so many.

        A row with an order key is taken only together with all rows before it that have the key.
        """
        last_post_at = time.monotonic() + self._limits.lease.total_seconds() / 2
        with self._engine.begin() as connection:
            now = _now(connection)
            # Negative: for ever.
            known_from = now - _microseconds(self._limits.repeats_known)
            found = _due(connection, now, most)
            too_late = tuple(row for row in found if row.tried_at is not None and row.tried_at < known_from)
            if too_late:
                _refuse(connection, [(row, _ANSWER_LOST) for row in too_late], held_until=None)
                found = [row for row in found if row not in too_late]
            taken = _in_order(connection, _of_size(found, self._limits.data_bytes))
            until = now + _microseconds(self._limits.lease)
            if taken:
                values = {"positions": _positions(taken), "now": now, "until": until}
                connection.execute(_LEASE, values)
        return Lease(tuple(taken), until, last_post_at, too_late)

    def delete(self, rows: Sequence[Row]) -> None:
        """Deletes rows whose tasks are accepted, whichever relay has them by now."""
        with self._engine.begin() as connection:
            connection.execute(_DELETE, {"positions": _positions(rows)})

    def refuse(self, lease: Lease, faults: Iterable[tuple[Row, str]]) -> None:
        """Marks rows that the gateway refused, with the reason; they stay until a person decides."""
        with self._engine.begin() as connection:
            _refuse(connection, faults, held_until=lease.until)

    def begin_at_once(self, lease: Lease, rows: Iterable[Row]) -> None:
        """Removes a time that had passed before any post was accepted, and gives the rows back."""
        with self._engine.begin() as connection:
            for row in rows:
                values = {"send_at": None, "available_at": 0, "tried_at": None}
                connection.execute(_held((row,), lease.until).values(values))

    def give_back(
        self,
        lease: Lease,
        rows: Iterable[Row],
        *,
        after: float = 0.0,
        error: str | None,
        may_be_accepted: bool,
    ) -> None:
        """Gives rows back that are to be posted again.

        Args:
            lease: their lease.
            rows: the rows.
            after: seconds until they are due again.
            error: why, for people who list them; None: they were not posted.
            may_be_accepted: their tasks may have been accepted.
        """
        rows = tuple(rows)
        kept = rows if may_be_accepted else tuple(row for row in rows if row.tried_at is not None)
        cleared = tuple(row for row in rows if row not in kept)
        with self._engine.begin() as connection:
            values: dict[str, Any] = {"available_at": _now(connection) + int(after * _SECOND)}
            if error is not None:
                values["error"] = error[:_MAX_ERROR]
            if kept:
                connection.execute(_held(kept, lease.until).values(values))
            if cleared:
                connection.execute(_held(cleared, lease.until).values(values | {"tried_at": None}))


def _due(connection: Connection, now: int, most: int) -> list[Row]:
    return [Row(*row) for row in connection.execute(_DUE, {"now": now, "most": most})]


def _of_size(rows: Sequence[Row], data_bytes: int) -> list[Row]:
    """As many of the first rows as fit; the first one always."""
    fitting: list[Row] = []
    for row in rows:
        # A character of UTF-8 has at most four bytes.
        data_bytes -= len(row.data) if row.data.isascii() else len(row.data.encode())
        if data_bytes < 0 and fitting:
            break
        fitting.append(row)
    return fitting


def _in_order(connection: Connection, rows: Sequence[Row]) -> list[Row]:
    """The rows without those that have a predecessor which is not among them.

    Another relay may have locked it a moment ago.
    """
    keys = {row.order_key for row in rows if row.order_key is not None}
    if not keys:
        return list(rows)
    own = {row.position for row in rows}
    values = {"keys": list(keys), "last": rows[-1].position}
    first_missing: dict[str, int] = {}
    for position, key in connection.execute(_OF_KEYS, values):
        if position not in own:
            first_missing.setdefault(key, position)
    return [
        row
        for row in rows
        if row.order_key is None or row.position < first_missing.get(row.order_key, row.position + 1)
    ]


def _refuse(connection: Connection, faults: Iterable[tuple[Row, str]], *, held_until: int | None) -> None:
    for row, fault in faults:
        values = {"state": REFUSED, "available_at": 0, "tried_at": None, "error": fault[:_MAX_ERROR]}
        statement = update(TABLE).where(TABLE.c.position == row.position)
        if held_until is not None:
            statement = _held((row,), held_until)
        connection.execute(statement.values(values))


def _held(rows: Sequence[Row], until: int) -> Any:
    """An update of those rows that a lease still holds."""
    return update(TABLE).where(TABLE.c.position.in_(_positions(rows)), TABLE.c.available_at == until)


def _positions(rows: Sequence[Row]) -> list[int]:
    return [row.position for row in rows]


def _microseconds(time_: timedelta) -> int:
    return time_ // timedelta(microseconds=1)


def _now(connection: Connection) -> int:
    """Microseconds since 1970, by one clock for all relays of the database."""
    if connection.dialect.name == "sqlite":
        return time.time_ns() // 1000
    seconds = func.extract("epoch", func.clock_timestamp())
    return int(connection.scalar(select(cast(seconds * _SECOND, BigInteger))) or 0)


_EARLIER: Final = TABLE.alias("earlier")
_IS_HELD_UP: Final = exists().where(
    _EARLIER.c.order_key == TABLE.c.order_key,
    _EARLIER.c.position < TABLE.c.position,
    or_(_EARLIER.c.state != WAITING, _EARLIER.c.available_at > bindparam("now")),
)
_DUE: Final = (
    select(*(TABLE.c[name] for name in Row.__slots__))
    .where(
        TABLE.c.state == WAITING,
        TABLE.c.available_at <= bindparam("now"),
        or_(TABLE.c.order_key.is_(None), ~_IS_HELD_UP),
    )
    .order_by(TABLE.c.position)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True, of=TABLE)
)
_LEASE: Final = (
    update(TABLE)
    .where(TABLE.c.position.in_(bindparam("positions", expanding=True)))
    .values(
        available_at=bindparam("until"),
        tried_at=func.coalesce(TABLE.c.tried_at, bindparam("now")),
        attempts=TABLE.c.attempts + 1,
    )
)
_DELETE: Final = delete(TABLE).where(TABLE.c.position.in_(bindparam("positions", expanding=True)))
_OF_KEYS: Final = (
    select(TABLE.c.position, TABLE.c.order_key)
    .where(TABLE.c.order_key.in_(bindparam("keys", expanding=True)), TABLE.c.position <= bindparam("last"))
    .order_by(TABLE.c.position)
)
