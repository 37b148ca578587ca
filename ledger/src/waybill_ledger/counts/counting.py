"""Counts what happens to tasks, in the transaction that changes them: in each process first, then in rows."""

from bisect import bisect_left
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Executable

from waybill_database import DriverStatement, insert_in, session_of
from waybill_ledger.schema import CLASS_BOUNDS, COUNTED, COUNTS, HANDLER_CLASSES, PICKUP_CLASSES

MINUTE: Final = timedelta(minutes=1)
MINUTE_SECONDS: Final = 60
#: The place of each name in the numbers of one row.
_PLACES: Final = {name: place for place, name in enumerate(COUNTED)}
_FIRST_PICKUP, _FIRST_HANDLER = _PLACES[PICKUP_CLASSES[0]], _PLACES[HANDLER_CLASSES[0]]
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)

#: Tenant, kind, service.
Part = tuple[str, str, str]
#: Beginning of a minute, and a part.
Key = tuple[datetime, Part]


class Minutes:
    """Finds the minute of a time; fast where many times of one minute follow each other."""

    __slots__ = ("_begins", "_ends")

    def __init__(self) -> None:
        self._begins = self._ends = _NEVER

    def of(self, at: datetime) -> datetime:
        """The beginning of the minute."""
        if not self._begins <= at < self._ends:
            self._begins = at.replace(second=0, microsecond=0)
            self._ends = self._begins + MINUTE
        return self._begins


class Row:
    """What is counted of one minute, tenant, kind and service."""

    __slots__ = ("numbers",)

    def __init__(self) -> None:
        self.numbers = [0] * len(COUNTED)

    def add(self, place: int, number: int = 1) -> None:
        """Adds to the number at a place: see `place_of`."""
        self.numbers[place] += number

    def add_pickup_seconds(self, seconds: float) -> None:
        """Counts a first attempt by the time since it was due."""
        self.numbers[_FIRST_PICKUP + bisect_left(CLASS_BOUNDS, seconds)] += 1

    def add_handler_seconds(self, seconds: float) -> None:
        """Counts an attempt by the time that it ran."""
        self.numbers[_FIRST_HANDLER + bisect_left(CLASS_BOUNDS, seconds)] += 1


class Tally:
    """What one transaction counts."""

    def __init__(self) -> None:
        self._minutes = Minutes()
        self._rows: dict[Key, Row] = {}

    def row(self, at: datetime, part: Part) -> Row:
        """The numbers of the minute of `at`, of a tenant, a kind and a service."""
        key = self._minutes.of(at), part
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = Row()
        return row

    def write(self, connection: Connection) -> None:
        """Adds the numbers to the rows of this session: no other transaction waits for them."""
        if not self._rows:
            return
        session = session_of(connection)
        _ADD.write(
            connection,
            [
                _bound(key, session) | dict(zip(COUNTED, row.numbers, strict=True))
                for key, row in self._rows.items()
            ],
        )


def place_of(name: str) -> int:
    """The place of a number in a row; `name` is one of `COUNTED`."""
    return _PLACES[name]


def count_accepted(connection: Connection, tasks: Iterable[Any]) -> None:
    """Counts accepted tasks, in the minute of their acceptance; in the transaction that stores them."""
    numbers: dict[Key, int] = {}
    minutes = Minutes()
    for task in tasks:
        key = minutes.of(task.created_at), (task.tenant, task.kind, "")
        numbers[key] = numbers.get(key, 0) + 1
    session = session_of(connection)
    _ADD_ACCEPTED.write(
        connection, [{**_bound(key, session), "accepted": number} for key, number in numbers.items()]
    )


def _bound(key: Key, session: int) -> dict[str, Any]:
    at, (tenant, kind, service) = key
    return {
        "seconds": MINUTE_SECONDS,
        "at": at,
        "tenant": tenant,
        "kind": kind,
        "service": service,
        "session": session,
    }


def adding(dialect: str, *names: str) -> Executable:
    """An INSERT that adds these numbers to the row, if there is one."""
    insert = insert_in(dialect, COUNTS).inline()
    statement: Executable = insert.on_conflict_do_update(
        index_elements=list(COUNTS.primary_key),
        set_={name: COUNTS.c[name] + insert.excluded[name] for name in names},
    )
    return statement


_ADD = DriverStatement(lambda dialect: adding(dialect, *COUNTED), whole=True)
_ADD_ACCEPTED = DriverStatement(lambda dialect: adding(dialect, "accepted"), whole=True)
